"""A frontal chest radiograph: thorax, lungs, ribs, heart and vessels as grey levels of summed attenuation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medsynth_app.synthesis.anatomy.random_fields import stream
from medsynth_app.synthesis.phantoms.images.fields import (
    axes,
    band,
    blur,
    ellipse,
    grain,
    inside,
    noise,
    outline,
    texture,
)  # fmt: skip
from medsynth_app.synthesis.phantoms.images.lesions import Painting, place_lesion
from medsynth_app.synthesis.phantoms.images.request import NORMAL, ImageRequest
from medsynth_app.synthesis.phantoms.images.vessels import Growth, Segment, grow, strokes

RIBS = 10
SIDES = (-1.0, 1.0)
"""The patient's right, which is shown on the left, and the left."""


@dataclass(frozen=True)
class Thorax:
    """One person's chest.

    Attributes:
        middle: x of the spine.
        width: half of the lungs' width at the base.
        apex: y of the lungs' tops.
        domes: y of the diaphragm's two tops.
        heart: half of the heart's width.
    """

    middle: float
    width: float
    apex: float
    domes: tuple[float, float]
    heart: float

    @classmethod
    def of(cls, request: ImageRequest, seed: int) -> Thorax:
        """Women's chests are narrower; hearts widen with age."""
        generator = stream(seed, "thorax")
        drawn = generator.uniform(-1.0, 1.0, size=6)
        width = 0.40 + 0.012 * drawn[0] - (0.02 if request.female else 0.0)
        dome = 0.76 + 0.02 * drawn[1]
        heart = 0.165 + 0.008 * drawn[2] + 0.0007 * (request.age - 50)
        return cls(0.5 + 0.008 * drawn[3], width, 0.09 + 0.012 * drawn[4], (dome, dome + 0.03), heart)


def paint_chest_xray(request: ImageRequest, seed: int) -> Painting:
    """Grey (H, W), bright where much is absorbed; lesions lie in the lungs."""
    x, y = axes(request.size)
    body = Thorax.of(request, seed)
    lungs = [_lung(x, y, body, side) for side in (0, 1)]
    air = np.maximum(*lungs)
    heart = _heart(x, y, body)
    bone = (1.0 - 0.006 * max(request.age - 40, 0)) * _bones(x, y, body, stream(seed, "bones"))
    picture = 0.70 + 0.05 * noise(stream(seed, "tissue"), request.size, 0.25) - 0.46 * air * (1.0 - 0.8 * heart)
    picture += 0.13 * air * _vessels(request.size, body, stream(seed, "vessels"))
    picture += bone + 0.05 * heart * (1.0 - air)
    picture += _soft_parts(x, y, body, request.female)
    lesion = None
    if request.pathology != NORMAL:
        lesion = _opacity(request, stream(seed, "lesion"), x, y, air, heart, body)
        cloud = 1.0 + 0.18 * texture(stream(seed, "cloud"), request.size, (0.06, 0.03, 0.015))
        picture += (0.12 + 0.24 * request.severity) * lesion * (1.0 - 0.85 * heart) * np.clip(cloud, 0.5, 1.5)
    picture *= 1.0 - 0.85 * _outside(x, y)
    speck = grain(stream(seed, "grain"), request.size, 0.0018)
    return Painting(np.clip(blur(picture, 0.0022) + 0.012 * speck, 0.0, 1.0), lesion)


def _lung(x: np.ndarray, y: np.ndarray, body: Thorax, side: int) -> np.ndarray:
    away = SIDES[side] * (x - body.middle)
    height = np.clip((y - body.apex) / (body.domes[side] + 0.1 - body.apex), 0.0, 1.0)
    lateral = body.width * np.clip(height, 0.0, 1.0) ** 0.3 * (1.0 - 0.05 * height**4)
    medial = 0.04 + 0.1 * np.clip(0.2 - height, 0.0, 1.0)
    low = body.domes[side] + 0.75 * (away / body.width - 0.45) ** 2
    edge = np.minimum.reduce([lateral - away, away - medial, low - y, y - body.apex])
    share = np.clip(edge / 0.018 + 0.5, 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)


def _heart(x: np.ndarray, y: np.ndarray, body: Thorax) -> np.ndarray:
    ventricle = ellipse(x, y, (body.middle + 0.05, 0.655), (body.heart, 0.115), 0.55)
    atrium = ellipse(x, y, (body.middle - 0.03, 0.62), (0.072, 0.14))
    vessels = ellipse(x, y, (body.middle + 0.012, 0.42), (0.062, 0.22))
    arch = ellipse(x, y, (body.middle + 0.055, 0.335), (0.052, 0.05))
    shapes = [inside(shape, 0.16) for shape in (ventricle, atrium, vessels, arch)]
    return np.maximum.reduce(shapes)


