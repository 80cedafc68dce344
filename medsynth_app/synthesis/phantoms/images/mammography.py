"""A mammogram, mediolateral oblique: fat, fibroglandular tissue, pectoral muscle, skin; the chest wall is left."""

from __future__ import annotations

import numpy as np

from medsynth_app.synthesis.anatomy.random_fields import stream
from medsynth_app.synthesis.phantoms.images.fields import (
    axes,
    band,
    blur,
    ellipse,
    grain,
    inside,
    outline,
    texture,
)
from medsynth_app.synthesis.phantoms.images.lesions import Painting, place_lesion
from medsynth_app.synthesis.phantoms.images.request import NORMAL, ImageRequest
from medsynth_app.synthesis.phantoms.images.vessels import Growth, Segment, grow, strokes

MOST_CALCIFICATIONS = 45


def paint_mammography(request: ImageRequest, seed: int) -> Painting:
    """Grey (H, W) on black; lesions lie in the breast."""
    size = request.size
    x, y = axes(size)
    body = stream(seed, "breast")
    reach, tall, nipple = body.uniform(0.62, 0.78), body.uniform(0.4, 0.45), body.uniform(0.5, 0.56)
    outer = ellipse(x, y, (0.0, nipple), (reach, tall))
    breast = inside(outer, 0.035)
    # Compressed tissue is as thick everywhere but at the rim.
    thickness = np.clip((1.02 - outer) / 0.22, 0.0, 1.0) ** 0.5
    muscle = np.clip((0.36 - x - 0.42 * y + 0.01 * np.sin(9 * y)) / 0.03, 0.0, 1.0) * breast
    dense = _glandular(request, seed, x, y, (reach, nipple))
    fat = 0.27 + 0.02 * texture(stream(seed, "fat"), size, (0.05, 0.02))
    picture = breast * thickness * (fat + 0.4 * dense * (1.0 - muscle))
    picture += 0.13 * breast * blur(strokes(size, _ducts(stream(seed, "ducts"), (reach, nipple))), 0.0015)
    picture += 0.11 * band(outer - 0.985, 0.009)
    picture += 0.3 * inside(ellipse(x, y, (reach, nipple), (0.018, 0.02)), 0.6) * (1.0 - breast * 0.6)
    picture += muscle * (0.3 + 0.02 * texture(stream(seed, "muscle"), size, (0.03, 0.015)))
    lesion = None
    if request.pathology != NORMAL:
        bright, lesion = _lesion(request, seed, x, y, (outer < 0.93) & (muscle < 0.5))
        picture += bright * breast
    speck = grain(stream(seed, "grain"), size, 0.0014)
    return Painting(np.clip(picture + 0.015 * speck * (0.2 + breast), 0.0, 1.0), lesion)


def _glandular(
    request: ImageRequest, seed: int, x: np.ndarray, y: np.ndarray, nipple: tuple[float, float]
) -> np.ndarray:
    """Share of fibroglandular tissue: a cone behind the nipple that turns into fat with age."""
    field = texture(stream(seed, "gland"), request.size, (0.2, 0.1, 0.05, 0.025, 0.012))
    cone = ellipse(x, y, (0.52 * nipple[0], nipple[1] - 0.02), (0.42 * nipple[0], 0.25))
    density = 0.95 - 0.021 * (request.age - 40)
    level = density + 0.75 * field - 1.6 * np.clip(cone - 0.55, 0.0, None) * 1.6
    return np.asarray(1.0 / (1.0 + np.exp(-2.6 * level))) * inside(cone / 1.45, 0.5)


def _ducts(generator: np.random.Generator, nipple: tuple[float, float]) -> list[Segment]:
    growth = Growth(step=0.018, steps=24, wander=0.16, branching=0.3, spread=0.55, taper=0.96, generations=2)
    segments: list[Segment] = []
    for angle in np.linspace(-0.75, 0.75, 7):
        segments += grow(generator, (nipple[0] - 0.02, nipple[1]), np.pi + angle, 0.007, growth)
    return segments


def _lesion(
    request: ImageRequest, seed: int, x: np.ndarray, y: np.ndarray, host: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Added brightness and mask: a mass with spicules, or a cluster of calcifications."""
    generator = stream(seed, "lesion")
    middle = place_lesion(request, generator, host)
    radius = request.lesion_size / 2
    if request.pathology == "mass":
        shape = outline(generator, x, y, middle, (radius, radius), 0.25 + 0.5 * request.severity)
        mass = inside(shape, 0.3)
        growth = Growth(step=radius / 6, steps=8, wander=0.1, branching=0.15, taper=0.85, generations=1)
        spicules: list[Segment] = []
        for angle in np.linspace(0.0, 2 * np.pi, 22, endpoint=False) + generator.normal(0.0, 0.1, size=22):
            start = (middle[0] + 0.75 * radius * np.cos(angle), middle[1] + 0.75 * radius * np.sin(angle))
            spicules += grow(generator, start, float(angle), 0.007, growth)
        threads = blur(strokes(request.size, spicules), 0.0015)
        return (0.1 + 0.3 * request.severity) * np.maximum(mass, 0.6 * request.severity * threads), mass
    grains: list[Segment] = []
    for speck in range(MOST_CALCIFICATIONS):
        angle, away = generator.uniform(0, 2 * np.pi), radius * np.sqrt(generator.random())
        start = (middle[0] + away * np.cos(angle), middle[1] + away * np.sin(angle))
        length, turn = generator.uniform(0.001, 0.006), generator.uniform(0, np.pi)
        end = (start[0] + length * np.cos(turn), start[1] + length * np.sin(turn))
        if speck < 6 + (MOST_CALCIFICATIONS - 6) * request.severity:
            grains.append((start, end, float(generator.uniform(0.003, 0.0055))))
    bright = (0.4 + 0.25 * request.severity) * strokes(request.size, grains)
    return bright, inside(ellipse(x, y, middle, (radius, radius)), 0.05)
