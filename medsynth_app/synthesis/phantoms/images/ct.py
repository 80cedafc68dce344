"""A CT slice of the head in the brain window: haemorrhage is bright, an infarct dark."""

from __future__ import annotations

import numpy as np

from medsynth_app.synthesis.anatomy.random_fields import stream
from medsynth_app.synthesis.phantoms.images.fields import axes, blur, grain, inside, outline
from medsynth_app.synthesis.phantoms.images.head import head_slice
from medsynth_app.synthesis.phantoms.images.lesions import Painting, place_lesion
from medsynth_app.synthesis.phantoms.images.request import NORMAL, ImageRequest

WINDOW_HU = (0.0, 80.0)
AIR, SCALP, SKULL, WHITE, GREY, FLUID = -1000.0, 45.0, 1100.0, 27.0, 38.0, 6.0
NOISE_HU = 4.0


def paint_ct(request: ImageRequest, seed: int) -> Painting:
    """Grey (H, W) over ``WINDOW_HU``; lesions lie in the brain."""
    head = head_slice(request, seed)
    hu = WHITE * head.white_matter + GREY * head.grey_matter + FLUID * head.fluid
    hu = blur(hu, 0.0025)
    gap, skull, scalp = head.shell(0.0, 3.0), head.shell(2.5, 9.0), head.shell(9.0, 15.0)
    hu = hu * head.brain + (1.0 - head.brain) * (FLUID * gap + SKULL * skull + SCALP * scalp)
    hu += AIR * np.clip(-head.depth_mm - 15.0, 0.0, 1.0)
    hu -= 55.0 * head.shell(10.5, 13.0)
    lesion = None
    if request.pathology != NORMAL:
        hu, lesion = _lesion(request, seed, hu, head.depth_mm)
    hu += NOISE_HU * grain(stream(seed, "grain"), request.size, 0.002)
    low, high = WINDOW_HU
    return Painting(np.clip((blur(hu, 0.0015) - low) / (high - low), 0.0, 1.0), lesion)


def _lesion(
    request: ImageRequest, seed: int, hu: np.ndarray, depth_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fresh blood measures 55-75 HU and lies in a dark rim of oedema; an old infarct nears fluid."""
    generator = stream(seed, "lesion")
    x, y = axes(request.size)
    within = np.clip(depth_mm, 0.0, 1.0)
    middle = place_lesion(request, generator, depth_mm > 3.0)
    radius = request.lesion_size / 2
    shape = outline(generator, x, y, middle, (radius, 0.85 * radius), 0.3)
    lesion = inside(shape, 0.2) * within
    if request.pathology == "infarct":
        return hu + lesion * (-5.0 - 14.0 * request.severity), lesion
    oedema = inside(shape / (1.15 + 0.25 * request.severity), 0.25) * within
    hu = hu - 9.0 * oedema
    return hu + lesion * (52.0 + 20.0 * request.severity - hu), lesion
