"""The chest in CT."""

from __future__ import annotations

import numpy as np

from medsynth_app.synthesis.phantoms.canvas import Canvas, Solid
from medsynth_app.synthesis.phantoms.lesions import lesion_center
from medsynth_app.synthesis.phantoms.request import VolumeRequest
from medsynth_app.synthesis.phantoms.solids import (
    block,
    both,
    box_around,
    ellipsoid,
    grown,
    paint_pill,
    paint_tube,
    pill,
    tube,
    union,
    without,
)
from medsynth_app.synthesis.phantoms.trunk import lump, paint_spine, paint_tree, paint_wall, ribs

SPINE_Y = -62.0


def paint_chest(canvas: Canvas, request: VolumeRequest, chance: np.random.Generator) -> None:
    """Wall, bones, lungs with vessels, mediastinum, upper abdomen, then the disease."""
    size = (0.93 if request.female else 1.0) * chance.uniform(0.97, 1.03)
    fat = chance.uniform(9, 17) * (1.3 if request.female else 1.0)
    outer = (172 * size, 118 * size)
    if request.female:
        _paint_breasts(canvas, outer)
    paint_wall(canvas, outer, fat, 11.0)
    cage = (128 * size, 86 * size)
    inner = _cage(cage, 2.0)
    canvas.paint(inner, "fat")
    _paint_bones(canvas, cage, request)
    _paint_upper_abdomen(canvas, inner, size)
    _paint_lungs(canvas, inner, size)
    _paint_mediastinum(canvas, size, request)
    _paint_lung_vessels(canvas, chance)
    _paint_airways(canvas)
    _paint_disease(canvas, request, chance, inner)


def _narrowing(points: np.ndarray) -> np.ndarray:
    """Factor on the cage: a dome that closes at the top."""
    return np.sqrt(np.clip(1.0 - (np.maximum(points[2] + 40.0, 0.0) / 205.0) ** 2.4, 0.04, 1.0)).astype(
        np.float32
    )


def _cage(radii: tuple[float, float], margin: float) -> Solid:
    def distance(points: np.ndarray) -> np.ndarray:
        factor = _narrowing(points)
        x, y = points[0] / (radii[0] * factor), points[1] / (radii[1] * factor)
        return (np.sqrt(x * x + y * y) - 1.0) * min(radii) * 0.9 + margin

    return distance


def _paint_breasts(canvas: Canvas, outer: tuple[float, float]) -> None:
    for side in (-1, 1):
        center = (side * 75.0, outer[1] - 12.0, -25.0)
        box = box_around([center], 75)
        canvas.paint(ellipsoid(center, (58, 44, 56)), "skin", box)
        canvas.paint(ellipsoid(center, (56, 42, 54)), "fat", box)
        canvas.paint(
            ellipsoid((center[0], center[1] + 12, center[2]), (26, 17, 24)),
            "muscle",
            box,
            opacity=0.55,
            soft_mm=14,
        )


def _paint_bones(canvas: Canvas, cage: tuple[float, float], request: VolumeRequest) -> None:
    rods = ribs(cage, 0.0, 31.0, 78.0, _narrowing)
    canvas.paint(rods, "cortical_bone", label="ribs")
    canvas.paint(grown(rods, -2.0), "trabecular_bone", label="ribs")
    top = canvas.axes_mm[2][-1] + 20
    paint_spine(canvas, SPINE_Y, canvas.axes_mm[2][0] - 20, top, "spine")
    sternum = block((0, cage[1] - 2, 35), (17, 6, 62), 4, (-8, 0, 0))
    canvas.paint(sternum, "cortical_bone", ((-25, 50, -40), (25, 110, 110)))
    canvas.paint(grown(sternum, -2.0), "trabecular_bone", ((-25, 50, -40), (25, 110, 110)))
    for side in (-1, 1):
        scapula = block((side * 98, -72, 78), (38, 4, 58), 3.5, (12, 0, side * 38))
        canvas.paint(scapula, "cortical_bone", box_around([(side * 98, -72, 78)], 75))
        clavicle = [(side * 18.0, 62.0, 122.0), (side * 70.0, 48.0, 134.0), (side * 125.0, 5.0, 140.0)]
        paint_tube(canvas, clavicle, 6.5, "cortical_bone")
        paint_tube(canvas, clavicle, 4.0, "trabecular_bone")
        humerus = (side * 150.0, -15.0, 128.0)
        canvas.paint(ellipsoid(humerus, (24, 24, 24)), "cortical_bone", box_around([humerus], 30))
        canvas.paint(ellipsoid(humerus, (21, 21, 21)), "trabecular_bone", box_around([humerus], 30))