def _bones(x: np.ndarray, y: np.ndarray, body: Thorax, generator: np.random.Generator) -> np.ndarray:
    """Brightness that ribs, collar bones, shoulder blades and spine add."""
    result = np.zeros_like(x)
    away = np.abs(x - body.middle)
    for rib in range(RIBS):
        start = 0.1 + 0.066 * rib + generator.normal(0.0, 0.003)
        reach = body.width * min(1.0, 0.5 + 0.1 * rib) + 0.012
        share = np.clip(away / reach, 0.0, 1.0)
        within = inside(away / reach, 0.03) * inside(0.03 / np.maximum(away, 1e-6), 0.3)
        back = start + 0.02 - 0.06 * np.sin(np.pi * share * 0.75) + (0.06 + 0.008 * rib) * share**2.2
        result += _rib(y - back, 0.0125, 0.1) * within
        if 1 <= rib <= 7:
            # In front the same rib comes back down towards the breast bone and ends in cartilage.
            front = start + 0.15 + 0.012 * rib - 0.13 * share**2
            result += _rib(y - front, 0.014, 0.045) * inside(away / reach, 0.05) * inside(0.3 / (share + 1e-6), 0.2)
    collar = 0.15 - 0.10 * np.clip((away - 0.03) / 0.4, 0, 1) + 0.012 * np.sin(away * 18)
    result += _rib(y - collar, 0.013, 0.13) * inside(away / 0.4, 0.05) * inside(0.03 / np.maximum(away, 1e-6), 0.2)
    blade = ellipse(away, y, (body.width + 0.035, 0.3), (0.045, 0.15), 0.25)
    result += 0.06 * inside(blade, 0.3)
    discs = 0.5 + 0.5 * np.cos(2 * np.pi * (y - 0.02) / (0.042 + 0.022 * y))
    spine = inside(away / 0.042, 0.35)
    result += spine * (0.10 + 0.035 * discs) + 0.03 * band(away - 0.04, 0.006)
    return result - 0.14 * inside(away / 0.02, 0.5) * inside(y / 0.36, 0.1)


def _rib(offset: np.ndarray, width: float, strength: float) -> np.ndarray:
    """A tube seen from the side: faint within, bright at its cortical edges."""
    tube = inside(np.abs(offset) / width, 0.35)
    edges = band(np.abs(offset) - width * 0.9, width * 0.22)
    return strength * (0.55 * tube + 0.45 * edges)


def _vessels(size: int, body: Thorax, generator: np.random.Generator) -> np.ndarray:
    segments: list[Segment] = []
    growth = Growth(step=0.016, steps=19, wander=0.13, branching=0.4, spread=0.6, taper=0.93, generations=2)
    for side in SIDES:
        for angle in (-1.1, -0.5, 0.1, 0.6, 1.0, 1.3):
            start = (body.middle + side * 0.075, 0.44 + 0.02 * angle)
            turned = angle if side > 0 else np.pi - angle
            segments += grow(generator, start, turned + generator.normal(0, 0.1), 0.017, growth)
    trees = blur(strokes(size, segments), 0.003)
    x, y = axes(size)
    hila = sum(inside(ellipse(x, y, (body.middle + s * 0.09, 0.45), (0.05, 0.09)), 1.2) for s in SIDES)
    return 1.2 * trees + 0.9 * hila


def _soft_parts(x: np.ndarray, y: np.ndarray, body: Thorax, female: bool) -> np.ndarray:
    """Breasts over the lower lungs, the stomach's air, the belly that absorbs more."""
    result = 0.08 * np.clip((y - 0.72) / 0.28, 0.0, 1.0)
    stomach = ellipse(x, y, (body.middle + 0.17, body.domes[1] + 0.075), (0.065, 0.035), 0.2)
    result -= 0.16 * inside(stomach, 0.4)
    if female:
        for side in SIDES:
            breast = ellipse(x, y, (body.middle + side * 0.25, 0.64), (0.17, 0.17))
            result += 0.085 * inside(breast, 0.25)
    return result


def _outside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The air beside the neck, over the shoulders."""
    away = np.abs(x - 0.5)
    shoulder = 0.02 + 0.28 * np.clip((away - 0.11) / 0.4, 0.0, 1.0) ** 2.2
    return np.clip((shoulder - y) / 0.02 + 0.5, 0.0, 1.0) * np.clip((away - 0.1) / 0.02, 0.0, 1.0)


def _opacity(
    request: ImageRequest,
    generator: np.random.Generator,
    x: np.ndarray,
    y: np.ndarray,
    air: np.ndarray,
    heart: np.ndarray,
    body: Thorax,
) -> np.ndarray:
    """Consolidation in one place, a round nodule, or in COVID-19 patches near the walls of both lungs."""
    # By chance beside the heart, where it is seen; behind it only where that was asked for.
    lungs = air > 0.5 if request.position is not None else (air > 0.5) & (heart < 0.5)
    if request.pathology == "nodule":
        middle = place_lesion(request, generator, lungs)
        radius = request.lesion_size / 2
        shape = outline(generator, x, y, middle, (radius, radius), 0.1 + 0.35 * request.severity)
        # What a beam passes of a ball: most in its middle, with a border that the eye still finds.
        return np.sqrt(np.clip(1.0 - shape**2, 0.0, 1.0)) * air
    if request.pathology == "pneumonia":
        middle = place_lesion(request, generator, lungs)
        radius = request.lesion_size / 2
        return inside(outline(generator, x, y, middle, (radius, radius), 0.5), 0.5) * air
    result = np.zeros_like(x)
    patches = 3 + int(round(5 * request.severity))
    for patch in range(8):
        for side in SIDES:
            height = generator.uniform(0.4, 0.76)
            lateral = body.width * ((height - body.apex) / (0.86 - body.apex)) ** 0.3 - generator.uniform(0.03, 0.08)
            radius = (0.035 + 0.045 * request.severity) * generator.uniform(0.8, 1.2)
            shape = outline(generator, x, y, (body.middle + side * lateral, height), (radius, 1.4 * radius), 0.6)
            if patch < patches:
                np.maximum(result, inside(shape, 0.9), out=result)
    return result * air
