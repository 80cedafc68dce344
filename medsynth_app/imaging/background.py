"""What of a head image is background, and whether a skull is still around the brain.

The networks and the registration take "not 0" for brain. Programs store the air around it as anything: 0, the
intercept of a rescaling, the low end of -1..1, -mean/deviation after a whole-image z-score, or the ringing of an
interpolation. Here the background of each sequence is found and moved to 0, once for all who need it; an image whose
background is 0 already comes back untouched.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from medsynth_app.imaging.geometry import Box, foreground_box
from medsynth_app.imaging.volume import Volume

CONSTANT_SHARE = 0.5
"""A value that fills more of a box's faces than this is background. In a stripped brain's tight box it is 0.97."""
LARGEST_LEVELS = 4
"""Constant values that are peeled off one after the other: padding around a field of view around a brain."""
NOISE_DEVIATIONS = 8.0
NOISE_SHARE = 0.05
"""Of the image's range: the ringing of an interpolation beside an edge stays below it; tissue that is darker in one
sequence is brighter in others."""
FAINT_SHARE = 0.15
"""Of the voxels that are not background, fainter than ``FAINT`` of the range: more is ringing. Brains have 0.05."""
FAINT = 0.005
TINY = float(np.finfo(np.float32).tiny)
QUIET_SHARE = 0.15
"""Background that varies by more than this of the image's range is none: the image is cut out of tissue."""


@dataclass(frozen=True)
class Background:
    """What surrounds the brain in one sequence.

    Attributes:
        levels: constant values of the background; the median alone where it is not constant.
        noise: deviation of a background that is not constant, 0 of one that is, ``TINY`` beside ringing.
        found: whether there is one; False for an image that is cut out of tissue.
    """

    levels: tuple[float, ...]
    noise: float = 0.0
    found: bool = True

    @property
    def is_zero(self) -> bool:
        """Whether the voxels outside are exactly 0, so that nothing has to be moved."""
        return not self.found or (self.noise == 0 and all(level == 0 for level in self.levels))


def find_background(channel: np.ndarray) -> Background:
    """The background of one sequence.

    Args:
        channel: (X, Y, Z).
    """
    levels: list[float] = []
    box = Box((0, 0, 0), channel.shape)  # type: ignore[arg-type]
    while len(levels) < LARGEST_LEVELS:
        faces = _faces(channel[box.slices])
        if levels and np.isin(faces, levels).mean() > CONSTANT_SHARE:
            rings = _faint_share(channel[box.slices], levels) > FAINT_SHARE
            return Background(tuple(levels), noise=TINY if rings else 0.0)
        level, share = _commonest(faces)
        if share <= CONSTANT_SHARE:
            break
        levels.append(level)
        inside = _differs(channel, levels)
        if not inside.any():
            return Background(tuple(levels))
        box = foreground_box(inside)
    return _noisy(channel[box.slices], levels)


def _noisy(part: np.ndarray, levels: list[float]) -> Background:
    """Background that is not constant: the values on the faces, if they are close together."""
    faces = _faces(part).astype(np.float32)
    level = float(np.median(faces))
    away = np.abs(faces - level)
    noise = max(1.4826 * float(np.median(away)), float(np.percentile(away, 90)) / 1.645)
    scale = _scale(part, level)
    if noise * NOISE_DEVIATIONS > QUIET_SHARE * scale:
        return Background(tuple(levels) or (0.0,), found=False)
    return Background((*levels, level), max(noise, TINY))


def without_background(volume: Volume) -> tuple[Volume, tuple[Background, ...]]:
    """The image with 0 where its background is, and nowhere else where that can be told.

    Args:
        volume: (C, X, Y, Z).

    Returns:
        the same object where every background is 0 already, else float32; and what was found in each channel.
    """
    backgrounds = tuple(find_background(channel) for channel in volume.array)
    if all(background.is_zero for background in backgrounds):
        return volume, backgrounds
    noisy = [place for place, background in enumerate(backgrounds) if background.noise > 0]
    common = _common_foreground(volume, backgrounds) if noisy else None
    array = np.empty(volume.array.shape, dtype=np.float32)
    for place, (channel, background) in enumerate(zip(volume.array, backgrounds)):
        if background.is_zero:
            array[place] = channel
            continue
        inside = _differs(channel, background.levels)
        if place in noisy and common is not None:
            inside &= common
        array[place] = np.where(inside, channel.astype(np.float32) - np.float32(background.levels[-1]), 0)
    return Volume(array, volume.affine), backgrounds


def _common_foreground(volume: Volume, backgrounds: tuple[Background, ...]) -> np.ndarray:
    """(X, Y, Z) bool: where the sequences that vary stand out of their noise together, holes filled."""
    votes, seen = np.zeros(volume.spatial_shape, dtype=np.uint8), 0
    for channel, background in zip(volume.array, backgrounds):
        inside = _differs(channel, background.levels)
        if background.noise > 0:
            level = background.levels[-1]
            floor = max(NOISE_DEVIATIONS * background.noise, NOISE_SHARE * _scale(channel, level))
            inside &= np.abs(channel.astype(np.float32) - np.float32(level)) > floor
        if inside.any():
            votes += inside
            seen += 1
    return _solid(votes > 0 if seen < 3 else votes > 1)


def _solid(mask: np.ndarray) -> np.ndarray:
    """The largest connected piece without holes; an empty mask stays empty."""
    pieces, number = ndimage.label(mask)
    if number == 0:
        return mask
    return ndimage.binary_fill_holes(pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax()))


def _differs(channel: np.ndarray, levels: list[float] | tuple[float, ...]) -> np.ndarray:
    inside = channel != levels[0]
    for level in levels[1:]:
        inside &= channel != level
    return inside


def _faint_share(part: np.ndarray, levels: list[float]) -> float:
    """How many of the voxels that differ from the background hardly do so; every second one is looked at."""
    thin = part[::2, ::2, ::2]
    away = np.abs(thin[_differs(thin, levels)].astype(np.float32) - np.float32(levels[-1]))
    return float((away < FAINT * np.percentile(away, 99)).mean()) if away.size else 0.0


def _scale(part: np.ndarray, level: float) -> float:
    """How far the bright voxels are from the background."""
    return float(np.percentile(np.abs(part[::2, ::2, ::2].astype(np.float32) - np.float32(level)), 99))


def _faces(part: np.ndarray) -> np.ndarray:
    """The values on the six faces of a box."""
    # Plain slices: ``take`` would copy the whole box where its first axis is the fastest.
    return np.concatenate([np.moveaxis(part, axis, 0)[end].ravel() for axis in range(3) for end in (0, -1)])


def _commonest(values: np.ndarray) -> tuple[float, float]:
    """The value that occurs most often, and its share."""
    if (share := float((values == 0).mean())) > CONSTANT_SHARE:
        return 0.0, share
    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()]), float(counts.max() / values.size)
