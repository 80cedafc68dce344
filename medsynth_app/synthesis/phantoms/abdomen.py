"""The abdomen in CT, from the diaphragm to the pelvis."""

from __future__ import annotations

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
    tube,
    union,
    without,
)
from medsynth_app.synthesis.phantoms.trunk import (
    lump,
    paint_spine,
    paint_tree,
    paint_wall,
    ribs,
)

SPINE_Y = -52.0
KIDNEYS: dict[str, Point] = {"kidney_right": (62.0, -38.0, 18.0), "kidney_left": (-62.0, -38.0, 32.0)}


def paint_abdomen(canvas: Canvas, request: VolumeRequest, chance: np.random.Generator) -> None:
    """Wall, bones, bowel, organs, vessels, then the disease."""
    size = (0.93 if request.female else 1.0) * chance.uniform(0.97, 1.03)
    fat = chance.uniform(13, 24) * (1.25 if request.female else 1.0)
    cavity = paint_wall(canvas, (168 * size, 116 * size), fat, 13.0)
    canvas.paint(cavity, "fat")
    if request.pathology == "ascites":
        _paint_ascites(canvas, cavity, request.severity)
    _paint_muscles(canvas)
    _paint_bowel(canvas, cavity, chance)
    _paint_bones(canvas, size)
    _paint_organs(canvas, cavity, request, chance)
    _paint_vessels(canvas, request)
    _paint_pelvis(canvas, request)
    _paint_disease(canvas, request, chance)


def _paint_ascites(canvas: Canvas, cavity: Solid, severity: float) -> None:
    margin = 2.0 + 26.0 * severity

    def rim(points: np.ndarray) -> np.ndarray:
        """Along the wall, more of it at the flanks, none behind the peritoneum."""
        return np.maximum(
            -(cavity(points) + margin * np.clip(np.abs(points[0]) / 70.0, 0.4, 1.3)), -55.0 - points[1]
        )

    canvas.paint(both(cavity, rim), "fluid", label="lesion")


def _paint_muscles(canvas: Canvas) -> None:
    for side in (-1, 1):
        canvas.paint(ellipsoid((side * 33, -92, 0), (30, 18, 400)), "muscle")
        psoas = tube(
            [(side * 26.0, -48.0, 60.0), (side * 40.0, -40.0, -40.0), (side * 62.0, -10.0, -140.0)], 17.0
        )
        canvas.paint(psoas, "muscle", ((-90, -80, -170), (90, 20, 80)))


def _paint_bowel(canvas: Canvas, cavity: Solid, chance: np.random.Generator) -> None:
    """Loops of small bowel, then the colon's frame with stool and gas."""
    inside = np.clip(0.5 - (cavity(canvas.points) + 8.0), 0.0, 1.0).astype(np.float32)
    for _ in range(26):
        place = np.array([chance.uniform(-75, 75), chance.uniform(-5, 52), chance.uniform(-135, -5)])
        path = [tuple(place)]
        for _ in range(4):
            place = place + chance.normal(0, [24, 10, 14])
            path.append(tuple(place))
        for start, stop in zip(path, path[1:]):
            box = box_around([start, stop], 14)
            canvas.paint(tube([start, stop], 11.5), "bowel_wall", box, "bowel", inside=inside)
            canvas.paint(tube([start, stop], 9.0), "bowel_content", box, inside=inside)
    frame: list[Point] = [
        (92.0, -12.0, -115.0),
        (98.0, -14.0, -50.0),
        (90.0, -4.0, 12.0),
        (40.0, 52.0, 2.0),
        (-30.0, 56.0, 8.0),
        (-92.0, -4.0, 42.0),
        (-100.0, -20.0, -40.0),
        (-92.0, -14.0, -112.0),
        (-30.0, 4.0, -136.0),
        (0.0, -36.0, -160.0),
    ]
    for start, stop in zip(frame, frame[1:]):
        _paint_colon_part(canvas, np.array(start), np.array(stop), chance)


def _paint_colon_part(
    canvas: Canvas, start: np.ndarray, stop: np.ndarray, chance: np.random.Generator
) -> None:
    """A row of bulges (haustra), filled with stool below and gas above."""
    count = max(2, int(np.linalg.norm(stop - start) / 19.0))
    for share in np.linspace(0.0, 1.0, count):
        center = start + share * (stop - start) + chance.normal(0, 2.0, 3)
        radius = chance.uniform(15, 20)
        place, box = tuple(center), box_around([tuple(center)], 24)
        ball = ellipsoid(place, (radius,) * 3)
        canvas.paint(ball, "bowel_wall", box, "bowel")
        canvas.paint(grown(ball, -2.2), "stool", box)
        level = center[1] + chance.uniform(-6, 14)
        canvas.paint(both(grown(ball, -2.4), lambda p, y=level: y - p[1]), "gas", box)  # type: ignore[misc]