def _liver(size: float) -> Solid:
    return union(
        ellipsoid((58, 5, -138), (68 * size, 72 * size, 62)),
        ellipsoid((-12, 22, -150), (62, 48, 42)),
        smooth_mm=20,
    )


def _paint_upper_abdomen(canvas: Canvas, inner: Solid, size: float) -> None:
    canvas.paint(both(_liver(size), inner), "liver", ((-90, -90, -200), (150, 110, -50)), "liver")
    spleen = ellipsoid((-88, -35, -140), (32, 46, 48))
    canvas.paint(both(spleen, inner), "spleen", box_around([(-88, -35, -140)], 60))
    stomach = ellipsoid((-55, 20, -135), (42, 38, 40), (0, 20, 0))
    canvas.paint(grown(stomach, 4.0), "bowel_wall", box_around([(-55, 20, -135)], 60))
    canvas.paint(stomach, "bowel_content", box_around([(-55, 20, -135)], 60))
    canvas.paint(both(stomach, lambda p: 32.0 - p[1]), "gas", box_around([(-55, 20, -135)], 60))


def _lung(side: int, size: float) -> Solid:
    """One lung without what other organs take of it."""
    return ellipsoid((side * 66 * size, -4, -22), (62 * size, 86 * size, 168), (0, side * -4, 0))


def _heart(size: float) -> Solid:
    return union(
        ellipsoid((-26, 30, -62), (46 * size, 36 * size, 50), (0, 35, -30)),
        ellipsoid((14, 22, -45), (32 * size, 30 * size, 40)),
        smooth_mm=18,
    )


def _mediastinum() -> Solid:
    return union(ellipsoid((0, -28, 20), (30, 46, 190)), ellipsoid((-4, 22, 10), (34, 46, 150)), smooth_mm=20)


def _paint_lungs(canvas: Canvas, inner: Solid, size: float) -> None:
    below = grown(union(_liver(size), ellipsoid((-70, -5, -150), (62, 78, 60)), smooth_mm=10), 6.0)
    taken = union(grown(_heart(size), 3.0), _mediastinum(), below)
    for side, label in ((1, "lung_right"), (-1, "lung_left")):
        # The patient's right is at +x.
        lung = without(both(_lung(side, size), grown(inner, -7.0)), taken)
        canvas.paint(lung, "lung", label=label)


