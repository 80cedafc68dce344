"""Orientation and resampling between voxel grids.

Axis flips and permutations are exact (no interpolation); only a real change of spacing or an oblique
rotation samples new values.
"""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from nibabel.orientations import (
    apply_orientation,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)
from scipy.ndimage import affine_transform

from medsynth_app.cancellation import stop_if_cancelled
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.plausible_grid import LARGEST_WORKING_VOXELS, check_new_grid
from medsynth_app.imaging.volume import Volume

CANONICAL_AXES = ("R", "A", "S")
SLAB_VOXELS = 16 * 1024**2
"""Sampled between two safe places to stop: about a second. A head in 1 mm voxels is one slab."""


@dataclass(frozen=True)
class Box:
    """A box of voxels: ``start`` inclusive, ``stop`` exclusive, along (X, Y, Z)."""

    start: tuple[int, int, int]
    stop: tuple[int, int, int]

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index of the box in an array (X, Y, Z)."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop))  # type: ignore[return-value]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along each axis."""
        return tuple(b - a for a, b in zip(self.start, self.stop))  # type: ignore[return-value]

    def aligned(self, multiple: int, grid: tuple[int, ...]) -> Box:
        """The box widened until it starts and stops at multiples of ``multiple``, inside an array of shape ``grid``."""
        start = tuple(side - side % multiple for side in self.start)
        stop = tuple(min(side + -side % multiple, length) for side, length in zip(self.stop, grid))
        return Box(start, stop)  # type: ignore[arg-type]


def reorient(volume: Volume, axes: tuple[str, str, str] = CANONICAL_AXES) -> Volume:
    """The same image with its array axes pointing closest to ``axes``, by flips and permutations only.

    Args:
        volume: any orientation.
        axes: end each array axis points to, for example ``("R", "A", "S")``.
    """
    here = io_orientation(volume.affine)
    there = nib.orientations.axcodes2ornt(axes)
    change = ornt_transform(here, there)
    array = np.stack([apply_orientation(channel, change) for channel in volume.array])
    return Volume(array, volume.affine @ inv_ornt_aff(change, volume.spatial_shape))


def undo_reorient(volume: Volume, source_affine: np.ndarray) -> Volume:
    """The way back of ``reorient(source)``: array axes as those of the image that came in.

    Halfway between two axes (45 degrees) both are equally close, and asking the turned image again may give
    the other one; the source's affine gives the same answer as on the way in.

    Args:
        volume: on the grid of ``reorient(source)``.
        source_affine: affine of ``source``.
    """
    change = ornt_transform(nib.orientations.axcodes2ornt(CANONICAL_AXES), io_orientation(source_affine))
    array = np.stack([apply_orientation(channel, change) for channel in volume.array])
    return Volume(array, volume.affine @ inv_ornt_aff(change, volume.spatial_shape))


def same_grid(first: Volume, second: Volume, tolerance_mm: float = 0.01) -> bool:
    """Whether both images have the same voxels: equal shape, corners within ``tolerance_mm``."""
    return first.spatial_shape == second.spatial_shape and (
        corner_distance(first.affine, second.affine, first.spatial_shape) <= tolerance_mm
    )


def corner_distance(first: np.ndarray, second: np.ndarray, shape: tuple[int, int, int]) -> float:
    """Largest distance in mm between the places that two affines give the corners of a grid."""
    steps = np.array([[(i >> axis) & 1 for axis in range(3)] for i in range(8)])
    corners = np.c_[steps * (np.array(shape) - 1), np.ones(8)]
    return float(np.linalg.norm((corners @ (first - second).T)[:, :3], axis=1).max())


def foreground_box(mask: np.ndarray, margin: int = 0) -> Box:
    """The smallest box that holds all true voxels, widened by ``margin`` voxels inside the array.

    Args:
        mask: (X, Y, Z) bool.

    Raises:
        InvalidValueError: no voxel is true.
    """
    start, stop = [], []
    for axis in range(3):
        line = mask.any(axis=tuple(a for a in range(3) if a != axis))
        places = np.flatnonzero(line)
        if places.size == 0:
            raise InvalidValueError("the image holds no foreground: every voxel is zero")
        start.append(max(0, int(places[0]) - margin))
        stop.append(min(mask.shape[axis], int(places[-1]) + 1 + margin))
    return Box(tuple(start), tuple(stop))  # type: ignore[arg-type]


def resample(volume: Volume, affine: np.ndarray, shape: tuple[int, int, int], *, order: int = 1) -> Volume:
    """The image sampled on another grid, zero outside its field of view.

    Args:
        volume: source.
        affine: (4, 4) voxel -> RAS mm of the wanted grid.
        shape: (X, Y, Z) of the wanted grid.
        order: 0 nearest voxel (label maps), 1 trilinear.

    Raises:
        InvalidValueError: the wanted grid has too many voxels (422).
        WorkCancelledError: inside of ``cancelled_by``, once its signal is set.
    """
    check_new_grid(shape, np.linalg.norm(affine[:3, :3], axis=0), "resampled image")
    index_map = np.linalg.inv(volume.affine) @ affine
    array = np.empty((volume.array.shape[0], *shape), dtype=volume.array.dtype)
    for channel, result in zip(volume.array, array):
        _sample(channel, index_map, order, result)
    return Volume(array, affine)


def _sample(channel: np.ndarray, index_map: np.ndarray, order: int, result: np.ndarray) -> None:
    """``channel`` at the places of ``result``, slab by slab: between two of them the work can be stopped."""
    # Between the outermost voxel centres and the faces a place has a nearest voxel, but no two to mix.
    mode = "constant" if order else "grid-constant"
    depth = max(1, SLAB_VOXELS // int(np.prod(result.shape[1:])))
    for start in range(0, result.shape[0], depth):
        stop_if_cancelled()
        slab = result[start : start + depth]
        offset = index_map[:3, 3] + index_map[:3, 0] * start
        affine_transform(channel, index_map[:3, :3], offset, output=slab, order=order, mode=mode)


def isotropic_grid(volume: Volume, spacing_mm: float = 1.0) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Affine and shape of the grid with the same axes and field of view but cubic voxels.

    The outer faces of the first voxel coincide, so the centre of voxel 0 moves by half the difference.

    Raises:
        InvalidValueError: it would have more than ``LARGEST_WORKING_VOXELS`` voxels (422).
    """
    scale = spacing_mm / volume.spacing
    shape = tuple(max(1, int(round(n / s))) for n, s in zip(volume.spatial_shape, scale))
    check_new_grid(shape, np.full(3, spacing_mm), "image", limit=LARGEST_WORKING_VOXELS)
    affine = volume.affine.copy()
    affine[:3, :3] = volume.affine[:3, :3] * scale
    affine[:3, 3] = volume.affine[:3, 3] + volume.affine[:3, :3] @ ((scale - 1) / 2)
    return affine, shape  # type: ignore[return-value]
