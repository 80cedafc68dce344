"""Shapes and textures of which the 2-D phantoms are made.

A place is (x, y) in shares of the picture, x to the right and y down, so that a seed shows the same anatomy at every
size. All pictures are (H, W) float32 with H = W.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

Place = tuple[float, float]


def axes(size: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every pixel's middle, each (size, size)."""
    line = (np.arange(size, dtype=np.float64) + 0.5) / size
    y, x = np.meshgrid(line, line, indexing="ij")
    return x, y


def noise(generator: np.random.Generator, size: int, scale: float, stretch: float = 1.0) -> np.ndarray:
    """A smooth random field, mean 0, standard deviation 1.

    Args:
        generator: source of chance; the same numbers are drawn at every size.
        size: pixels a side.
        scale: share of the picture over which values stay alike.
        stretch: how many times longer along x.
    """
    shape = tuple(max(4, int(np.ceil(1.0 / s)) + 3) for s in (scale, scale * stretch))
    coarse = generator.standard_normal(shape)
    x, y = axes(size)
    field = map_coordinates(coarse, [y * (shape[0] - 3) + 1, x * (shape[1] - 3) + 1], order=3, mode="nearest")
    field -= field.mean()
    return field / max(float(field.std()), 1e-6)


def texture(generator: np.random.Generator, size: int, scales: tuple[float, ...]) -> np.ndarray:
    """Noise of several scales, the coarse ones stronger; standard deviation 1."""
    field = np.sum([noise(generator, size, scale) * scale**0.5 for scale in scales], axis=0)
    return field / max(float(field.std()), 1e-6)


def blur(picture: np.ndarray, share: float) -> np.ndarray:
    """Smoothed with a Gaussian whose standard deviation is a share of the picture."""
    return gaussian_filter(picture, share * picture.shape[0], mode="nearest")


def grain(generator: np.random.Generator, size: int, share: float) -> np.ndarray:
    """A detector's noise, smoothed over a share of the picture; standard deviation 1 at every size."""
    field = blur(generator.standard_normal((size, size)), share)
    return field / float(field.std())


def ellipse(x: np.ndarray, y: np.ndarray, middle: Place, radii: Place, angle: float = 0.0) -> np.ndarray:
    """Distance from the middle in radii: 1 on the outline."""
    dx, dy = x - middle[0], y - middle[1]
    along, across = np.cos(angle) * dx + np.sin(angle) * dy, np.cos(angle) * dy - np.sin(angle) * dx
    return np.hypot(along / radii[0], across / radii[1])


def outline(
    generator: np.random.Generator, x: np.ndarray, y: np.ndarray, middle: Place, radii: Place, spikes: float
) -> np.ndarray:
    """As ``ellipse`` with an outline of chance.

    Args:
        generator: source of chance.
        x: from ``axes``.
        y: from ``axes``.
        middle: of the shape.
        radii: along x and y.
        spikes: 0 = smooth, 1 = spiculated.
    """
    around = np.arctan2((y - middle[1]) / radii[1], (x - middle[0]) / radii[0])
    bumps = np.zeros_like(x)
    for waves in range(2, 16):
        height, phase = generator.uniform(0.3, 1.0), generator.uniform(0, 2 * np.pi)
        bumps += (0.05 if waves < 4 else 0.3 * spikes / waves**0.8) * height * np.cos(waves * around + phase)
    return ellipse(x, y, middle, radii) / np.maximum(1.0 + bumps, 0.3)


def inside(distance: np.ndarray, softness: float = 0.08) -> np.ndarray:
    """1 inside of an outline, 0 outside, a smooth step of this width between."""
    share = np.clip((1.0 - distance) / softness + 0.5, 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)


def band(distance: np.ndarray, width: float) -> np.ndarray:
    """1 where ``distance`` is 0, falling to 0 as a Gaussian of this standard deviation."""
    return np.exp(-0.5 * (distance / width) ** 2)
