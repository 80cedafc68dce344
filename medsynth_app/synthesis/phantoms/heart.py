"""The heart in MR, in axial slices through chest and upper abdomen."""

from __future__ import annotations

import numpy as np

from medsynth_app.synthesis.phantoms.canvas import Canvas, Point, Solid
from medsynth_app.synthesis.phantoms.lesions import lesion_center
from medsynth_app.synthesis.phantoms.request import VolumeRequest
from medsynth_app.synthesis.phantoms.solids import (
    both,
    box_around,
    ellipsoid,
    grown,
    paint_tube,
    union,
    without,
)
from medsynth_app.synthesis.phantoms.trunk import lump, paint_spine, paint_tree, paint_wall, ribs

SPINE_Y = -68.0
APEX_TURN: Point = (0.0, 38.0, 42.0)
LEFT_CENTER: Point = (-34.0, 22.0, -12.0)


def paint_heart(canvas: Canvas, request: VolumeRequest, chance: np.random.Generator) -> None:
    """Wall, bones, lungs, liver, heart, vessels, then the disease."""
    size = (0.92 if request.female else 1.0) * chance.uniform(0.97, 1.03)
    inner = paint_wall(canvas, (146 * size, 112 * size), chance.uniform(8, 14), 10.0)
    canvas.paint(inner, "fat")
    rods = ribs((112 * size, 84 * size), 0.0, 31.0, 70.0, lambda p: np.ones_like(p[0]))
    canvas.paint(rods, "cortical_bone")
    canvas.paint(grown(rods, -1.8), "trabecular_bone")
    paint_spine(canvas, SPINE_Y, -110.0, 110.0, "aorta")
    canvas.label[:] = 0
    sternum = ellipsoid((0, 84, 20), (17, 6, 70))
    canvas.paint(sternum, "trabecular_bone", ((-20, 70, -60), (20, 95, 95)))
    _paint_surroundings(canvas, inner, size, chance)
    wall, chamber = _muscle_thickness(request), _chamber(request)
    _paint_chambers(canvas, size, wall, chamber, request)
    _paint_vessels(canvas, request)
    if request.pathology == "infarct_scar":
        center = lesion_center(canvas, request, chance)
        muscle = canvas.is_labelled("myocardium").astype(np.float32)
        mass = lump(center, request.lesion_size_mm, chance, 0.2)
        canvas.paint(
            mass, "scar", box_around([center], request.lesion_size_mm), "lesion", inside=muscle, soft_mm=3.0
        )


def _muscle_thickness(request: VolumeRequest) -> float:
    """Of the left ventricle at end-diastole: about 9 mm, a little more with age."""
    thickness = 9.0 + 0.02 * (request.age - 50)
    if request.pathology == "hypertrophic_cardiomyopathy":
        thickness += 2.0 + 10.0 * request.severity
    if request.pathology == "dilated_cardiomyopathy":
        thickness -= 3.0 * request.severity
    return thickness


def _chamber(request: VolumeRequest) -> float:
    """Factor on the left ventricle's cavity."""
    if request.pathology == "dilated_cardiomyopathy":
        return 1.08 + 0.42 * request.severity
    if request.pathology == "hypertrophic_cardiomyopathy":
        return 0.94 - 0.18 * request.severity
    return 1.0


def _paint_surroundings(canvas: Canvas, inner: Solid, size: float, chance: np.random.Generator) -> None:
    middle = union(
        ellipsoid((-14, 14, -4), (74, 58, 80)), ellipsoid((0, -34, 0), (32, 44, 200)), smooth_mm=22
    )
    dome = union(
        ellipsoid((56, 6, -112), (74, 80, 68)), ellipsoid((-30, 20, -122), (70, 60, 52)), smooth_mm=20
    )
    for side in (1, -1):
        lung = without(
            both(ellipsoid((side * 66 * size, 0, 10), (58 * size, 84 * size, 190)), grown(inner, -6.0)),
            middle,
            dome,
        )
        canvas.paint(lung, "lung")
        share = np.clip(0.5 - lung(canvas.points), 0.0, 1.0).astype(np.float32)
        for heading in ((0.8, 0.6, 0.2), (0.8, -0.6, 0.1), (0.7, 0.0, -0.8)):
            start = (side * 40.0, -10.0, 14.0)
            paint_tree(
                canvas,
                start,
                (side * heading[0], heading[1], heading[2]),
                4.6,
                "blood",
                share,
                chance,
                20.0,
                1.0,
            )
    canvas.paint(both(grown(dome, -4.0), inner), "liver")
    share = np.clip(0.5 - grown(dome, -6.0)(canvas.points), 0.0, 1.0).astype(np.float32)
    for heading in ((0.8, 0.3, -0.4), (0.7, -0.5, -0.3)):
        paint_tree(canvas, (26.0, -10.0, -62.0), heading, 5.0, "blood", share, chance, 22.0, 1.2)


def _left_ventricle(size: float, chamber: float) -> Solid:
    return ellipsoid(LEFT_CENTER, (44 * size * chamber, 23 * size * chamber, 23 * size * chamber), APEX_TURN)


