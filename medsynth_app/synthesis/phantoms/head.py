"""The head in CT and MR: a warped ICBM template brain inside of a skull, scalp and face built around it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter, map_coordinates

from medsynth_app.synthesis.anatomy.icbm_brain import IndividualBrain, brats_grid
from medsynth_app.synthesis.phantoms.canvas import Canvas, Point
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

BRAIN_CENTER_MM = (-120.0, 120.0, 76.0)
"""Middle of the template's brain in the world of the BraTS grid (RAS)."""
BRAIN_LIFT_MM = 12.0
"""The brain's middle lies so far above the middle of the field of view."""
FINEST_BRAIN_MM = 1.5


def paint_head(canvas: Canvas, request: VolumeRequest, chance: np.random.Generator) -> None:
    """Neck and face, scalp, skull, brain, then the disease."""
    white, grey, brain = _brain_maps(canvas, request)
    depth = _depth(canvas, brain)
    _paint_face(canvas)
    _paint_shells(canvas, depth)
    _paint_brain(canvas, request, white, grey, brain)
    _paint_skull_base(canvas)
    _paint_vessels(canvas, brain)
    _paint_disease(canvas, request, chance, depth)


def _brain_maps(canvas: Canvas, request: VolumeRequest) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """White matter, grey matter and brain (X, Y, Z), 0..1, with the shrinkage of age and atrophy."""
    grid = brats_grid(float(np.clip(min(request.spacing_mm), FINEST_BRAIN_MM, 3.0)))
    maps = IndividualBrain(canvas.seed, grid).maps(grid.box.shape)
    size = 0.97 if request.female else 1.02
    loss = shrinkage(request)
    inverse = np.linalg.inv(grid.box_affine)
    places = canvas.points / np.float32(size)
    world = [
        places[0] + BRAIN_CENTER_MM[0],
        places[1] + BRAIN_CENTER_MM[1],
        places[2] - BRAIN_LIFT_MM + BRAIN_CENTER_MM[2],
    ]
    index = np.stack([sum(inverse[a, b] * world[b] for b in range(3)) + inverse[a, 3] for a in range(3)])
    white, grey, brain = (map_coordinates(part, index, order=1, mode="constant") for part in maps)
    # Lost tissue becomes fluid where there is some already: at sulci and ventricles.
    fluid = np.clip(brain - white - grey, 0.0, 1.0)
    near_fluid = gaussian_filter(fluid, [2.2 / s for s in request.spacing_mm])
    kept = np.clip(1.0 - loss * 9.0 * near_fluid, 0.0, 1.0)
    return white * kept, grey * kept, brain


def shrinkage(request: VolumeRequest) -> float:
    """Share of brain that age and atrophy have taken, 0 to 0.45."""
    aged = 0.004 * max(request.age - 25, 0)
    return min(0.45, aged * 0.6 + (0.3 * request.severity if request.pathology == "atrophy" else 0.0))


def _depth(canvas: Canvas, brain: np.ndarray) -> np.ndarray:
    """Smooth signed distance to the brain's envelope in mm, negative inside."""
    mask = binary_fill_holes(brain > 0.5)
    if not mask.any():
        return np.full(canvas.shape, 99.0, np.float32)
    distance = distance_transform_edt(~mask, sampling=canvas.spacing_mm)
    distance -= distance_transform_edt(mask, sampling=canvas.spacing_mm)
    return gaussian_filter(distance.astype(np.float32), [6.0 / s for s in canvas.spacing_mm])


def _paint_face(canvas: Canvas) -> None:
    face = union(ellipsoid((0, 52, -58), (60, 46, 62)), ellipsoid((0, 66, -88), (44, 34, 34)), smooth_mm=20)
    neck = pill((0.0, -18.0, -40.0), (0.0, -30.0, -150.0), 62.0)
    outside = union(face, neck, ellipsoid((0, 104, -52), (11, 14, 20)), smooth_mm=18)
    box: tuple[Point, Point] = ((-95, -120, -160), (95, 130, 10))
    canvas.paint(outside, "skin", box)
    canvas.paint(grown(outside, -2.0), "fat", box)
    canvas.paint(grown(outside, -6.0), "muscle", box, soft_mm=5)
    jaw: list[Point] = [
        (48.0, 12.0, -62.0),
        (46.0, 22.0, -92.0),
        (22.0, 74.0, -96.0),
        (-22.0, 74.0, -96.0),
        (-46.0, 22.0, -92.0),
        (-48.0, 12.0, -62.0),
    ]
    paint_tube(canvas, jaw, 8.0, "cortical_bone")
    paint_tube(canvas, jaw, 5.0, "trabecular_bone")
    for z in (-76.0, -100.0):
        spine = ellipsoid((0, -14, z), (15, 11, 10))
        canvas.paint(spine, "cortical_bone", box_around([(0, -14, z)], 20))
        canvas.paint(grown(spine, -2.0), "trabecular_bone", box_around([(0, -14, z)], 20))
        arch = block((0, -46, z), (24, 12, 6), 5)
        canvas.paint(arch, "cortical_bone", box_around([(0, -46, z)], 30))
    canvas.paint(
        pill((0.0, -32.0, -50.0), (0.0, -34.0, -150.0), 10.0),
        "cerebrospinal_fluid",
        ((-14, -50, -150), (14, -18, -40)),
    )
    canvas.paint(
        pill((0.0, -32.0, -50.0), (0.0, -34.0, -150.0), 6.0), "cord", ((-14, -50, -150), (14, -18, -40))
    )
    canvas.paint(pill((0.0, 16.0, -60.0), (0.0, 10.0, -150.0), 8.0), "gas", ((-12, 0, -150), (12, 30, -50)))


