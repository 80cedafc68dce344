"""What chest, abdomen and heart share: wall of the trunk, spine, ribs, branching vessels, lumps."""

from __future__ import annotations

import numpy as np

from medsynth_app.synthesis.phantoms.canvas import Canvas, Point, Solid
from medsynth_app.synthesis.phantoms.solids import block, box_around, ellipsoid, paint_pill, union

VERTEBRA_HEIGHT_MM = 27.0
DISC_SHARE = 0.24


def column(radius_x: float, radius_y: float, center_y: float = 0.0, power: float = 2.4) -> Solid:
    """A trunk: a superellipse in every axial plane, without end."""

    def distance(points: np.ndarray) -> np.ndarray:
        x, y = np.abs(points[0]) / radius_x, np.abs(points[1] - center_y) / radius_y
        return ((x**power + y**power) ** (1.0 / power) - 1.0) * min(radius_x, radius_y)

    return distance


def paint_wall(canvas: Canvas, radii: tuple[float, float], fat_mm: float, muscle_mm: float) -> Solid:
    """Skin, fat and muscle; returns the cavity inside of them."""
    skin, x, y = 2.0, *radii
    canvas.paint(column(x, y), "skin")
    canvas.paint(column(x - skin, y - skin), "fat")
    inner = (x - skin - fat_mm * 1.25, y - skin - fat_mm)
    canvas.paint(column(*inner), "muscle", soft_mm=3.0)
    return column(inner[0] - muscle_mm, inner[1] - muscle_mm)


def paint_spine(canvas: Canvas, path_y: float, low: float, high: float, label: str) -> None:
    """Vertebrae of the trunk from ``low`` to ``high`` mm, their bodies centred at ``path_y``."""
    count = int(np.ceil((high - low) / VERTEBRA_HEIGHT_MM))
    for number in range(count):
        z = low + (number + 0.5) * VERTEBRA_HEIGHT_MM
        half = VERTEBRA_HEIGHT_MM * (1.0 - DISC_SHARE) / 2.0
        center = (0.0, path_y, z)
        box = box_around([(-45, path_y - 60, z - 20), (45, path_y + 25, z + 20)], 2)
        canvas.paint(ellipsoid((0.0, path_y, z + half + 3), (19, 15, 5)), "disc_ring", box)
        canvas.paint(block(center, (20, 15, half), 6), "cortical_bone", box, label)
        canvas.paint(block(center, (18, 13, half - 2), 5), "trabecular_bone", box, label)
        arch = union(
            block((0, path_y - 44, z - 8), (3.5, 14, 7), 3, (25, 0, 0)),
            *(block((side * 14, path_y - 20, z), (5, 7, 6), 3) for side in (-1, 1)),
            *(block((side * 27, path_y - 28, z), (13, 4, 4.5), 3, (0, 0, side * -22)) for side in (-1, 1)),
            *(block((side * 10, path_y - 30, z), (9, 3.2, 9), 2.5, (0, 0, side * 32)) for side in (-1, 1)),
        )
        canvas.paint(arch, "cortical_bone", box, label)
        canvas.paint(lambda p, a=arch: a(p) + 2.0, "trabecular_bone", box, label)  # type: ignore[misc]
    canvas.paint(
        ellipsoid_rod((0.0, path_y - 23.0), (9.5, 8.0)),
        "cerebrospinal_fluid",
        ((-12, path_y - 35, low), (12, path_y - 12, high)),
    )
    canvas.paint(
        ellipsoid_rod((0.0, path_y - 23.0), (6, 4.5)),
        "cord",
        ((-12, path_y - 35, low), (12, path_y - 12, high)),
    )


def ellipsoid_rod(center: tuple[float, float], radii: tuple[float, float]) -> Solid:
    """An elliptic rod along the body, without end."""

    def distance(points: np.ndarray) -> np.ndarray:
        x, y = (points[0] - center[0]) / radii[0], (points[1] - center[1]) / radii[1]
        return (np.sqrt(x * x + y * y) - 1.0) * min(radii)

    return distance


