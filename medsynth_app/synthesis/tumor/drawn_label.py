"""A mask that somebody drew, as a tumour to turn into images."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.geometry import foreground_box
from medsynth_app.imaging.labels import canonical_labels
from medsynth_app.synthesis.anatomy.icbm_brain import IndividualBrain
from medsynth_app.synthesis.tumor.growth import Tumor, edema_density
from medsynth_app.synthesis.tumor.request import VOLUME_LIMITS_ML, TumorCaseRequest
from medsynth_app.vocabulary import TumorLabel

LEAST_INSIDE = 0.5
"""Share of the mask that must lie in the brain; what lies outside is cut off."""


def tumor_of_label(
    label: np.ndarray, request: TumorCaseRequest, brain: IndividualBrain, inside: np.ndarray
) -> Tumor:
    """The tumour that a mask shows; the brain is not pushed, so that the mask stays where it was drawn.

    Args:
        label: (X, Y, Z), values 0..4, on the whole grid of ``brain``. Not changed.
        request: gives the share of label 1 that is necrosis.
        brain: the head around it.
        inside: (X, Y, Z) bool on the brain box, the brain.

    Raises:
        InvalidValueError: other values, an empty mask, or one that mostly lies outside the brain.
    """
    checked = _checked_values(label)
    part = checked[brain.grid.box.slices]
    drawn, kept = int((checked > 0).sum()), int(((part > 0) & inside).sum())
    if kept < LEAST_INSIDE * drawn:
        raise InvalidValueError(
            f"label: only {100.0 * kept / drawn:.0f} % of the mask lies in the brain, at least "
            f"{100.0 * LEAST_INSIDE:.0f} % must"
        )
    part = part * inside
    _check_volume(part, brain.grid.spacing_mm)
    centroid = np.argwhere(part > 0).mean(axis=0)
    place = (brain.grid.box_affine @ np.array([*centroid, 1.0]))[:3]
    return Tumor(
        label=part,
        necrosis=_deep_part(part == TumorLabel.NECROTIC_CORE, request),
        density=edema_density(part, brain.grid.spacing_mm),
        displacement_mm=np.zeros((3, *brain.coarse_shape), dtype=np.float32),
        seed_point_mm=(float(place[0]), float(place[1]), float(place[2])),
    )


def _checked_values(label: np.ndarray) -> np.ndarray:
    checked = canonical_labels(label)
    if not checked.any():
        raise InvalidValueError("label: the mask is empty, at least one voxel must be tumour")
    return checked


def _check_volume(label: np.ndarray, spacing_mm: float) -> None:
    volume_ml = float((label > 0).sum()) * spacing_mm**3 / 1000.0
    if volume_ml > VOLUME_LIMITS_ML[1]:
        raise InvalidValueError(
            f"label: the mask holds {volume_ml:.0f} ml, at most {VOLUME_LIMITS_ML[1]:g} ml are allowed"
        )


def _deep_part(core: np.ndarray, request: TumorCaseRequest) -> np.ndarray:
    """The deeper voxels of label 1, as many as the request's necrotic share of label 1 tells."""
    profile = request.profile
    share = profile.necrotic_fraction / max(1.0 - profile.enhancing_fraction, 1e-6)
    dead = np.zeros(core.shape, dtype=bool)
    if not core.any() or share <= 0.0:
        return dead
    box = foreground_box(core, margin=1)
    inner = core[box.slices]
    depth = distance_transform_edt(inner)
    count = int(round(min(share, 1.0) * int(inner.sum())))
    places = np.flatnonzero(inner)
    order = np.argsort(-depth.ravel()[places], kind="stable")
    chosen = np.zeros(inner.size, dtype=bool)
    chosen[places[order[:count]]] = True
    dead[box.slices] = chosen.reshape(inner.shape)
    return dead