def _paint_shells(canvas: Canvas, depth: np.ndarray) -> None:
    """Scalp, skull with marrow, fluid around the brain: layers of distance from the brain."""
    soft = np.float32(max(min(canvas.spacing_mm), 1.0))

    def up_to(distance: float) -> np.ndarray:
        return np.clip(0.5 - (depth - distance) / soft, 0.0, 1.0)

    for distance, tissue, label in (
        (15.5, "skin", ""),
        (13.5, "fat", ""),
        (10.0, "muscle", ""),
        (9.0, "cortical_bone", "skull"),
        (7.4, "trabecular_bone", "skull"),
        (5.0, "cortical_bone", "skull"),
        (3.4, "cerebrospinal_fluid", "cerebrospinal_fluid"),
    ):
        canvas.fill(up_to(distance), tissue, label)


def _paint_brain(
    canvas: Canvas, request: VolumeRequest, white: np.ndarray, grey: np.ndarray, brain: np.ndarray
) -> None:
    tissue = white + grey
    share = np.clip(brain, 0.0, 1.0)
    canvas.fill(share, "cerebrospinal_fluid", "cerebrospinal_fluid")
    total = np.maximum(tissue, 1e-3)
    # Grey first, white over it by its share of the tissue: partial volume stays linear.
    canvas.fill(np.clip(tissue, 0.0, 1.0), "grey_matter", "grey_matter")
    canvas.fill(np.where(tissue > 0.02, white / total, 0.0) * np.clip(tissue * 4.0, 0.0, 1.0), "white_matter")
    canvas.label[(white > 0.5) & (white > grey)] = canvas.labels["white_matter"]


def _paint_skull_base(canvas: Canvas) -> None:
    for side in (-1, 1):
        petrous = ellipsoid((side * 42, -18, -38), (28, 11, 11), (0, 0, side * 28))
        box = box_around([(side * 42, -18, -38)], 36)
        canvas.paint(petrous, "cortical_bone", box, "skull")
        canvas.paint(ellipsoid((side * 60, -26, -42), (10, 13, 14)), "trabecular_bone", box)
        for dx, dy, dz in ((58, -30, -44), (62, -22, -38), (55, -24, -50), (63, -32, -50)):
            canvas.paint(
                ellipsoid((side * dx, dy, dz), (4, 4, 4)), "gas", box_around([(side * dx, dy, dz)], 5)
            )
        eye = (side * 31.0, 72.0, -24.0)
        box = box_around([eye], 40)
        canvas.paint(ellipsoid((side * 29, 52, -24), (21, 34, 19), (0, 0, side * 14)), "cortical_bone", box)
        canvas.paint(ellipsoid((side * 29, 55, -24), (18.5, 32, 16.5), (0, 0, side * 14)), "fat", box)
        canvas.paint(pill(eye, (side * 12.0, 28.0, -24.0), 2.4), "nerve", box)
        for dx, dz in ((9, 0), (-9, 0), (0, 9), (0, -9)):
            canvas.paint(
                pill((eye[0] + dx, eye[1] - 6, eye[2] + dz), (side * 14.0, 32.0, -24.0), 2.4), "muscle", box
            )
        canvas.paint(ellipsoid(eye, (12.5, 12.5, 12.5)), "muscle", box)
        canvas.paint(ellipsoid(eye, (11.4, 11.4, 11.4)), "eye", box)
        canvas.paint(ellipsoid((eye[0], eye[1] + 8.5, eye[2]), (4.6, 2.4, 4.6)), "lens", box)
        antrum = ellipsoid((side * 24, 58, -58), (15, 18, 17))
        canvas.paint(grown(antrum, 1.8), "cortical_bone", box_around([(side * 24, 58, -58)], 24))
        canvas.paint(antrum, "gas", box_around([(side * 24, 58, -58)], 24))
    for center, radii in (
        ((0, 62, -30), (9, 24, 14)),
        ((0, 78, -58), (9, 20, 18)),
        ((0, 26, -36), (12, 11, 9)),
        ((0, 86, 4), (17, 6, 10)),
    ):
        box = box_around([center], 32)
        canvas.paint(grown(ellipsoid(center, radii), 2.0), "cortical_bone", box)
        canvas.paint(ellipsoid(center, radii), "gas", box)
    canvas.paint(block((0, 76, -52), (1.2, 20, 24), 1), "cartilage", box_around([(0, 76, -52)], 32))


