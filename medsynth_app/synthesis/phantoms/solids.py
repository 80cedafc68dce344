"""Solids by their signed distance, and ways to join them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medsynth_app.synthesis.phantoms.canvas import Canvas, Point, Solid


def ellipsoid(center: Point, radii: Point, turn_deg: Point = (0.0, 0.0, 0.0)) -> Solid:
    """An ellipsoid; its distance is exact in first order (Quilez, "ellipsoid SDF").

    Args:
        center: mm.
        radii: mm along right, anterior, superior before it is turned.
        turn_deg: turns about the three axes, one after another.
    """
    matrix, radius = rotation(turn_deg), np.array(radii, np.float32)

    def distance(points: np.ndarray) -> np.ndarray:
        local = _local(points, center, matrix)
        scaled = np.sqrt(sum((local[a] / radius[a]) ** 2 for a in range(3)))
        steep = np.sqrt(sum((local[a] / radius[a] ** 2) ** 2 for a in range(3)))
        return scaled * (scaled - 1.0) / np.maximum(steep, 1e-6)

    return distance


def block(center: Point, halves: Point, rounding: float, turn_deg: Point = (0.0, 0.0, 0.0)) -> Solid:
    """A box with rounded edges; ``halves`` include the rounding."""
    matrix = rotation(turn_deg)

    def distance(points: np.ndarray) -> np.ndarray:
        local = _local(points, center, matrix)
        beyond = [np.abs(local[a]) - (halves[a] - rounding) for a in range(3)]
        outside = np.sqrt(sum(np.maximum(b, 0.0) ** 2 for b in beyond))
        return outside + np.minimum(np.maximum(np.maximum(*beyond[:2]), beyond[2]), 0.0) - rounding

    return distance


def pill(start: Point, stop: Point, radius: float, end_radius: float | None = None) -> Solid:
    """A round rod from one point to another, which may taper."""
    first = np.array(start, np.float32)
    along = np.array(stop, np.float32) - first
    square = max(float(along @ along), 1e-6)
    taper = (radius if end_radius is None else end_radius) - radius

    def distance(points: np.ndarray) -> np.ndarray:
        local = [points[a] - first[a] for a in range(3)]
        share = np.clip(sum(local[a] * along[a] for a in range(3)) / square, 0.0, 1.0)
        gap = np.sqrt(sum((local[a] - share * along[a]) ** 2 for a in range(3)))
        return gap - (radius + taper * share)

    return distance


def tube(path: Sequence[Point], radius: float) -> Solid:
    """A bent rod through points."""
    return union(*(pill(a, b, radius) for a, b in zip(path, path[1:])))


def union(*solids: Solid, smooth_mm: float = 0.0) -> Solid:
    """All of them; ``smooth_mm`` rounds where they meet (polynomial smooth minimum)."""

    def distance(points: np.ndarray) -> np.ndarray:
        result = solids[0](points)
        for solid in solids[1:]:
            other = solid(points)
            if smooth_mm:
                near = np.maximum(smooth_mm - np.abs(result - other), 0.0) / smooth_mm
                result = np.minimum(result, other) - near**2 * (smooth_mm / 4.0)
            else:
                result = np.minimum(result, other)
        return result

    return distance


def both(*solids: Solid) -> Solid:
    """Where all of them are."""
    return lambda points: np.maximum.reduce([solid(points) for solid in solids])


def without(solid: Solid, *others: Solid) -> Solid:
    """The solid less the others."""
    return lambda points: np.maximum.reduce([solid(points), *(-other(points) for other in others)])


def grown(solid: Solid, by_mm: float) -> Solid:
    """The solid larger by a margin, or smaller by a negative one."""
    return lambda points: solid(points) - by_mm


def rotation(turn_deg: Point) -> np.ndarray:
    """(3, 3) float32: turns about right, anterior, superior, one after another."""
    result = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(turn_deg)):
        a, b = [(1, 2), (2, 0), (0, 1)][axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        result = turn @ result
    return result.astype(np.float32)


def paint_tube(canvas: Canvas, path: Sequence[Point], radius: float, tissue: str, label: str = "") -> None:
    """Paint a bent rod, each piece in its own box."""
    for start, stop in zip(path, path[1:]):
        paint_pill(canvas, start, stop, radius, radius, tissue, label)


def paint_pill(
    canvas: Canvas, start: Point, stop: Point, radius: float, end_radius: float, tissue: str, label: str = ""
) -> None:
    """Paint a tapering rod in its own box."""
    canvas.paint(pill(start, stop, radius, end_radius), tissue, box_around([start, stop], radius), label)


def box_around(points: Sequence[Point], margin: float) -> tuple[Point, Point]:
    """Corners of the box that holds the points and a margin."""
    low, high = np.min(points, axis=0) - margin, np.max(points, axis=0) + margin
    return tuple(low.tolist()), tuple(high.tolist())  # type: ignore[return-value]


def _local(points: np.ndarray, center: Point, matrix: np.ndarray) -> list[np.ndarray]:
    moved = [points[a] - np.float32(center[a]) for a in range(3)]
    if np.array_equal(matrix, np.eye(3, dtype=np.float32)):
        return moved
    return [sum(matrix[b, a] * moved[b] for b in range(3)) for a in range(3)]  # type: ignore[misc]
