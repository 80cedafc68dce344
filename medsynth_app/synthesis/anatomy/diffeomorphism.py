"""Smooth, invertible deformations of the brain as stationary velocity fields.

A velocity field v is integrated to a displacement u by scaling and squaring (Arsigny 2006):
u_0 = v / 2^n, then n times u <- u + u(x + u). Fields live on a coarse grid that spans the fine one, in mm.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from medsynth_app.synthesis.anatomy.random_fields import smooth_noise, upsample

SQUARINGS = 6


def integrate(velocity_mm: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Displacement of a velocity field after unit time.

    Args:
        velocity_mm: (3, x, y, z) float32, mm along each array axis.
        spacing_mm: (3,) voxel size of this grid.

    Returns:
        (3, x, y, z) float32, mm along each array axis: a point moves from p to p + u(p).
    """
    displacement = velocity_mm / np.float32(2**SQUARINGS)
    grid = np.indices(velocity_mm.shape[1:], dtype=np.float32)
    scale = np.asarray(spacing_mm, dtype=np.float32).reshape(3, 1, 1, 1)
    for _ in range(SQUARINGS):
        there = grid + displacement / scale
        moved = [map_coordinates(component, there, order=1, mode="nearest") for component in displacement]
        displacement = displacement + np.stack(moved)
    return displacement


def random_velocity(
    generator: np.random.Generator,
    shape: tuple[int, ...],
    spacing_mm: float,
    components: tuple[tuple[float, float], ...],
) -> np.ndarray:
    """A random velocity field, a sum of smooth noises.

    Args:
        generator: source of chance.
        shape: (x, y, z) of the coarse grid.
        spacing_mm: its voxel size.
        components: pairs (scale in mm, standard deviation in mm).

    Returns:
        (3, x, y, z) float32, mm.
    """
    velocity = np.zeros((3, *shape), dtype=np.float32)
    for scale_mm, deviation_mm in components:
        for axis in range(3):
            velocity[axis] += np.float32(deviation_mm) * smooth_noise(generator, shape, scale_mm, spacing_mm)
    return velocity


def inward_velocity(mass: np.ndarray, brain: np.ndarray, spacing_mm: float, push_mm: float) -> np.ndarray:
    """Velocity that carries points towards a mass: the inverse of the push that the mass exerts.

    Its direction is the gradient of the blurred mass; it fades towards the edge of the brain, because the
    skull does not give way.

    Args:
        mass: (x, y, z) float32, 1 inside the pushing core, 0 outside, coarse grid.
        brain: (x, y, z) float32, 1 inside the brain.
        spacing_mm: voxel size of the coarse grid.
        push_mm: largest speed.

    Returns:
        (3, x, y, z) float32, mm.
    """
    radius_mm = float((mass.sum(dtype=np.float64) * spacing_mm**3 * 0.75 / np.pi) ** (1 / 3))
    blurred = gaussian_filter(mass, max(radius_mm, spacing_mm) / spacing_mm, mode="nearest")
    gradient = np.stack(np.gradient(blurred)).astype(np.float32)
    length = np.sqrt((gradient * gradient).sum(axis=0))
    gradient *= np.float32(push_mm / max(float(length.max()), 1e-9))
    rigid_edge = np.clip(2.0 * gaussian_filter(brain, 8.0 / spacing_mm) - 1.0, 0.0, 1.0)
    return gradient * rigid_edge.astype(np.float32)


def upsample_field(field: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A vector field (3, x, y, z) on the fine grid of ``shape`` that spans the same box."""
    return np.stack([upsample(component, shape) for component in field])
