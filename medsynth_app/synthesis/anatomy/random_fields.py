"""Seeded smooth random fields and the interpolation they need.

Everything here uses operations that IEEE 754 rounds the same way on every processor (sums, products,
comparisons; transcendental functions only in float64 before a cast to float32), so that a seed gives the same
case elsewhere.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter


def stream(seed: int, name: str) -> np.random.Generator:
    """The random numbers of one stage: another stage's use never shifts them.

    Args:
        seed: the request's seed.
        name: stage name, for example ``"anatomy"``.
    """
    return np.random.default_rng([seed, *name.encode()])


def upsample(coarse: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Trilinear interpolation of a coarse array whose corner voxels coincide with the fine grid's corners.

    Args:
        coarse: (x, y, z) float32, at least 2 along each axis.
        shape: (X, Y, Z) wanted.

    Returns:
        (X, Y, Z) float32.
    """
    result = coarse.astype(np.float32, copy=False)
    for axis, size in enumerate(shape):
        place = np.arange(size) * ((result.shape[axis] - 1) / max(size - 1, 1))
        low = np.minimum(place.astype(np.intp), result.shape[axis] - 2)
        weight_shape = [1, 1, 1]
        weight_shape[axis] = size
        weight = (place - low).astype(np.float32).reshape(weight_shape)
        below = np.take(result, low, axis=axis)
        above = np.take(result, low + 1, axis=axis)
        above -= below
        above *= weight
        above += below
        result = above
    return result


def smooth_noise(
    generator: np.random.Generator, shape: tuple[int, ...], scale_mm: float, spacing_mm: float
) -> np.ndarray:
    """Gaussian noise that varies over about ``scale_mm``, mean 0, standard deviation 1.

    Args:
        generator: source of chance.
        shape: (X, Y, Z).
        scale_mm: distance over which values stay alike.
        spacing_mm: voxel size.

    Returns:
        (X, Y, Z) float32.
    """
    step = max(1.0, scale_mm / spacing_mm / 1.6)
    coarse_shape = tuple(max(4, int(np.ceil(n / step)) + 1) for n in shape)
    coarse = generator.standard_normal(coarse_shape, dtype=np.float32)
    sigma = max(0.4, scale_mm / spacing_mm / step / 2.0)
    field = upsample(gaussian_filter(coarse, sigma, mode="reflect"), shape)
    field -= np.float32(field.mean(dtype=np.float64))
    field /= np.float32(max(float(np.sqrt((field * field).mean(dtype=np.float64))), 1e-6))
    return field
