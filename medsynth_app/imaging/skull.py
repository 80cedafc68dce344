"""Whether the skull is still around a brain, told from the size and the layers of what an image shows.

A skull-stripped adult brain fills 1,000 to 1,900 ml and at most about 200 cm2 of a plane; a head fills more of both,
and a few millimetres below its surface lies bone, which is dark in every sequence, where a brain has bright cortex.
Two of the three signs make a head, one makes a doubt. (Thresholds lie between 32 stripped brains, 1,184 to 1,780 ml
and 158 to 197 cm2, and heads of three studies, 2,258 to 4,152 ml and 232 to 325 cm2.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from medsynth_app.imaging.background import Background, find_background
from medsynth_app.imaging.volume import Volume

COARSE_MM = 3.0
HEAD_ML = 2050.0
HEAD_SECTION_CM2 = 215.0
DARK_LAYER_SHARE = 0.2
LAYER_MM = (4.0, 14.0)
"""Below the surface: where the bone of a head lies."""
DARK = 0.4
"""Of the brightness deep inside."""
SHOWN = 0.12
"""Of the 98th percentile: darker voxels are taken for air."""
DEEP_MM = 20.0
CLOSING_STEPS = 2


@dataclass(frozen=True)
class SkullEvidence:
    """What an image shows of a skull.

    Attributes:
        volume_ml: of the head or brain, holes filled.
        section_cm2: its largest section along an axis of the image.
        dark_layer_share: how much of the layer below its surface is dark in every sequence; None where it cannot be
            told (values on both sides of the background).
    """

    volume_ml: float
    section_cm2: float
    dark_layer_share: float | None

    @property
    def signs(self) -> tuple[str, ...]:
        """The signs of a skull, in words."""
        found = []
        if self.volume_ml > HEAD_ML:
            found.append(f"it fills {self.volume_ml:.0f} ml (a brain: up to {HEAD_ML:.0f})")
        if self.section_cm2 > HEAD_SECTION_CM2:
            found.append(f"its largest section has {self.section_cm2:.0f} cm2 (a brain: up to {HEAD_SECTION_CM2:.0f})")
        if (self.dark_layer_share or 0.0) > DARK_LAYER_SHARE:
            found.append(f"{100 * (self.dark_layer_share or 0.0):.0f}% of the layer below its surface is dark as bone")
        return tuple(found)

    @property
    def has_skull(self) -> bool:
        """Two signs or more."""
        return len(self.signs) > 1

    @property
    def is_doubtful(self) -> bool:
        """One sign alone."""
        return len(self.signs) == 1


def find_skull(volume: Volume, backgrounds: tuple[Background, ...] | None = None) -> SkullEvidence:
    """Look for a skull at 3 mm.

    Args:
        volume: (C, X, Y, Z) of one head, in any orientation; sequences that are constant do not count.
        backgrounds: of the channels, as ``without_background`` gives them; looked for by default.
    """
    backgrounds = backgrounds or tuple(map(find_background, volume.array))
    steps = [max(1, round(COARSE_MM / float(s))) for s in volume.spacing]
    thin = tuple(slice(None, None, step) for step in steps)
    spacing = volume.spacing * steps
    moved = [_from_zero(channel[thin], background) for channel, background in zip(volume.array, backgrounds)]
    channels = [channel for channel in moved if channel.any()]
    if not channels:
        return SkullEvidence(0.0, 0.0, None)
    signed = any(float((channel < 0).mean()) > 0.01 for channel in channels)
    shown = [_shown(channel, signed) for channel in channels]
    head = _filled(np.logical_or.reduce(shown))
    volume_ml = float(head.sum() * np.prod(spacing)) / 1000
    dark = None if signed else _dark_layer(channels, head, spacing)
    return SkullEvidence(volume_ml, _largest_section(head, spacing), dark)


def _from_zero(channel: np.ndarray, background: Background) -> np.ndarray:
    """float32 with its background about 0."""
    values = channel.astype(np.float32)
    if background.found:
        outside = np.isin(channel, background.levels)
        values = np.where(outside, 0, values - np.float32(background.levels[-1]))
    elif values.min() != 0:
        values = values - np.float32(np.percentile(values, 2))
    return values


def _shown(channel: np.ndarray, signed: bool) -> np.ndarray:
    size = np.abs(channel)
    floor = 0.02 if signed else SHOWN
    return size > floor * np.percentile(size[size > 0], 98)


def _filled(mask: np.ndarray) -> np.ndarray:
    """Gaps closed, the largest piece, its holes filled: in space, then plane by plane (bone is open at the neck)."""
    wide = np.pad(mask, CLOSING_STEPS + 1)
    pieces, number = ndimage.label(ndimage.binary_closing(wide, iterations=CLOSING_STEPS))
    if number == 0:
        return mask
    head = pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax())
    head = ndimage.binary_fill_holes(head)[(slice(CLOSING_STEPS + 1, -CLOSING_STEPS - 1),) * 3]
    for axis in range(3):
        planes = [ndimage.binary_fill_holes(plane) for plane in np.moveaxis(head, axis, 0)]
        head = np.moveaxis(np.stack(planes), 0, axis)
    return head


def _largest_section(head: np.ndarray, spacing: np.ndarray) -> float:
    """cm2."""
    areas = []
    for axis in range(3):
        across = [other for other in range(3) if other != axis]
        count = int(head.sum(axis=tuple(across)).max())
        areas.append(count * float(np.prod(spacing[across])) / 100)
    return max(areas)


def _dark_layer(channels: list[np.ndarray], head: np.ndarray, spacing: np.ndarray) -> float | None:
    depth = ndimage.distance_transform_edt(np.pad(head, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    if depth.max() < DEEP_MM:
        return None
    deep, layer = depth > DEEP_MM, (depth > LAYER_MM[0]) & (depth <= LAYER_MM[1])
    brightest = np.max([channel[layer] / max(float(np.median(channel[deep])), 1e-6) for channel in channels], axis=0)
    return float((brightest < DARK).mean())