def _paint_bones(canvas: Canvas, size: float) -> None:
    paint_spine(canvas, SPINE_Y, canvas.axes_mm[2][0] - 20, canvas.axes_mm[2][-1] + 20, "spine")
    rods = ribs((128 * size, 88 * size), 0.0, 31.0, 66.0, lambda p: np.ones_like(p[0]))
    lower = both(rods, lambda p: 55.0 - p[2] - 0.35 * np.abs(p[1] + 60.0))
    canvas.paint(lower, "cortical_bone")
    canvas.paint(grown(lower, -2.0), "trabecular_bone")
    for side in (-1, 1):
        wing = block((side * 92, -22, -105), (9, 56, 62), 7, (14, side * -24, side * 24))
        box = box_around([(side * 92, -22, -105)], 95)
        canvas.paint(wing, "cortical_bone", box)
        canvas.paint(grown(wing, -2.5), "trabecular_bone", box)
    sacrum = ellipsoid((0, -68, -130), (46, 18, 52), (22, 0, 0))
    canvas.paint(sacrum, "cortical_bone", box_around([(0, -68, -130)], 75), "spine")
    canvas.paint(grown(sacrum, -2.5), "trabecular_bone", box_around([(0, -68, -130)], 75), "spine")


def _liver(size: float) -> Solid:
    right = ellipsoid((72, -2, 82), (62 * size, 74 * size, 84), (0, 8, 0))
    left = ellipsoid((6, 40, 104), (62, 36, 42), (0, -14, -10))
    return union(right, left, smooth_mm=26)


def _paint_organs(canvas: Canvas, cavity: Solid, request: VolumeRequest, chance: np.random.Generator) -> None:
    size = (0.94 if request.female else 1.0) * chance.uniform(0.95, 1.05)
    stomach = union(
        ellipsoid((-58, 22, 108), (38, 36, 48), (0, 14, 0)),
        ellipsoid((-22, 42, 62), (38, 20, 22)),
        smooth_mm=24,
    )
    box: tuple[Point, Point] = ((-110, -30, 30), (30, 80, 170))
    canvas.paint(grown(stomach, 4.0), "bowel_wall", box, "stomach")
    canvas.paint(stomach, "bowel_content", box, "stomach")
    canvas.paint(both(stomach, lambda p: 34.0 - p[1]), "gas", box)
    inside = grown(cavity, -2.0)
    spleen = without(
        ellipsoid((-98, -34, 104), (27, 48, 54), (10, 14, 0)), ellipsoid((-62, -8, 104), (30, 40, 50))
    )
    canvas.paint(both(spleen, inside), "spleen", ((-140, -95, 30), (-40, 40, 180)), "spleen")
    liver = without(
        both(_liver(size), inside),
        ellipsoid((62, -42, 22), (34, 36, 54)),
        ellipsoid((40, 22, 28), (22, 26, 30)),
    )
    tissue = "liver"
    canvas.paint(liver, tissue, ((-80, -100, -20), (150, 110, 180)), "liver")
    if request.pathology == "liver_steatosis":
        canvas.paint(
            liver, "fatty_liver", ((-80, -100, -20), (150, 110, 180)), "lesion", opacity=request.severity
        )
    _paint_liver_vessels(canvas, liver, request, chance)
    gallbladder = ellipsoid((46, 38, 34), (13, 22, 15), (20, 0, 0))
    canvas.paint(grown(gallbladder, 1.8), "bowel_wall", box_around([(46, 38, 34)], 30))
    canvas.paint(gallbladder, "fluid", box_around([(46, 38, 34)], 30), "gallbladder")
    head_to_tail: list[Point] = [
        (30.0, 2.0, 26.0),
        (12.0, 12.0, 40.0),
        (-22.0, 0.0, 52.0),
        (-66.0, -22.0, 72.0),
    ]
    canvas.paint(tube(head_to_tail, 10.5), "pancreas", ((10 - 100, -50, 0), (50, 40, 95)), "pancreas")
    for name, center in KIDNEYS.items():
        _paint_kidney(canvas, name, center, size)


def _paint_liver_vessels(
    canvas: Canvas, liver: Solid, request: VolumeRequest, chance: np.random.Generator
) -> None:
    inside = np.clip(0.5 - liver(canvas.points), 0.0, 1.0).astype(np.float32)
    vein = "blood"
    for heading in ((0.9, 0.1, 0.5), (0.7, -0.6, 0.1), (-0.4, 0.7, 0.6)):
        paint_tree(canvas, (30.0, 2.0, 66.0), heading, 6.5, vein, inside, chance, 24.0, 1.4)
    for heading in ((0.8, 0.3, -0.4), (0.3, 0.9, -0.3), (0.6, -0.5, -0.5)):
        paint_tree(canvas, (22.0, -18.0, 138.0), heading, 5.5, vein, inside, chance, 26.0, 1.4)


