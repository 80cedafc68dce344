"""A fundus photograph: disc, macula, arteries and veins in a round field, in colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medsynth_app.synthesis.anatomy.random_fields import stream
from medsynth_app.synthesis.phantoms.images.fields import (
    Place,
    axes,
    band,
    blur,
    ellipse,
    grain,
    inside,
    noise,
    texture,
)  # fmt: skip
from medsynth_app.synthesis.phantoms.images.lesions import Painting
from medsynth_app.synthesis.phantoms.images.request import NORMAL, ImageRequest
from medsynth_app.synthesis.phantoms.images.vessels import Growth, Segment, grow, strokes

FUNDUS, DISC, CUP = (0.80, 0.36, 0.16), (0.98, 0.80, 0.50), (1.0, 0.93, 0.74)
ARTERY, VEIN, BLOOD, DRUSE = (0.66, 0.17, 0.09), (0.46, 0.09, 0.07), (0.38, 0.04, 0.04), (0.97, 0.78, 0.38)
FIELD_RADIUS = 0.48
MOST_SPOTS = 60


@dataclass(frozen=True)
class Eye:
    """Where things are.

    Attributes:
        side: 1 where the nose is to the right (a right eye), -1 a left eye.
        disc: middle of the optic disc.
        macula: middle of the macula.
        disc_radius: of the disc; drawn 3 % larger for men.
    """

    side: float
    disc: Place
    macula: Place
    disc_radius: float

    @classmethod
    def of(cls, request: ImageRequest, seed: int) -> Eye:
        """One person's eye."""
        generator = stream(seed, "eye")
        side = 1.0 if generator.random() < 0.5 else -1.0
        disc = (0.5 + side * generator.uniform(0.18, 0.22), 0.5 + generator.uniform(-0.02, 0.02))
        radius = generator.uniform(0.064, 0.072) * (1.0 if request.female else 1.03)
        return cls(side, disc, (disc[0] - side * 0.27, disc[1] + 0.02), radius)


def paint_retina(request: ImageRequest, seed: int) -> Painting:
    """Colour (H, W, 3) on black."""
    size = request.size
    x, y = axes(size)
    eye = Eye.of(request, seed)
    picture = np.ones((size, size, 3)) * FUNDUS
    shade = 1.0 + 0.06 * noise(stream(seed, "tint"), size, 0.35)
    shade += 0.035 * texture(stream(seed, "choroid"), size, (0.08, 0.04, 0.015))
    picture *= shade[..., None]
    dark = np.exp(-0.5 * ellipse(x, y, eye.macula, (0.075, 0.07)) ** 2)
    picture *= 1.0 - dark[..., None] * np.array([0.28, 0.46, 0.5])
    picture += (0.10 * band(ellipse(x, y, eye.macula, (0.008, 0.008)), 0.8))[..., None]
    around = inside(ellipse(x, y, eye.disc, (3.2 * eye.disc_radius, 3.2 * eye.disc_radius)), 1.4)
    picture *= 1.0 + 0.13 * around[..., None]
    picture = _over(picture, DISC, _disc(x, y, eye, 1.0, 0.12))
    picture = _over(picture, CUP, 0.8 * _disc(x, y, eye, 0.45, 0.5))
    lesion = None
    if request.pathology != NORMAL:
        picture, lesion = _lesions(request, seed, picture, eye, x, y)
    veins, arteries = (_vessels(size, eye, stream(seed, name), width) for name, width in (("veins", 0.0125),
                                                                                          ("arteries", 0.0095)))
    picture = _over(picture, VEIN, 0.85 * veins)
    picture = _over(picture, ARTERY, 0.8 * arteries)
    away = ellipse(x, y, (0.5, 0.5), (FIELD_RADIUS, FIELD_RADIUS))
    picture *= (inside(away, 0.015) * (1.0 - 0.3 * np.clip(away, 0, 1) ** 3))[..., None]
    # The lens yellows with age and takes blue light most.
    old = (request.age - 18) / 82.0
    picture *= np.array([1.0 - 0.04 * old, 1.0 - 0.14 * old, 1.0 - 0.55 * old])
    speck = stream(seed, "grain")
    picture = np.stack([blur(picture[..., c], 0.0014) + 0.01 * grain(speck, size, 0.001) for c in range(3)], axis=2)
    picture *= inside(away, 0.02)[..., None]
    return Painting(np.clip(picture, 0.0, 1.0), lesion)


def _over(picture: np.ndarray, colour: tuple[float, float, float], share: np.ndarray) -> np.ndarray:
    return picture + share[..., None] * (np.array(colour) - picture)


def _disc(x: np.ndarray, y: np.ndarray, eye: Eye, share: float, softness: float) -> np.ndarray:
    radius = share * eye.disc_radius
    return inside(ellipse(x, y, eye.disc, (0.92 * radius, 1.05 * radius)), softness)


def _vessels(size: int, eye: Eye, generator: np.random.Generator, width: float) -> np.ndarray:
    """Two arcades that bend round the macula, and smaller trunks towards the nose."""
    segments: list[Segment] = []
    for up in (-1.0, 1.0):
        # Angles are drawn for a nose on the right and mirrored for a left eye.
        for angle, bend, steps, share in ((1.75, 0.052, 36, 1.0), (1.1, -0.012, 22, 0.6), (0.5, -0.01, 18, 0.5)):
            turned = up * (angle + generator.normal(0.0, 0.12))
            curve = up * bend * generator.uniform(0.85, 1.15)
            if eye.side < 0:
                turned, curve = np.pi - turned, -curve
            growth = Growth(0.018, steps, 0.09, curve, 0.2, 0.75, 0.97, 2)
            start = (eye.disc[0] + generator.normal(0.0, 0.008), eye.disc[1] + 0.01 * up)
            segments += grow(generator, start, turned, width * share, growth)
    x, y = axes(size)
    free = 1.0 - inside(ellipse(x, y, eye.macula, (0.045, 0.045)), 0.5)
    return blur(strokes(size, segments), 0.0009) * free


def _lesions(
    request: ImageRequest, seed: int, picture: np.ndarray, eye: Eye, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Drusen: yellow spots round the macula. Haemorrhages: dark dots and blots over the field."""
    generator = stream(seed, "lesion")
    drusen = request.pathology == "drusen"
    lesion = np.zeros_like(x)
    for spot in range(MOST_SPOTS):
        angle, share = generator.uniform(0, 2 * np.pi), np.sqrt(generator.random())
        away = 0.15 * share if drusen else 0.06 + 0.34 * share
        centre = eye.macula if drusen else (0.5, 0.5)
        middle = (centre[0] + away * np.cos(angle), centre[1] + away * np.sin(angle))
        radius = generator.uniform(0.004, 0.011) if drusen else generator.uniform(0.004, 0.02)
        radius *= 0.7 + 0.6 * request.severity
        shape = ellipse(x, y, middle, (radius, radius * generator.uniform(0.6, 1.0)), generator.uniform(0, np.pi))
        if spot < 4 + (MOST_SPOTS - 4) * request.severity:
            np.maximum(lesion, inside(shape, 0.6), out=lesion)
    colour, strength = (DRUSE, 0.75) if drusen else (BLOOD, 0.85)
    return _over(picture, colour, strength * lesion), lesion
