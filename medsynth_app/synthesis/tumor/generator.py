"""The labelled brain-tumour case: request in, four sequences and their label map out. No weights are used."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from medsynth_app import __version__
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.geometry import reorient, same_grid
from medsynth_app.imaging.labels import padded
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.imaging.volume import Volume
from medsynth_app.synthesis.anatomy.icbm_brain import Grid, IndividualBrain, brats_grid
from medsynth_app.synthesis.tumor.composition import Composition, compose
from medsynth_app.synthesis.tumor.drawn_label import tumor_of_label
from medsynth_app.synthesis.tumor.growth import grow_tumor, mass_effect
from medsynth_app.synthesis.tumor.images import render
from medsynth_app.synthesis.tumor.placement import seed_point
from medsynth_app.synthesis.tumor.request import TumorCaseRequest
from medsynth_app.vocabulary import LABEL_NAMES, Modality

GENERATOR_NAME = "tumor_case_synthesis"


@dataclass(frozen=True)
class TumorCase:
    """A synthetic labelled case.

    Attributes:
        images: (4, X, Y, Z) int16, channels FLAIR, T1, T1ce, T2; 0 outside the brain.
        label: (X, Y, Z) uint8, values of ``TumorLabel``, on the same grid.
        conditions: the request with JSON values, enough to make the case again.
        seed: the seed.
        volumes_ml: label name -> volume in millilitres.
        seed_point_mm: RAS mm where the tumour started; the centroid for a drawn label.
    """

    images: Volume
    label: np.ndarray
    conditions: dict[str, Any]
    seed: int
    volumes_ml: dict[str, float]
    seed_point_mm: tuple[float, float, float]

    @property
    def mark(self) -> SyntheticMark:
        """The mark that belongs into every file of this case."""
        return SyntheticMark(GENERATOR_NAME, __version__, self.seed, self.conditions)


def by_physics(request: TumorCaseRequest, composition: Composition) -> np.ndarray:
    """The four sequences (4, X, Y, Z) int16 on the brain box, by sequence physics."""
    with ThreadPoolExecutor(2) as pool:
        return np.stack(list(pool.map(lambda modality: render(composition, request, modality), Modality)))


Appearance = Callable[[TumorCaseRequest, Composition], np.ndarray]
"""What turns the tissue of every voxel into images; as ``by_physics``."""


def generate_tumor_case(
    request: TumorCaseRequest, label: Volume | None = None, appearance: Appearance = by_physics
) -> TumorCase:
    """Make a labelled four-sequence case.

    Args:
        request: what to make.
        label: optional mask to turn into images instead of growing a tumour, (1, X, Y, Z) with the values
            0..3 (4 also means enhancing tumour), on the grid of ``request.spacing_mm`` in any axis order;
            then place, volume and fractions of the request are not used.
        appearance: what makes the images.

    Returns:
        The case on the BraTS grid (240 x 240 x 155 voxels of 1 mm in LPS order, or its coarser form). The
        same request gives the same voxels.

    Raises:
        InvalidValueError: the place lies outside the brain, has no room, or the mask is on a foreign grid,
            empty, or outside the brain.
    """
    grid = brats_grid(request.spacing_mm)
    brain = IndividualBrain(request.seed, grid)
    if label is None:
        point = seed_point(request, brain)
        displacement = mass_effect(request, brain, point)
        maps = brain.maps(grid.box.shape, displacement)
        tumor = grow_tumor(request, brain, point, displacement, maps)
    else:
        maps = brain.maps(grid.box.shape)
        tumor = tumor_of_label(_label_on_grid(label, grid), request, brain, maps[2] > 0.5)
    composition = compose(brain.anatomy(maps), tumor, request.seed, request.spacing_mm, request.edema_density)
    images = np.stack([grid.paste(box) for box in appearance(request, composition)])
    conditions = request.as_conditions()
    if label is not None:
        conditions["label"] = "drawn"
    return TumorCase(
        images=Volume(images, grid.affine),
        label=grid.paste(tumor.label),
        conditions=conditions,
        seed=request.seed,
        volumes_ml=volumes_ml(tumor.label, grid.spacing_mm),
        seed_point_mm=tumor.seed_point_mm,
    )


def _label_on_grid(label: Volume, grid: Grid) -> np.ndarray:
    """The mask in the grid's own axis order and extent, (X, Y, Z).

    Raises:
        InvalidValueError: another grid, or several channels.
    """
    if label.array.shape[0] != 1:
        raise InvalidValueError(f"label: must be one 3-D mask, has {label.array.shape[0]} channels")
    wanted = Volume(np.broadcast_to(np.uint8(0), (1, *grid.shape)), grid.affine)
    turned = reorient(label, ("L", "P", "S"))
    if turned.spatial_shape != grid.shape:
        turned = padded(turned, wanted) or turned  # viewers crop masks to what is drawn
    if not same_grid(turned, wanted, tolerance_mm=0.1):
        raise InvalidValueError(
            f"label: its grid {label.spatial_shape} is foreign; with spacing_mm {grid.spacing_mm:g} it must "
            f"be {grid.shape} with the axes L, P, S (or turned) and its first voxel at {_corner(grid)} mm"
        )
    return turned.array[0]


def _corner(grid: Grid) -> tuple[float, ...]:
    return tuple(float(value) for value in grid.affine[:3, 3])


def volumes_ml(label: np.ndarray, spacing_mm: float) -> dict[str, float]:
    """Label name -> volume in ml of (X, Y, Z) with cubic voxels."""
    counts = np.bincount(label.ravel(), minlength=4)
    voxel_ml = spacing_mm**3 / 1000.0
    return {name: round(float(counts[value]) * voxel_ml, 3) for name, value in LABEL_NAMES.items()}
