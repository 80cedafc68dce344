"""Breast ultrasound: layers of echoes, attenuation with depth, speckle, log compression."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from medsynth_app.synthesis.anatomy.random_fields import stream
from medsynth_app.synthesis.phantoms.images.fields import axes, band, inside, noise, outline, texture
from medsynth_app.synthesis.phantoms.images.lesions import Painting, place_lesion
from medsynth_app.synthesis.phantoms.images.request import NORMAL, ImageRequest

SPECKLE = (0.0030, 0.0075)
"""Size of speckle along the beam and across it, share of the picture."""
DYNAMIC_RANGE_DB = 52.0


def paint_ultrasound(request: ImageRequest, seed: int) -> Painting:
    """Grey (H, W), the probe at the top; lesions lie between skin and muscle."""
    size = request.size
    x, y = axes(size)
    echo, host = _layers(request, seed, x, y)
    lesion = None
    if request.pathology != NORMAL:
        echo, lesion = _lesion(request, seed, x, y, echo, host)
    echo *= 10.0 ** (-12.0 * np.clip(y - 0.3, 0.0, None) / 20.0)
    generator = stream(seed, "speckle")
    # Many scatterers in a resolution cell: a complex Gaussian field, whose magnitude is Rayleigh distributed.
    sigma = (SPECKLE[0] * size, SPECKLE[1] * size)
    waves = [gaussian_filter(generator.standard_normal(echo.shape), sigma) for _ in range(2)]
    magnitude = np.hypot(*waves)
    magnitude /= np.sqrt((magnitude**2).mean())
    decibel = 20.0 * np.log10(np.maximum(echo * magnitude, 1e-5))
    grey = 1.0 + (decibel - 4.0) / DYNAMIC_RANGE_DB
    return Painting(np.clip(gaussian_filter(grey, 0.0015 * size), 0.0, 1.0), lesion)


def _layers(request: ImageRequest, seed: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Echo strength, and where a lesion may lie. With age the gland shrinks and fat takes its place."""
    generator = stream(seed, "layers")
    skin = 0.055 + 0.004 * noise(generator, request.size, 0.3)
    gland = 0.2 + 0.003 * (request.age - 50) + 0.02 * noise(generator, request.size, 0.22)
    muscle = 0.7 + 0.015 * noise(generator, request.size, 0.4)
    wall = muscle + 0.13 + 0.01 * noise(generator, request.size, 0.4)
    rows = [field[field.shape[0] // 2][None, :] for field in (skin, gland, muscle, wall)]
    below = [np.clip((y - row) / 0.008 + 0.5, 0.0, 1.0) for row in rows]
    parts = texture(generator, request.size, (0.1, 0.05, 0.025))
    septa = band(noise(generator, request.size, 0.1, 1.8), 0.09)
    fat = 0.07 * np.exp(0.2 * parts) + 0.28 * septa
    glandular = 0.26 * np.exp(0.55 * parts) * (0.55 + 0.45 * inside(-noise(generator, request.size, 0.09, 2.0), 1.5))
    fibres = noise(generator, request.size, 0.012, 22.0)
    muscular = 0.09 * np.exp(0.7 * fibres)
    echo = 0.8 + (fat - 0.8) * below[0]
    echo += (glandular - echo) * below[1]
    echo += (muscular - echo) * below[2]
    echo += (0.03 - echo) * below[3]
    for row, strength, width in zip(rows, (0.7, 0.15, 0.6, 1.0), (0.006, 0.006, 0.007, 0.008)):
        echo += strength * band(y - row, width)
    echo += 1.2 * band(y - 0.012, 0.008)
    return echo, (y > rows[0] + 0.03) & (y < rows[2] - 0.03)


def _lesion(
    request: ImageRequest, seed: int, x: np.ndarray, y: np.ndarray, echo: np.ndarray, host: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Benign: oval, wider than tall, smooth, brighter behind. Malignant: taller, spiculated, a shadow behind."""
    generator = stream(seed, "lesion")
    middle = place_lesion(request, generator, host)
    radius = request.lesion_size / 2
    malignant = request.pathology == "malignant"
    radii = (0.85 * radius, radius) if malignant else (radius, 0.62 * radius)
    shape = outline(generator, x, y, middle, radii, 0.75 if malignant else 0.0)
    lesion = inside(shape, 0.12 if malignant else 0.07)
    behind = inside(np.abs(x - middle[0]) / (0.85 * radii[0]), 0.5) * np.clip((y - middle[1]) / radii[1], 0.0, 1.0)
    behind = behind * (1.0 - lesion)
    if malignant:
        echo = echo * (1.0 + 0.8 * inside(shape / 1.35, 0.4) * (1.0 - lesion))
        echo = echo * (1.0 - (0.4 + 0.55 * request.severity) * behind)
    else:
        echo = echo * (1.0 + (0.5 + 1.5 * request.severity) * behind)
        echo = echo + 0.35 * band(shape - 1.03, 0.03) * np.abs(y - middle[1]) / radii[1]
    inner = np.clip(0.11 - 0.085 * request.severity, 0.01, None) * np.exp(0.25 * noise(generator, request.size, 0.04))
    return echo + lesion * (inner - echo), lesion
