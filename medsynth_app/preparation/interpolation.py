"""One interpolation from a series' own voxels to the prepared grid of 1 mm, and class probabilities back again."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medsynth_app.imaging.geometry import foreground_box, isotropic_grid
from medsynth_app.imaging.volume import Volume
from medsynth_app.preparation.skull_stripping import mask_on

SPACING_MM = 1.0
SPACING_TOLERANCE_MM = 0.02
MARGIN_MM = 4
LARGEST_VALUE = 32_000
"""Prepared intensities are whole numbers from 1 (0 is background), so that a kept case is the same as a new one."""

Grid = tuple[np.ndarray, tuple[int, int, int]]
"""Affine voxel -> RAS mm, and shape."""


def prepared_grid(reference: Volume, brain: Volume) -> tuple[Grid, np.ndarray]:
    """The grid of a prepared case and its brain: the reference's axes, 1 mm, around the brain.

    Args:
        reference: the series that the others were laid over; where it has 1 mm voxels they are kept.
        brain: (1, x, y, z), probability of brain.

    Returns:
        The grid, and the brain (X, Y, Z) bool on it.
    """
    affine, shape = reference.affine, reference.spatial_shape
    if np.abs(reference.spacing - SPACING_MM).max() > SPACING_TOLERANCE_MM:
        affine, shape = isotropic_grid(reference, SPACING_MM)
    mask = mask_on(brain, affine, shape)
    box = foreground_box(mask, MARGIN_MM)
    cropped = affine.copy()
    cropped[:3, 3] += affine[:3, :3] @ np.array(box.start)
    return (cropped, box.shape), np.ascontiguousarray(mask[box.slices])


def interpolated(series: Volume, matrix: np.ndarray, grid: Grid, brain: np.ndarray) -> np.ndarray:
    """A series on the prepared grid, its background 0.

    Args:
        series: (1, x, y, z), on its own grid.
        matrix: (4, 4) RAS mm of the reference -> RAS mm of the series.
        grid: of the prepared case.
        brain: (X, Y, Z) bool on that grid.

    Returns:
        (X, Y, Z) int16: 1 to 32000 in the brain, 0 outside and where the series shows nothing.
    """
    affine, shape = grid
    source = _averaged(series)
    way = np.linalg.inv(source.affine) @ matrix @ affine
    values = ndimage.affine_transform(
        source.array[0], way[:3, :3], way[:3, 3], output_shape=shape, order=1, mode="constant", cval=np.nan
    )
    shown = brain & np.isfinite(values)
    result = np.zeros(shape, np.int16)
    inside = values[shown]
    if inside.size and inside.max() > inside.min():
        low, high = float(inside.min()), float(inside.max())
        result[shown] = np.round(1 + (inside - low) * ((LARGEST_VALUE - 1) / (high - low))).astype(np.int16)
    return result


def _averaged(series: Volume) -> Volume:
    """Blocks of voxels much finer than 1 mm as one: averaging keeps what skipping would lose."""
    steps = [max(1, int(SPACING_MM / s + 0.1)) for s in series.spacing]
    array = series.array[0].astype(np.float32, copy=False)
    if max(steps) == 1:
        return Volume(array[None], series.affine)
    whole = [n - n % step for n, step in zip(array.shape, steps)]
    blocks = array[: whole[0], : whole[1], : whole[2]].reshape(
        whole[0] // steps[0], steps[0], whole[1] // steps[1], steps[1], whole[2] // steps[2], steps[2]
    )
    affine = series.affine.copy()
    affine[:3, :3] *= steps
    affine[:3, 3] += series.affine[:3, :3] @ ((np.array(steps) - 1) / 2)
    return Volume(np.ascontiguousarray(blocks.mean(axis=(1, 3, 5))[None]), affine)


def labels_on_series(probabilities: np.ndarray, affine: np.ndarray, matrix: np.ndarray, grid: Grid) -> np.ndarray:
    """The most probable class at every voxel of a series.

    Args:
        probabilities: (4, x, y, z) float32, background first; outside of it background is certain.
        affine: (4, 4), voxel of ``probabilities`` -> RAS mm of the reference.
        matrix: (4, 4) RAS mm of the reference -> RAS mm of the series.
        grid: of the series.

    Returns:
        (X, Y, Z) uint8.
    """
    target, shape = grid
    labels = np.zeros(shape, np.uint8)
    way = np.linalg.inv(affine) @ np.linalg.inv(matrix) @ target
    start, stop = _reached(way, probabilities.shape[1:], shape)
    if (stop <= start).any():
        return labels
    offset = way[:3, :3] @ start + way[:3, 3]
    size = tuple(int(n) for n in stop - start)
    best = np.zeros(size, np.float32)
    found = np.zeros(size, np.uint8)
    for index in range(len(probabilities)):
        layer = ndimage.affine_transform(
            probabilities[index].astype(np.float32, copy=False), way[:3, :3], offset, output_shape=size, order=1,
            mode="constant", cval=float(index == 0),
        )  # fmt: skip
        better = layer > best
        found[better] = index
        best = np.maximum(best, layer)
    x, y, z = (slice(int(a), int(b)) for a, b in zip(start, stop))
    labels[x, y, z] = found
    return labels


def _reached(way: np.ndarray, source: tuple[int, ...], target: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The part of the target's voxels whose places may lie in the source."""
    corners = np.array([[(i >> axis & 1) * (source[axis] - 1) for axis in range(3)] for i in range(8)], float)
    back = np.linalg.inv(way)
    index = corners @ back[:3, :3].T + back[:3, 3]
    start = np.clip(np.floor(index.min(axis=0)).astype(int) - 1, 0, target)
    stop = np.clip(np.ceil(index.max(axis=0)).astype(int) + 2, 0, target)
    return start, stop