def _paint_kidney(canvas: Canvas, name: str, center: Point, size: float) -> None:
    side = 1.0 if center[0] > 0 else -1.0
    turn = (-12.0, side * -14.0, side * 32.0)
    bean = without(
        ellipsoid(center, (27 * size, 31 * size, 55 * size), turn),
        ellipsoid((center[0] - side * 27, center[1] + 12, center[2]), (15, 17, 16)),
    )
    box = box_around([center], 66)
    canvas.paint(bean, "kidney_cortex", box, name)
    for row in range(-2, 3):
        for angle in (-60.0, 5.0, 70.0):
            dx, dy = np.cos(np.deg2rad(angle)) * 14 * side, np.sin(np.deg2rad(angle)) * 16
            place = (center[0] + dx, center[1] + dy, center[2] + row * 17.0)
            canvas.paint(
                both(ellipsoid(place, (8, 8, 7)), grown(bean, -5.0)),
                "kidney_medulla",
                box_around([place], 12),
            )
    hilum = (center[0] - side * 9, center[1] + 5, center[2])
    canvas.paint(ellipsoid(hilum, (11, 9, 23)), "fat", box_around([hilum], 28))
    canvas.paint(
        ellipsoid((hilum[0] - side * 5, hilum[1] + 1, hilum[2]), (8, 6, 11)), "fluid", box_around([hilum], 20)
    )


def _paint_vessels(canvas: Canvas, request: VolumeRequest) -> None:
    wide = 10.0 * (1.0 + 0.006 * (request.age - 50))
    aorta: list[Point] = [(-8.0, -26.0, 190.0), (-6.0, -24.0, -70.0)]
    paint_tube(canvas, aorta, wide + 1.2, "muscle")
    paint_tube(canvas, aorta, wide, "arterial_blood", "aorta")
    if request.age > 55:
        for number in range(int((request.age - 50) / 4)):
            spot = (-8.0 + (-1) ** number * wide, -24.0, 60.0 - 11.0 * number)
            canvas.paint(ellipsoid(spot, (1.8, 4, 4)), "calcification", box_around([spot], 6))
    for side in (-1, 1):
        paint_tube(
            canvas,
            [(-6.0, -24.0, -68.0), (side * 28.0, -18.0, -120.0), (side * 56.0, 6.0, -170.0)],
            6.0,
            "arterial_blood",
        )
        paint_tube(
            canvas,
            [(14.0, -26.0, -78.0), (side * 32.0, -28.0, -122.0), (side * 58.0, -4.0, -170.0)],
            6.5,
            "blood",
        )
        kidney = KIDNEYS["kidney_right" if side > 0 else "kidney_left"]
        paint_tube(
            canvas,
            [(12.0, -22.0, kidney[2] + 6), (kidney[0] - side * 12, kidney[1] + 6, kidney[2])],
            4.5,
            "blood",
        )
    cava: list[Point] = [(14.0, -26.0, -78.0), (16.0, -24.0, 60.0), (20.0, -16.0, 190.0)]
    paint_tube(canvas, cava, 11.0, "blood", "inferior_vena_cava")
    paint_tube(canvas, [(8.0, 2.0, 24.0), (14.0, 2.0, 46.0), (32.0, 4.0, 68.0)], 7.0, "blood")
    paint_tube(canvas, [(12.0, 0.0, 44.0), (-30.0, -8.0, 56.0), (-80.0, -26.0, 88.0)], 4.5, "blood")
    paint_tube(canvas, [(-6.0, -16.0, 40.0), (-4.0, 4.0, 10.0), (0.0, 16.0, -50.0)], 4.0, "arterial_blood")


def _paint_pelvis(canvas: Canvas, request: VolumeRequest) -> None:
    bladder = ellipsoid((0, 18, -158), (40, 32, 28))
    box = box_around([(0, 18, -158)], 50)
    canvas.paint(grown(bladder, 3.0), "bowel_wall", box)
    canvas.paint(bladder, "fluid", box, "bladder")
    if request.female:
        canvas.paint(ellipsoid((2, -14, -146), (26, 20, 26)), "muscle", box_around([(2, -14, -146)], 35))


def _paint_disease(canvas: Canvas, request: VolumeRequest, chance: np.random.Generator) -> None:
    if request.pathology == "liver_tumor":
        center = lesion_center(canvas, request, chance)
        size, box = request.lesion_size_mm, box_around([center], request.lesion_size_mm)
        liver = canvas.is_labelled("liver").astype(np.float32)
        mass = lump(center, size, chance)
        canvas.paint(mass, "liver_tumor", box, "lesion", inside=liver)
        canvas.paint(
            grown(mass, -size * 0.22),
            "necrosis",
            box,
            inside=liver,
            opacity=request.severity,
            soft_mm=0.15 * size,
        )
    elif request.pathology == "kidney_cyst":
        center = lesion_center(canvas, request, chance)
        cyst = ellipsoid(center, (request.lesion_size_mm / 2.0,) * 3)
        canvas.paint(cyst, "fluid", box_around([center], request.lesion_size_mm), "lesion")
