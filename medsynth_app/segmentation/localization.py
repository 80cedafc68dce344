"""Where the tumour is, found at 2 mm, so that the full resolution is spent on it alone.

The network that segments at 1 mm also recognises a tumour at half the resolution, where a whole brain costs an
eighth. What it takes for tumour there, with a margin, is the box that is then segmented; no second network and
no training is needed (two passes of one network; the idea of coarse-to-fine cascades, Roth 2018).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from medsynth_app.imaging.geometry import Box
from medsynth_app.segmentation.transforms import GRID_STEP

TUMOR_PROBABILITY = 0.3
"""Coarse voxels above it are looked at. Low: a place looked at in vain costs time, one passed over costs tumour."""
SMALLEST_FOCUS = 12
"""Coarse voxels; a smaller focus (0.1 ml) would be removed from the answer as a speck anyway."""
MARGIN = 8
"""Least number of voxels around the coarse tumour: what the network needs to see beside a voxel, and what 2 mm cannot
show. Starting and stopping on the grid of ``GRID_STEP`` adds 0 to 15 more on each side."""
WORTHWHILE_SHARE = 0.7
"""A box that fills more of the brain than this saves nothing."""


def tumor_box(image: torch.Tensor, predict: Callable[[torch.Tensor], torch.Tensor]) -> Box:
    """The part of a prepared image that holds all that may be tumour.

    Args:
        image: (C, X, Y, Z) float32, z-scored, 0 outside the brain; 1 mm voxels.
        predict: the network: image (C, x, y, z) -> logits (4, x, y, z).

    Returns:
        A box of 1 mm voxels; the whole image where nothing is found (a second look costs less than a miss) or
        where the box would save little.
    """
    whole = Box((0, 0, 0), tuple(int(side) for side in image.shape[1:]))  # type: ignore[arg-type]
    logits = predict(half_resolution(image))
    suspected = torch.softmax(logits.float(), dim=0)[1:].sum(dim=0).cpu().numpy() > TUMOR_PROBABILITY
    foci, _ = ndimage.label(suspected, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(foci.ravel())
    sizes[0] = 0
    voxels = np.argwhere((sizes >= SMALLEST_FOCUS)[foci])
    if len(voxels) == 0:
        return whole
    box = Box(
        tuple(max(0, int(low) * 2 - MARGIN) for low in voxels.min(axis=0)),  # type: ignore[arg-type]
        tuple(min(side, int(high) * 2 + 2 + MARGIN) for high, side in zip(voxels.max(axis=0), whole.stop)),  # type: ignore[arg-type]
    ).aligned(GRID_STEP, whole.stop)
    return box if np.prod(box.shape) <= WORTHWHILE_SHARE * np.prod(whole.shape) else whole


def half_resolution(image: torch.Tensor) -> torch.Tensor:
    """Mean of each 2x2x2 block over its voxels inside the brain; 0 where less than half of it is brain.

    Args:
        image: (C, X, Y, Z), 0 outside the brain.

    Returns:
        (C, ceil(X/2), ceil(Y/2), ceil(Z/2)).
    """
    brain = inside_brain(image)[None].float()
    mean, share = _block_sums(image) / 8, _block_sums(brain) / 8
    return torch.where(share > 0.5, mean / share.clamp_min(0.5), torch.zeros(()))


def inside_brain(image: torch.Tensor) -> torch.Tensor:
    """(X, Y, Z) bool: where any channel of a prepared image (C, X, Y, Z) is not 0."""
    # Channel by channel: ``any`` over the slowest axis takes ten times as long on a CPU.
    return reduce(torch.logical_or, (channel != 0 for channel in image))


def _block_sums(image: torch.Tensor) -> torch.Tensor:
    """Sums over 2x2x2 blocks, one axis after the other: on a CPU a third faster than a pooling layer."""
    for axis in (1, 2, 3):
        if image.shape[axis] % 2:
            image = functional.pad(image, [0, 0] * (3 - axis) + [0, 1])
        pairs = image.unflatten(axis, (-1, 2))
        image = pairs.select(axis + 1, 0) + pairs.select(axis + 1, 1)
    return image
