"""An axial slice of a head for CT and MR: tissue shares of the ICBM 152 template, deformed by the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from medsynth_app.imaging.atlas.template import load_template
from medsynth_app.synthesis.anatomy.random_fields import stream
from medsynth_app.synthesis.phantoms.images.fields import axes, noise
from medsynth_app.synthesis.phantoms.images.request import ImageRequest

FIELD_MM = 235.0
MIDDLE_VOXEL = (98.0, 118.0)
CLOSING_MM = 18.0
LEVELS = (84, 96)
"""Lowest and highest slice of the template that is shown: through the side ventricles."""


@dataclass(frozen=True)
class HeadSlice:
    """Shares 0..1, (H, W), the patient's right on the left and the face up.

    Attributes:
        white_matter: share.
        grey_matter: share.
        fluid: share of cerebrospinal fluid inside of the brain's hull.
        brain: share of the brain with its fluid.
        depth_mm: distance to the hull, positive inside.
    """

    white_matter: np.ndarray
    grey_matter: np.ndarray
    fluid: np.ndarray
    brain: np.ndarray
    depth_mm: np.ndarray

    def shell(self, inner_mm: float, outer_mm: float) -> np.ndarray:
        """1 between two distances outside of the hull, soft over a millimetre."""
        out = -self.depth_mm
        return np.clip(out - inner_mm + 0.5, 0.0, 1.0) * np.clip(outer_mm - out + 0.5, 0.0, 1.0)


def head_slice(request: ImageRequest, seed: int) -> HeadSlice:
    """One person's slice: women's heads are smaller, fluid spaces widen with age."""
    generator = stream(seed, "head")
    template = load_template()
    level = int(generator.integers(LEVELS[0], LEVELS[1] + 1))
    scales = (0.96 if request.female else 1.02) * (1.0 + 0.025 * generator.uniform(-1.0, 1.0, size=2))
    x, y = axes(request.size)
    across = (0.5 - x) * FIELD_MM / scales[0] + MIDDLE_VOXEL[0]
    along = (0.5 - y) * FIELD_MM / scales[1] + MIDDLE_VOXEL[1]
    for scale, amount in ((0.3, 2.5), (0.12, 1.2)):
        across += amount * noise(generator, request.size, scale)
        along += amount * noise(generator, request.size, scale)

    def sample(volume: np.ndarray) -> Any:
        return map_coordinates(volume[:, :, level], [across, along], order=1, mode="constant")

    brain = sample(template.brain)
    white, grey = sample(template.white_matter), sample(template.grey_matter)
    sigma = 2.2 * request.size / FIELD_MM
    raw = np.clip(brain - white - grey, 0.0, 1.0)
    wide = (request.age - 40) / 60.0
    fluid = np.clip(raw + 1.1 * wide * gaussian_filter(raw, sigma) * (1.0 if wide > 0 else raw), 0.0, 1.0) * brain
    rest = np.maximum(white + grey, 1e-6)
    keep = np.clip(brain - fluid, 0.0, 1.0) / rest
    millimetre = FIELD_MM / request.size
    # Bone bridges the furrow between the halves: the hull is closed over CLOSING_MM.
    wide_hull = distance_transform_edt(brain <= 0.5) * millimetre < CLOSING_MM
    hull = distance_transform_edt(wide_hull) * millimetre > CLOSING_MM
    depth = (distance_transform_edt(hull) - distance_transform_edt(~hull)) * millimetre
    return HeadSlice(white * keep, grey * keep, fluid, brain, gaussian_filter(depth, 1.2 * request.size / FIELD_MM))
