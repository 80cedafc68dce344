"""From a label map on the atlas to a case that the cross-check can score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medsynth_app.clinical.knowledge.lesion_library import EDEMA_WEIGHT, occupancy_vector
from medsynth_app.clinical.knowledge.symptom_model import Handedness, ReportedSymptom
from medsynth_app.clinical.scoring.components import ComponentOccupancy
from medsynth_app.clinical.scoring.cross_check import CrossCheckCase
from medsynth_app.clinical.site.site_report import find_components, region_occupancy
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.brain_regions import SidedRegion
from medsynth_app.vocabulary import TumorLabel

_MOST_COMPONENTS = 20


def case_from_mask(
    labels: np.ndarray,
    atlas_labels: np.ndarray,
    sites: Sequence[SidedRegion],
    symptoms: Sequence[ReportedSymptom],
    *,
    spacing_mm: Sequence[float],
    handedness: Handedness = Handedness.UNKNOWN,
    age_years: float | None = None,
    registration_passed: bool = True,
    image_side_known: bool = True,
    post_operative: bool = False,
    smallest_component_ml: float = 0.1,
) -> CrossCheckCase:
    """Lay a label map on the atlas: occupancies of the whole, of its components, and of shifted copies.

    Args:
        labels: (X, Y, Z) values of ``TumorLabel`` and 0.
        atlas_labels: (X, Y, Z) atlas labels on the same grid (``registration.labels_on_patient_grid``).
        sites: ``checker.sites``.
        symptoms: the patient's answers.
        spacing_mm: voxel size, 3 numbers.
        handedness: of the patient.
        age_years: None where unknown.
        registration_passed: whether the quality gates were passed.
        image_side_known: whether left and right of the image are beyond doubt.
        post_operative: whether the brain was operated on before.
        smallest_component_ml: smaller connected components get no status.

    Raises:
        InvalidValueError: the shapes differ.
    """
    voxel_ml = float(np.prod(np.asarray(spacing_mm, dtype=np.float64))) / 1000.0
    return CrossCheckCase(
        occupancy=occupancy_vector(region_occupancy(labels, atlas_labels), sites),
        symptoms=tuple(symptoms),
        handedness=handedness,
        age_years=age_years,
        registration_passed=registration_passed,
        image_side_known=image_side_known,
        post_operative=post_operative,
        components=_components(labels, atlas_labels, sites, voxel_ml, smallest_component_ml),
        shifted_occupancies=shifted_occupancies(labels, atlas_labels, sites, spacing_mm),
    )


def shifted_occupancies(
    labels: np.ndarray,
    atlas_labels: np.ndarray,
    sites: Sequence[SidedRegion],
    spacing_mm: Sequence[float],
    *,
    error_mm: float = 5.0,
    count: int = 16,
    seed: int = 0,
) -> np.ndarray:
    """Occupancies of the mask moved by random registration errors.

    Args:
        labels: (X, Y, Z) values of ``TumorLabel`` and 0.
        atlas_labels: (X, Y, Z) atlas labels on the same grid.
        sites: order of the result's last axis.
        spacing_mm: voxel size, 3 numbers.
        error_mm: root mean square length of the error (an affine registration's error at a tumour is 4-5 mm).
        count: how many errors are drawn.
        seed: where the random numbers start.

    Returns:
        (count, sites) float64, 0..1.

    Raises:
        InvalidValueError: the shapes differ.
    """
    if labels.shape != atlas_labels.shape:
        raise InvalidValueError(
            f"labels {labels.shape} and atlas labels {atlas_labels.shape} differ in shape"
        )
    generator = np.random.default_rng(seed)
    voxels = np.argwhere(labels > 0)
    weights = np.where(labels[tuple(voxels.T)] == TumorLabel.EDEMA, EDEMA_WEIGHT, 1.0)
    size = 1 + max(site.label for site in sites)
    total = np.maximum(np.bincount(atlas_labels.ravel(), minlength=size), 1)
    errors = generator.normal(scale=error_mm / np.sqrt(3.0), size=(count, 3))
    order = [site.label for site in sites]
    result = np.zeros((count, len(order)))
    for row, error in enumerate(np.rint(errors / np.asarray(spacing_mm)).astype(int)):
        moved = voxels + error
        inside = np.all((moved >= 0) & (moved < labels.shape), axis=1)
        places = atlas_labels[tuple(moved[inside].T)]
        filled = np.bincount(places, weights=weights[inside], minlength=size) / total
        result[row] = np.minimum(filled, 1.0)[order]
    return result


def _components(
    labels: np.ndarray,
    atlas_labels: np.ndarray,
    sites: Sequence[SidedRegion],
    voxel_ml: float,
    smallest_ml: float,
) -> tuple[ComponentOccupancy, ...]:
    """The largest components; numbers as in the site report."""
    pieces = find_components(labels)
    sizes = np.bincount(pieces.ravel())[1:] * voxel_ml
    kept = np.flatnonzero(sizes >= smallest_ml)[:_MOST_COMPONENTS]
    return tuple(
        ComponentOccupancy(
            int(index) + 1,
            occupancy_vector(region_occupancy(np.where(pieces == index + 1, labels, 0), atlas_labels), sites),
            float(sizes[index]),
        )
        for index in kept
    )
