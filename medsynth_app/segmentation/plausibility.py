"""Whether an answer can be a tumour: what a reader of the mask should doubt, in words.

The limits lie beyond what 27 glioma cases of BraTS show, in their reference labels and in the network's answers:
tumour up to 20% of the brain, up to 22% of it within 4 mm of the brain's surface, up to 6 pieces of 1 ml.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medsynth_app.cancellation import stop_if_cancelled
from medsynth_app.vocabulary import TumorLabel

LARGEST_SHARE = 0.3
"""Of the brain."""
RIM_MM = 4.0
LARGEST_RIM_SHARE = 0.5
"""Of the tumour, within ``RIM_MM`` of the brain's surface."""
LEAST_JUDGED_ML = 5.0
"""A small tumour may well lie at the surface as a whole."""
PIECE_ML = 1.0
MOST_PIECES = 8
LEAST_CORE_ML = 0.1
"""Of 32 gliomas of BraTS the smallest core has 0.8 ml."""


def doubts_about(labels: np.ndarray, brain: np.ndarray) -> tuple[str, ...]:
    """What is odd about a mask, as sentences.

    Args:
        labels: (X, Y, Z) uint8 in 1 mm voxels, 0 = no tumour.
        brain: (X, Y, Z) bool on the same grid.

    Raises:
        WorkCancelledError: inside of ``cancelled_by``, once its signal is set.
    """
    stop_if_cancelled()
    tumor = labels > 0
    tumor_ml = float(tumor.sum()) / 1000
    if tumor_ml == 0:
        return ()
    thin = (slice(None, None, 2),) * 3
    whole = ndimage.binary_fill_holes(brain[thin])
    doubts = []
    share = min(1.0, float(tumor[thin].sum()) / max(int(whole.sum()), 1))
    if share > LARGEST_SHARE:
        doubts.append(
            f"the tumour fills {100 * share:.0f}% of the brain (more than {100 * LARGEST_SHARE:.0f}% is rare): "
            "check that the image is a skull-stripped brain and the sequences are in their order"
        )
    depth = 2.0 * ndimage.distance_transform_edt(np.pad(whole, 1))[1:-1, 1:-1, 1:-1]
    inside = tumor[thin]
    rim = float((depth[inside] <= RIM_MM).mean()) if inside.any() else 0.0
    if rim > LARGEST_RIM_SHARE and tumor_ml >= LEAST_JUDGED_ML:
        doubts.append(
            f"{100 * rim:.0f}% of the tumour lies within {RIM_MM:.0f} mm of the edge of the brain: "
            "remains of the skull or background may have been taken for tumour"
        )
    pieces, number = ndimage.label(tumor, structure=np.ones((3, 3, 3)))
    large = int((np.bincount(pieces.ravel(), minlength=number + 1)[1:] >= PIECE_ML * 1000).sum())
    if large >= MOST_PIECES:
        doubts.append(f"the tumour has {large} separate pieces of at least {PIECE_ML:g} ml: check each of them")
    core_ml = float((tumor & (labels != TumorLabel.EDEMA)).sum()) / 1000
    if core_ml < LEAST_CORE_ML:
        doubts.append(
            "no tumour core was found, only what looks like oedema: multiple sclerosis, vascular disease and other "
            "lesions look like this too"
        )
    return tuple(doubts)


def doubt_at_the_image_edge(labels: np.ndarray) -> tuple[str, ...]:
    """Whether the tumour reaches the edge of the image that came in.

    Args:
        labels: (X, Y, Z) on the grid of that image.
    """
    cut = [
        axis for axis in range(3) for end in (0, -1) if labels.shape[axis] > 1 and labels.take(end, axis).any()
    ]  # fmt: skip
    return ("the tumour reaches the edge of the image: a part of it may lie outside",) if cut else ()
