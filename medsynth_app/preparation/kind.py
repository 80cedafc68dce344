"""Whether a study is raw (a whole head) or prepared (brain only, background 0, one grid)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from medsynth_app.imaging.geometry import reorient
from medsynth_app.imaging.volume import Volume

LEAST_EMPTY_FACES = 0.95
"""Share of the image's faces that shows background in a stripped image; a brain cut out tightly touches them."""
LARGEST_BRAIN_ML = 2300.0
"""More foreground than this is a head with its skull."""
SMALLEST_HEAD_MM = 100.0
"""An image smaller than this along its longest two sides holds no head, whatever its background."""
LEAST_BACKGROUND = 0.05
"""Share of a stripped image that is background; a cropped one has its corners at least."""


@dataclass(frozen=True)
class Kind:
    """What one image shows.

    Attributes:
        stripped: brain only: a background of one value around no more than a brain.
        reason: why it was taken for that, with the figures.
        background: the value of the background, where there is one.
        too_small: it cannot hold a head at all, so there is nothing to prepare.
        shown_ml: what is not background; 0 where no background was found.
    """

    stripped: bool
    reason: str
    background: float = 0.0
    too_small: bool = False
    shown_ml: float = 0.0


def kind_of(volume: Volume) -> Kind:
    """Whether an image shows a stripped brain or a whole head.

    Args:
        volume: (1, X, Y, Z) or the channels of one case, on one grid.
    """
    # A 4-D case is stripped where all its channels are background.
    array = volume.array[0] if volume.array.shape[0] == 1 else np.abs(volume.array).max(axis=0)
    faces = np.concatenate([array.take(i, axis).ravel() for axis in range(3) for i in (0, -1)])
    values, counts = np.unique(faces, return_counts=True)
    background = float(values[counts.argmax()])
    empty = float(counts.max() / faces.size)
    foreground = array != background
    share = 1.0 - float(foreground.mean())
    sides = np.sort(np.array(volume.spatial_shape) * volume.spacing)
    if sides[1] < SMALLEST_HEAD_MM:
        return Kind(True, f"its field of view of {sides[1]:.0f} mm holds no head", background, too_small=True)
    if empty < LEAST_EMPTY_FACES or share < LEAST_BACKGROUND:
        return Kind(False, f"{100 * (1 - empty):.0f} % of its outermost voxels are not background", background)
    size = _filled_ml(foreground, volume)
    if size > LARGEST_BRAIN_ML:
        reason = f"{size:.0f} ml are not background, a brain has up to {LARGEST_BRAIN_ML:.0f} ml"
        return Kind(False, reason, background, shown_ml=size)
    return Kind(True, f"{size:.0f} ml within an empty background", background, shown_ml=size)


def first_raw(kinds: Sequence[Kind]) -> Kind | None:
    """The first image that shows a head."""
    return next((kind for kind in kinds if not kind.stripped), None)


def _filled_ml(foreground: np.ndarray, volume: Volume) -> float:
    """Volume of the largest piece with its holes, in ml; at about 3 mm, which is enough for litres."""
    turned = reorient(Volume(foreground[None], volume.affine))
    steps = [max(1, int(3.0 / s)) for s in turned.spacing]
    thin = turned.array[0][:: steps[0], :: steps[1], :: steps[2]]
    pieces, count = ndimage.label(thin)
    if count == 0:
        return 0.0
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    filled = ndimage.binary_fill_holes(pieces == sizes.argmax())
    return float(filled.sum()) * float(np.prod(steps)) * turned.voxel_volume_ml