def _paint_vessels(canvas: Canvas, brain: np.ndarray) -> None:
    for side in (-1, 1):
        paint_tube(
            canvas,
            [(side * 13.0, 6.0, -40.0), (side * 11.0, 12.0, -20.0), (side * 9.0, 14.0, -12.0)],
            2.4,
            "flowing_blood",
        )
        paint_tube(
            canvas,
            [(side * 9.0, 14.0, -12.0), (side * 34.0, 14.0, -8.0), (side * 46.0, 6.0, 4.0)],
            1.6,
            "flowing_blood",
        )
    paint_tube(canvas, [(0.0, -4.0, -52.0), (0.0, -2.0, -22.0)], 2.0, "flowing_blood")
    middle = (canvas.points[0] / 1.4) ** 2 <= 1.0
    inside = (brain > 0.5) & middle
    if inside.any():
        canvas.paint(
            lambda p: np.abs(p[0]) - 0.6,
            "ligament",
            opacity=0.5,
            inside=(inside & (canvas.points[2] > 45)).astype(np.float32),
        )


def _paint_disease(
    canvas: Canvas, request: VolumeRequest, chance: np.random.Generator, depth: np.ndarray
) -> None:
    name = request.pathology
    inside = canvas.is_labelled("white_matter", "grey_matter", "cerebrospinal_fluid").astype(np.float32)
    brain = canvas.is_labelled("white_matter", "grey_matter").astype(np.float32)
    if name in ("intracerebral_haemorrhage", "tumor"):
        center = lesion_center(canvas, request, chance)
        size, box = request.lesion_size_mm, box_around([center], request.lesion_size_mm * 1.6)
        mass = lump(center, size, chance)
        canvas.paint(
            grown(mass, size * 0.22),
            "oedema",
            box,
            inside=canvas.is_labelled("white_matter").astype(np.float32),
            soft_mm=0.2 * size,
        )
        if name == "tumor":
            canvas.paint(mass, "enhancing_tumor", box, "lesion", inside=inside)
            canvas.paint(
                grown(mass, -size * 0.16),
                "necrosis",
                box,
                inside=inside,
                opacity=min(1.0, 0.3 + request.severity),
            )
        else:
            canvas.paint(mass, "fresh_blood", box, "lesion", inside=inside)
    elif name == "ischaemic_infarct":
        center = lesion_center(canvas, request, chance)
        size, box = request.lesion_size_mm, box_around([center], request.lesion_size_mm)
        canvas.paint(
            lump(center, size, chance, 0.2),
            "infarct",
            box,
            "lesion",
            0.45 + 0.55 * request.severity,
            brain,
            6.0,
        )
    elif name == "subdural_haematoma":
        side = 1.0 if chance.random() < 0.5 else -1.0
        thick = 3.0 + 14.0 * request.severity

        def crescent(points: np.ndarray) -> np.ndarray:
            reach = np.clip(1.0 - (points[1] / 70.0) ** 2, 0.0, 1.0) * np.clip(
                (points[2] + 10.0) / 30.0, 0.0, 1.0
            )
            return np.where(side * points[0] > 15.0, 3.4 - thick * reach - depth, 99.0)

        canvas.paint(both(crescent, lambda p: depth - 3.4), "fresh_blood", label="lesion")
    elif name == "white_matter_lesions":
        places = np.argwhere(canvas.is_labelled("white_matter"))
        for _ in range(int(3 + 90 * request.severity)):
            if not len(places):
                return
            index = places[chance.integers(len(places))]
            center = canvas.place_of(index)
            radii = tuple(chance.uniform(1.5, 3.5 + 4.0 * request.severity, 3))
            canvas.paint(
                ellipsoid(center, radii),
                "white_matter_lesion",
                box_around([center], 9),
                "lesion",
                inside=brain,
            )
