"""The spine in MR: five to eight vertebrae with their discs, canal, cord and muscles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medsynth_app.synthesis.phantoms.canvas import Canvas, Point, Solid
from medsynth_app.synthesis.phantoms.lesions import lesion_center
from medsynth_app.synthesis.phantoms.request import VolumeRequest
from medsynth_app.synthesis.phantoms.solids import (
    block,
    both,
    box_around,
    ellipsoid,
    grown,
    paint_tube,
    pill,
    union,
)
from medsynth_app.synthesis.phantoms.trunk import lump


@dataclass(frozen=True)
class Level:
    """One part of the spine.

    Attributes:
        height_mm: of a vertebral body.
        disc_mm: height of a disc.
        halves_mm: of a body, right and anterior.
        bend_mm: how far the middle stands forward (lordosis) or back (kyphosis).
        canal_mm: half depth of the canal.
        cord_mm: half depth of the cord; 0 = it has ended.
        spine_tilt_deg / spine_mm: of the spinous processes.
    """

    height_mm: float
    disc_mm: float
    halves_mm: tuple[float, float]
    bend_mm: float
    canal_mm: float
    cord_mm: float
    spine_tilt_deg: float
    spine_mm: float


LEVELS = {
    "lumbar": Level(27.0, 10.5, (23.0, 17.0), 22.0, 8.5, 0.0, 10.0, 16.0),
    "thoracic": Level(21.0, 5.5, (16.0, 14.0), -20.0, 7.5, 3.6, 42.0, 18.0),
    "cervical": Level(14.0, 5.0, (11.0, 8.5), 10.0, 7.0, 3.9, 20.0, 12.0),
}
AXIS_Y = 28.0


@dataclass(frozen=True)
class Vertebra:
    """Where one vertebra lies: middle of its body, lean of its end plates in degrees, its height."""

    center: Point
    lean_deg: float
    height_mm: float


def paint_spine_mr(canvas: Canvas, request: VolumeRequest, chance: np.random.Generator) -> None:
    """Soft tissue, vertebrae and discs, canal, then the disease."""
    level = LEVELS[request.region]
    size = (0.92 if request.female else 1.0) * chance.uniform(0.97, 1.03)
    vertebrae = _vertebrae(level, size, request, chance)
    _paint_soft_tissue(canvas, request, chance)
    for vertebra in vertebrae:
        _paint_vertebra(canvas, level, size, vertebra)
    _paint_canal(canvas, level, size, vertebrae, request)
    dryness = _dryness(request)
    worst = len(vertebrae) // 2 if request.region != "lumbar" else 1
    for number, (lower, upper) in enumerate(zip(vertebrae, vertebrae[1:])):
        sick = request.pathology in ("disc_herniation", "disc_degeneration") and abs(number - worst) <= 0
        worn = request.pathology == "disc_degeneration" and abs(number - worst) <= 1
        dry = min(
            1.0, dryness + chance.uniform(-0.1, 0.1) + (0.8 * request.severity if sick or worn else 0.0)
        )
        _paint_disc(canvas, level, size, lower, upper, dry, request if sick else None)
    if request.pathology == "vertebral_metastasis":
        center = lesion_center(canvas, request, chance)
        bone = canvas.is_labelled("vertebrae").astype(np.float32)
        canvas.paint(
            lump(center, request.lesion_size_mm, chance),
            "metastasis",
            box_around([center], 30),
            "lesion",
            inside=bone,
        )


def _dryness(request: VolumeRequest) -> float:
    """Discs lose water with age."""
    return float(np.clip((request.age - 25) / 75.0, 0.0, 0.8))


def _vertebrae(
    level: Level, size: float, request: VolumeRequest, chance: np.random.Generator
) -> list[Vertebra]:
    """From below to above along the bend of the level."""
    step = (level.height_mm + level.disc_mm) * size
    count = int(np.ceil(request.kind.extent_mm[2] / step)) + 1
    heights = np.full(count, level.height_mm * size)
    broken = count // 2
    if request.pathology == "vertebral_fracture":
        heights[broken] *= 1.0 - 0.6 * request.severity
    bottoms = np.concatenate([[0.0], np.cumsum(heights + level.disc_mm * size)])[:-1]
    middles = bottoms + heights / 2.0
    middles -= middles.mean()
    result = []
    for z, height in zip(middles, heights):
        share = z / (request.kind.extent_mm[2] / 2.0)
        y = AXIS_Y + level.bend_mm * (1.0 - share**2) - level.bend_mm / 2.0
        lean = float(np.rad2deg(np.arctan(2.0 * level.bend_mm * share / (request.kind.extent_mm[2] / 2.0))))
        result.append(Vertebra((0.0, float(y + chance.uniform(-0.7, 0.7)), float(z)), lean, float(height)))
    return result


def _paint_soft_tissue(canvas: Canvas, request: VolumeRequest, chance: np.random.Generator) -> None:
    fat = chance.uniform(12, 24)
    neck = request.region == "cervical"
    back = -72.0 if neck else -92.0

    def skin(points: np.ndarray) -> np.ndarray:
        inside = back - points[1] + (points[0] / 90.0) ** 2 * 14.0
        return np.maximum(inside, points[1] - 62.0) if neck else inside

    canvas.paint(skin, "skin")
    canvas.paint(grown(skin, -2.0), "fat")
    canvas.paint(both(grown(skin, -fat), lambda p: np.abs(p[0]) - 200.0), "muscle", soft_mm=3)
    for _ in range(36):
        x, z = chance.uniform(-60, 60), chance.uniform(-150, 150)
        streak: list[Point] = [
            (x, back + fat + 4, z),
            (x * 0.8, back + fat + chance.uniform(18, 34), z + chance.uniform(15, 60)),
        ]
        canvas.paint(
            pill(streak[0], streak[1], chance.uniform(0.8, 1.8)), "fat", box_around(streak, 4), opacity=0.8
        )
    canvas.paint(both(lambda p: AXIS_Y + 14.0 - p[1], skin), "fat", soft_mm=6)
    if neck:
        paint_tube(canvas, [(0.0, 46.0, 150.0), (0.0, 48.0, -150.0)], 8.0, "gas")
        paint_tube(canvas, [(0.0, 36.0, 150.0), (0.0, 36.0, -150.0)], 4.0, "muscle")
        canvas.paint(ellipsoid((0, 44, -60), (30, 12, 26)), "spleen", box_around([(0, 44, -60)], 36))
        return
    for z in range(-150, 160, 34):
        place = (chance.uniform(-25, 25), chance.uniform(84, 104), float(z) + chance.uniform(-8, 8))
        radius = chance.uniform(13, 19)
        canvas.paint(ellipsoid(place, (radius, radius * 0.8, radius)), "bowel_wall", box_around([place], 24))
        canvas.paint(
            ellipsoid(place, (radius - 2.5, radius * 0.8 - 2.5, radius - 2.5)),
            "bowel_content",
            box_around([place], 24),
        )
    for x, y, radius, tissue in ((-10.0, 62.0, 10.0, "flowing_blood"), (16.0, 60.0, 10.5, "flowing_blood")):
        paint_tube(canvas, [(x, y, 160.0), (x * 0.8, y + 2, 0.0), (x, y - 6, -160.0)], radius, tissue)
    for side in (-1, 1):
        paint_tube(canvas, [(side * 32.0, 24.0, 90.0), (side * 46.0, 30.0, -150.0)], 17.0, "muscle")


def _paint_vertebra(canvas: Canvas, level: Level, size: float, vertebra: Vertebra) -> None:
    x, y = level.halves_mm[0] * size, level.halves_mm[1] * size
    half = vertebra.height_mm / 2.0
    turn = (vertebra.lean_deg, 0.0, 0.0)
    box = box_around([vertebra.center], 62)
    body = block(vertebra.center, (x, y, half), min(4.0, half * 0.5), turn)
    canvas.paint(body, "cortical_bone", box, "vertebrae")
    canvas.paint(grown(body, -1.3), "trabecular_bone", box, "vertebrae")
    _, cy, cz = vertebra.center
    vein = ellipsoid((0, cy - y * 0.7, cz), (5, y * 0.45, 2.2), turn)
    canvas.paint(vein, "blood", box_around([(0, cy - y, cz)], 12), opacity=0.6)
    back = cy - y - 2.0 * level.canal_mm * size - 3.0
    tip = (0.0, back - level.spine_mm * size, cz - level.height_mm * 0.45 - level.spine_tilt_deg * 0.25)
    arch: list[Solid] = [
        block(
            ((0.0 + tip[0]) / 2, (back + tip[1]) / 2, tip[2] + 3),
            (3.4, level.spine_mm * size * 0.6, 8.5 * size),
            3,
            (level.spine_tilt_deg, 0.0, 0.0),
        )
    ]
    for side in (-1, 1):
        arch.append(block((side * x * 0.62, cy - y - 5, cz + half * 0.3), (4, 8, half * 0.45), 2.5))
        arch.append(
            block((side * x * 0.5, back + 3, cz - half * 0.3), (7, 3.5, half * 0.9), 2.5, (0, 0, side * 35))
        )
        arch.append(block((side * x * 1.35, cy - y - 9, cz + half * 0.2), (11, 3.5, 4.5), 2.5))
    behind = union(*arch)
    canvas.paint(behind, "cortical_bone", box, "vertebrae")
    canvas.paint(grown(behind, -1.2), "trabecular_bone", box, "vertebrae")
    ligament = pill((0.0, tip[1] + 6, tip[2] - 8), (0.0, tip[1] + 6, tip[2] - vertebra.height_mm), 2.2)
    canvas.paint(ligament, "ligament", box, opacity=0.7)


def _paint_canal(
    canvas: Canvas, level: Level, size: float, vertebrae: list[Vertebra], request: VolumeRequest
) -> None:
    depth = level.canal_mm * size
    path = [(0.0, v.center[1] - level.halves_mm[1] * size - depth - 1.5, v.center[2]) for v in vertebrae]
    paint_tube(canvas, path, depth + 2.0, "fat")
    paint_tube(canvas, path, depth + 0.8, "ligament")
    paint_tube(canvas, path, depth, "cerebrospinal_fluid", "spinal_canal")
    if level.cord_mm:
        paint_tube(canvas, path, level.cord_mm * size, "cord", "cord")
        return
    # The cord ends at the first lumbar vertebra; below it the nerve roots hang at the back of the sac.
    end = max(len(path) - 3, 1)
    paint_tube(canvas, path[end:], 3.6, "cord", "cord")
    for root in range(9):
        x, y = (root - 4) * 1.5, -0.45 * depth - 0.25 * ((root * 7) % 5)
        hanging = [
            (x * min(1.0, (end - i) / 2.0 + 0.3), p[1] + y, p[2]) for i, p in enumerate(path[: end + 1])
        ]
        paint_tube(canvas, hanging, 0.55, "nerve")


def _paint_disc(
    canvas: Canvas,
    level: Level,
    size: float,
    lower: Vertebra,
    upper: Vertebra,
    dry: float,
    sick: VolumeRequest | None,
) -> None:
    x, y = level.halves_mm[0] * size, level.halves_mm[1] * size
    gap = (upper.center[2] - upper.height_mm / 2.0) - (lower.center[2] + lower.height_mm / 2.0)
    middle = (
        (lower.center[0] + upper.center[0]) / 2,
        (lower.center[1] + upper.center[1]) / 2,
        lower.center[2] + lower.height_mm / 2.0 + gap / 2.0,
    )
    half = gap / 2.0 * (1.0 - 0.35 * dry)
    turn = ((lower.lean_deg + upper.lean_deg) / 2.0, 0.0, 0.0)
    box = box_around([middle], 40)
    canvas.paint(block(middle, (x, y, gap / 2.0 + 0.6), 1.5, turn), "cortical_bone", box)
    ring = block(middle, (x + 0.5, y + 0.8, half), min(3.0, half * 0.8), turn)
    canvas.paint(ring, "disc_ring", box, "discs")
    core = ellipsoid((middle[0], middle[1] - 1.0, middle[2]), (x * 0.68, y * 0.66, half * 0.85), turn)
    canvas.paint(core, "disc_nucleus", box, "discs", soft_mm=2.5)
    canvas.paint(core, "dry_disc", box, "discs", opacity=float(np.clip(dry, 0.0, 1.0)), soft_mm=2.5)
    if sick is not None:
        reach = 1.5 if sick.pathology == "disc_degeneration" else 2.0 + 9.0 * sick.severity
        bulge = (1.5, middle[1] - y, middle[2] - 0.5)
        canvas.paint(ellipsoid(bulge, (7.0, reach, half * 0.95 + 1.0)), "dry_disc", box, "lesion")