def ribs(
    radii: tuple[float, float], center_y: float, distance_mm: float, drop_mm: float, narrowing: Solid
) -> Solid:
    """All ribs at once: rods on an elliptic cage that fall from the spine to the front.

    Args:
        radii: of the cage, right and anterior.
        center_y: of the cage.
        distance_mm: between two ribs.
        drop_mm: how far a rib falls on its way to the front.
        narrowing: points -> factor on the cage (it is narrower above).
    """

    def distance(points: np.ndarray) -> np.ndarray:
        factor = narrowing(points)
        x, y = points[0] / (radii[0] * factor), (points[1] - center_y) / (radii[1] * factor)
        radial = (np.sqrt(x * x + y * y) - 1.0) * min(radii)
        forward = (1.0 + np.sin(np.arctan2(y, np.abs(x)))) / 2.0
        height = points[2] + drop_mm * forward
        beside = height - np.round(height / distance_mm) * distance_mm
        rod = np.sqrt((radial / 0.8) ** 2 + (beside / 1.35) ** 2) - 4.6
        # In front, ribs end at their cartilage.
        return np.maximum(rod, (forward - 0.93) * 60.0)

    return distance


def paint_tree(
    canvas: Canvas,
    start: Point,
    direction: Point,
    radius: float,
    tissue: str,
    inside: np.ndarray,
    chance: np.random.Generator,
    length: float = 26.0,
    smallest: float = 0.9,
) -> None:
    """A tree of vessels that branches until it is thin or leaves ``inside`` (a map 0..1).

    Branches obey Murray's law (the cubes of two daughters' radii add up to their mother's).
    """
    open_ends = [(np.array(start, float), _unit(np.array(direction, float)), radius, length)]
    while open_ends:
        place, heading, thick, reach = open_ends.pop()
        stop = place + heading * reach
        paint_pill(canvas, tuple(place), tuple(stop), thick, thick * 0.88, tissue)
        if not _holds(canvas, inside, stop):
            continue
        share = chance.uniform(0.35, 0.65)
        axis = _unit(np.cross(heading, chance.standard_normal(3)))
        for part, side in ((share, 1.0), (1.0 - share, -1.0)):
            child = thick * 0.88 * part ** (1 / 3)
            if child < smallest:
                continue
            angle = side * np.deg2rad(chance.uniform(22, 48)) * (1.15 - part)
            turned = _unit(heading * np.cos(angle) + np.cross(axis, heading) * np.sin(angle))
            open_ends.append((stop, turned, child, max(7.0, reach * chance.uniform(0.72, 0.92))))


def lump(center: Point, diameter: float, chance: np.random.Generator, roughness: float = 0.35) -> Solid:
    """A roundish mass of about this diameter with an uneven surface."""
    radius = diameter / 2.0
    parts = [
        ellipsoid(center, tuple(radius * chance.uniform(0.72, 0.95, 3)), tuple(chance.uniform(0, 90, 3)))
    ]
    for _ in range(5):
        away = _unit(chance.standard_normal(3)) * radius * (1.0 - roughness)
        size = radius * chance.uniform(0.25, 0.5)
        parts.append(ellipsoid(tuple(np.array(center) + away), (size,) * 3))
    return union(*parts, smooth_mm=max(1.0, radius * 0.3))


def _holds(canvas: Canvas, inside: np.ndarray, place: np.ndarray) -> bool:
    index = []
    for axis, coordinate in zip(canvas.axes_mm, place):
        if not axis[0] <= coordinate <= axis[-1]:
            return False
        index.append(int(np.searchsorted(axis, coordinate)))
    return bool(inside[tuple(min(i, n - 1) for i, n in zip(index, canvas.shape))] > 0.5)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
