"""A FLAIR slice of the brain: fluid is dark, oedema and demyelination bright."""

from __future__ import annotations

import numpy as np

from medsynth_app.synthesis.anatomy.random_fields import stream
from medsynth_app.synthesis.phantoms.images.fields import axes, blur, ellipse, grain, inside, noise, outline
from medsynth_app.synthesis.phantoms.images.head import HeadSlice, head_slice
from medsynth_app.synthesis.phantoms.images.lesions import Painting, place_lesion
from medsynth_app.synthesis.phantoms.images.request import NORMAL, ImageRequest

WHITE, GREY, FLUID, FAT, MARROW, OEDEMA, NECROSIS = 0.40, 0.54, 0.07, 0.62, 0.24, 0.78, 0.2
MOST_SPOTS = 26


def paint_mri(request: ImageRequest, seed: int) -> Painting:
    """Grey (H, W), level of a FLAIR sequence; lesions lie in the brain."""
    head = head_slice(request, seed)
    level = WHITE * head.white_matter + GREY * head.grey_matter + FLUID * head.fluid
    outer = FLUID * head.shell(0.0, 3.0) + MARROW * head.shell(4.5, 7.0) + FAT * head.shell(9.5, 14.0)
    level = level + (1.0 - head.brain) * outer
    lesion = None
    if request.pathology == "tumour":
        level, lesion = _tumour(request, seed, level, head)
    elif request.pathology != NORMAL:
        lesion = _spots(request, seed, head)
        level = level + lesion * (OEDEMA - level)
    level = level * (1.0 + 0.07 * noise(stream(seed, "coil"), request.size, 0.5))
    generator = stream(seed, "grain")
    real, imaginary = (0.022 * grain(generator, request.size, 0.0014) for _ in range(2))
    # The magnitude of a noisy complex signal has a Rician distribution.
    return Painting(np.clip(np.hypot(blur(level, 0.002) + real, imaginary), 0.0, 1.0), lesion)


def _tumour(
    request: ImageRequest, seed: int, level: np.ndarray, head: HeadSlice
) -> tuple[np.ndarray, np.ndarray]:
    """A glioma: bright oedema in fingers, a rim of tumour, a dark core that grows with severity."""
    generator = stream(seed, "lesion")
    x, y = axes(request.size)
    middle = place_lesion(request, generator, head.depth_mm > 3.0)
    radius = request.lesion_size / 2
    shape = outline(generator, x, y, middle, (radius, radius), 0.35)
    fingers = shape * (1.0 + 0.1 * noise(generator, request.size, 0.05))
    lesion = inside(fingers, 0.15) * np.clip(head.depth_mm, 0.0, 1.0) * (1.0 - 0.7 * head.fluid)
    core = inside(shape / (0.2 + 0.4 * request.severity), 0.3)
    bright = level + lesion * (0.65 + 0.25 * request.severity - level)
    return bright + core * lesion * (NECROSIS - bright), lesion


def _spots(request: ImageRequest, seed: int, head: HeadSlice) -> np.ndarray:
    """White-matter lesions, oval, more of them and larger with severity."""
    generator = stream(seed, "lesion")
    x, y = axes(request.size)
    result = np.zeros_like(x)
    host = head.white_matter > 0.7
    for spot in range(MOST_SPOTS):
        tries = generator.random((60, 2))
        rows, columns = (tries * request.size).astype(int).T
        good = np.flatnonzero(host[rows, columns])
        middle = tries[good[0] if good.size else 0][::-1]
        radius = generator.uniform(0.008, 0.02) * (0.7 + 0.6 * request.severity)
        shape = ellipse(x, y, (middle[0], middle[1]), (radius, 1.3 * radius), generator.uniform(0.0, np.pi))
        if spot < 3 + (MOST_SPOTS - 3) * request.severity:
            np.maximum(result, inside(shape, 0.5), out=result)
    return result * np.clip(head.depth_mm, 0.0, 1.0)