def _paint_mediastinum(canvas: Canvas, size: float, request: VolumeRequest) -> None:
    heart = _heart(size)
    box = ((-85, -40, -130), (65, 85, 20))
    canvas.paint(grown(heart, 2.5), "fat", box)
    canvas.paint(heart, "myocardium", box, "heart")
    for center, radii in (
        ((-32, 30, -66), (26, 21, 32)),
        ((4, 42, -60), (25, 19, 32)),
        ((22, 12, -40), (22, 20, 28)),
        ((-12, -4, -38), (26, 17, 22)),
    ):
        canvas.paint(ellipsoid(center, radii, (0, 25, -20)), "blood", box_around([center], 40), "heart")
    age = 1.0 + 0.004 * (request.age - 50)
    arch = [
        (8.0, 18.0, -25.0),
        (12.0, 24.0, 10.0),
        (8.0, 16.0, 48.0),
        (-6.0, -6.0, 62.0),
        (-18.0, -32.0, 52.0),
        (-20.0, -42.0, 20.0),
        (-16.0, -42.0, -80.0),
        (-8.0, -40.0, -190.0),
    ]
    paint_tube(canvas, arch, 13.5 * age, "muscle")
    paint_tube(canvas, arch, 12.3 * age, "arterial_blood", "aorta")
    if request.age > 55:
        for number in range(int((request.age - 50) / 5)):
            place = arch[2 + number % 5]
            spot = (place[0] + 11.0 * age, place[1], place[2] + 5.0 * (number // 5))
            canvas.paint(ellipsoid(spot, (2.2, 3.4, 4)), "calcification", box_around([spot], 6))
    paint_tube(canvas, [(24.0, 8.0, -30.0), (24.0, 12.0, 50.0), (20.0, 14.0, 90.0)], 9.0, "blood")
    paint_tube(canvas, [(-8.0, 26.0, -22.0), (-14.0, 14.0, 12.0), (-32.0, -6.0, 8.0)], 12.0, "blood")
    paint_tube(canvas, [(-12.0, 10.0, 8.0), (16.0, -4.0, 4.0), (40.0, -8.0, 0.0)], 10.0, "blood")
    for x, y in ((-22, 2), (-10, 14), (14, 20), (22, 6)):
        paint_tube(canvas, [(x * 0.6, y, 62.0), (x * 1.3, y, 105.0), (x * 1.6, y - 4, 160.0)], 5.0, "blood")
    paint_tube(canvas, [(-6.0, -30.0, 150.0), (-4.0, -32.0, -60.0), (-18.0, -20.0, -110.0)], 6.5, "muscle")


def _paint_lung_vessels(canvas: Canvas, chance: np.random.Generator) -> None:
    for side, label in ((1, "lung_right"), (-1, "lung_left")):
        inside = canvas.is_labelled(label).astype(np.float32)
        for heading in (
            (0.5, 0.15, 0.9),
            (0.8, 0.7, 0.15),
            (0.9, -0.5, 0.2),
            (0.55, -0.5, -0.8),
            (0.6, 0.5, -0.6),
            (0.3, -0.2, -1.0),
        ):
            start = (side * 34.0, -8.0, chance.uniform(-6, 8))
            paint_tree(
                canvas,
                start,
                (side * heading[0], heading[1], heading[2]),
                5.6,
                "blood",
                inside,
                chance,
                19.0,
                0.6,
            )


def _paint_airways(canvas: Canvas) -> None:
    carina = (2.0, -18.0, 32.0)
    branches = [[(2.0, -14.0, 165.0), carina], [carina, (32.0, -16.0, 6.0)], [carina, (-36.0, -18.0, 4.0)]]
    for path in branches:
        radius = 9.0 if path[0] != carina else 7.0
        paint_pill(canvas, path[0], path[1], radius + 1.8, radius + 1.8, "cartilage")
        paint_pill(canvas, path[0], path[1], radius, radius, "gas", "trachea")
    for side, end in ((1, (32.0, -16.0, 6.0)), (-1, (-36.0, -18.0, 4.0))):
        for dx, dy, dz in ((30, 6, 34), (34, 18, -18), (22, -22, -46), (30, -26, 8)):
            tip = (end[0] + side * dx, end[1] + dy, end[2] + dz)
            paint_pill(canvas, end, tip, 4.6, 2.8, "muscle")
            paint_pill(canvas, end, tip, 3.4, 1.8, "gas")


def _paint_disease(canvas: Canvas, request: VolumeRequest, chance: np.random.Generator, inner: Solid) -> None:
    severity, size = request.severity, request.lesion_size_mm
    lungs = canvas.is_labelled("lung_left", "lung_right").astype(np.float32)
    if request.pathology == "nodule":
        center = lesion_center(canvas, request, chance)
        box = box_around([center], size)
        canvas.paint(lump(center, size, chance), "tumor", box, "lesion")
        for _ in range(int(6 + 8 * severity)):
            away = chance.standard_normal(3)
            tip = tuple(np.array(center) + away / np.linalg.norm(away) * size * chance.uniform(0.6, 0.95))
            canvas.paint(pill(center, tip, 0.09 * size, 0.2), "tumor", box, inside=lungs)
    elif request.pathology == "pneumonia":
        center = lesion_center(canvas, request, chance)
        box = box_around([center], size * 1.3)
        mass = lump(center, size, chance, 0.2)
        canvas.paint(
            grown(mass, size * 0.12), "ground_glass", box, opacity=0.55, inside=lungs, soft_mm=0.4 * size
        )
        canvas.paint(
            mass,
            "consolidated_lung",
            box,
            "lesion",
            opacity=0.5 + 0.45 * severity,
            inside=lungs,
            soft_mm=0.3 * size,
        )
        for _ in range(4):
            tip = tuple(np.array(center) + chance.normal(0, size * 0.3, 3))
            canvas.paint(tube([center, tip], 1.6), "gas", box, inside=lungs)
    elif request.pathology == "pleural_effusion":
        level = -80.0 + 95.0 * severity
        side = 1 if chance.random() < 0.5 else -1
        lung = "lung_right" if side > 0 else "lung_left"

        def pool(points: np.ndarray) -> np.ndarray:
            # The patient lies on the back: the fluid's level rises towards the front less steeply than to the foot.
            return (points[1] + 0.35 * (points[2] + 60.0) - level * 0.75 + 10.0) * 0.9

        canvas.paint(
            both(pool, grown(inner, -3.0)),
            "fluid",
            label="lesion",
            inside=canvas.is_labelled(lung).astype(np.float32),
        )
    elif request.pathology == "emphysema":
        for _ in range(int(20 + 420 * severity)):
            spots = np.argwhere(lungs > 0.5)
            if not len(spots):
                return
            index = spots[chance.integers(len(spots))]
            center = canvas.place_of(index)
            radius = chance.uniform(2.0, 4.0 + 9.0 * severity)
            canvas.paint(
                ellipsoid(center, (radius,) * 3),
                "emphysema",
                box_around([center], radius),
                "lesion",
                inside=lungs,
                soft_mm=3,
            )