def _paint_chambers(canvas: Canvas, size: float, wall: float, chamber: float, request: VolumeRequest) -> None:
    left = _left_ventricle(size, chamber)
    base = _beyond_base()
    right = ellipsoid((4, 40, -16), (46 * size, 25 * size, 36 * size), (0.0, 30.0, 30.0))
    box: tuple[Point, Point] = ((-110, -60, -90), (80, 95, 80))
    everything = union(
        grown(left, wall),
        grown(right, 4.0),
        ellipsoid((26, 6, 14), (34, 34, 34)),
        ellipsoid((-6, -18, 12), (38, 24, 28)),
        smooth_mm=14,
    )
    sac = 3.0 + (2.0 + 18.0 * request.severity if request.pathology == "pericardial_effusion" else 0.0)
    if sac > 3.0:
        canvas.paint(grown(everything, sac + 2.0), "ligament", box)
        canvas.paint(grown(everything, sac), "fluid", box, "lesion")
    canvas.paint(grown(everything, 2.0), "fat", box)
    canvas.paint(both(grown(right, 3.0), base), "myocardium", box)
    canvas.paint(both(right, base), "blood", box, "right_ventricle")
    septal_extra = 1.6 if request.pathology == "hypertrophic_cardiomyopathy" else 1.0
    shifted = ellipsoid(
        (
            LEFT_CENTER[0] + (septal_extra - 1.0) * wall * 0.5,
            LEFT_CENTER[1] + (septal_extra - 1.0) * wall * 0.4,
            LEFT_CENTER[2],
        ),
        (44 * size * chamber + wall, 23 * size * chamber + wall, 23 * size * chamber + wall),
        APEX_TURN,
    )
    canvas.paint(both(union(grown(left, wall), shifted, smooth_mm=4), base), "myocardium", box, "myocardium")
    canvas.paint(both(left, base), "arterial_blood", box, "left_ventricle")
    for place, radius in (((-44, 30, -20), 6.0), ((-40, 12, -22), 5.5)):
        canvas.paint(
            ellipsoid(place, (16, radius, radius), APEX_TURN),
            "myocardium",
            box_around([place], 20),
            "myocardium",
        )
    canvas.paint(
        ellipsoid((26, 4, 16), (30 * size, 30 * size, 32)), "myocardium", box_around([(26, 4, 16)], 36)
    )
    canvas.paint(
        ellipsoid((26, 4, 16), (28 * size, 28 * size, 30)),
        "blood",
        box_around([(26, 4, 16)], 36),
        "right_atrium",
    )
    canvas.paint(ellipsoid((-6, -20, 14), (36, 22, 26)), "myocardium", box_around([(-6, -20, 14)], 42))
    canvas.paint(
        ellipsoid((-6, -20, 14), (34, 20, 24)),
        "arterial_blood",
        box_around([(-6, -20, 14)], 42),
        "left_atrium",
    )
    valve = both(grown(left, 2.0), lambda p: np.abs(base(p) + 2.0) - 1.4)
    canvas.paint(valve, "ligament", box, opacity=0.6)


def _beyond_base() -> Solid:
    """What lies on the apex's side of the valve plane."""
    heading = np.array([0.62, -0.55, 0.56], np.float32)
    plane = np.array([2.0, -2.0, 14.0], np.float32)
    return lambda points: sum(heading[a] * (points[a] - plane[a]) for a in range(3))  # type: ignore[return-value]


def _paint_vessels(canvas: Canvas, request: VolumeRequest) -> None:
    age = 1.0 + 0.004 * (request.age - 50)
    down: list[Point] = [(-20.0, -44.0, 110.0), (-18.0, -44.0, -110.0)]
    up: list[Point] = [(2.0, 10.0, 16.0), (14.0, 20.0, 44.0), (10.0, 18.0, 100.0)]
    for path in (down, up):
        paint_tube(canvas, path, 13.6 * age, "myocardium")
        paint_tube(canvas, path, 12.2 * age, "arterial_blood", "aorta")
    trunk: list[Point] = [(-14.0, 36.0, 14.0), (-20.0, 26.0, 44.0), (-30.0, 2.0, 58.0)]
    paint_tube(canvas, trunk, 13.5, "myocardium")
    paint_tube(canvas, trunk, 12.0, "blood", "pulmonary_artery")
    paint_tube(
        canvas,
        [(-20.0, 18.0, 50.0), (18.0, -6.0, 50.0), (44.0, -10.0, 44.0)],
        9.5,
        "blood",
        "pulmonary_artery",
    )
    paint_tube(canvas, [(32.0, 6.0, 34.0), (30.0, 10.0, 110.0)], 9.0, "blood")
    paint_tube(canvas, [(26.0, -4.0, -8.0), (24.0, -8.0, -110.0)], 11.0, "blood")
    for side in (-1, 1):
        for z in (8.0, 24.0):
            paint_tube(
                canvas,
                [(-6.0 + side * 26.0, -22.0, z), (-6.0 + side * 56.0, -26.0, z + 4)],
                6.0,
                "arterial_blood",
            )
    airway: list[Point] = [(2.0, -22.0, 110.0), (2.0, -26.0, 62.0)]
    paint_tube(canvas, airway, 9.0, "gas")
    paint_tube(canvas, [(-4.0, -44.0, 110.0), (-6.0, -46.0, -20.0), (-16.0, -30.0, -80.0)], 6.0, "muscle")
