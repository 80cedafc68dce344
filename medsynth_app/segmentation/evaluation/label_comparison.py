"""Two label maps of one case side by side: agreement by region, and where they differ."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np

from medsynth_app.errors import InvalidValueError
from medsynth_app.segmentation.evaluation.metrics import score_labels


class Difference(IntEnum):
    """Values of a difference map."""

    ONLY_FIRST = 1
    ONLY_SECOND = 2
    OTHER_LABEL = 3


def difference_map(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Where two label maps differ.

    Args:
        first, second: (X, Y, Z) label maps, values 0..3.

    Returns:
        (X, Y, Z) uint8: 0 = alike, else ``Difference``.

    Raises:
        InvalidValueError: the shapes differ.
    """
    if first.shape != second.shape:
        raise InvalidValueError(f"the two labels lie on grids of their own, {first.shape} and {second.shape}")
    result = np.zeros(first.shape, np.uint8)
    result[(first > 0) & (second == 0)] = Difference.ONLY_FIRST
    result[(first == 0) & (second > 0)] = Difference.ONLY_SECOND
    result[(first > 0) & (second > 0) & (first != second)] = Difference.OTHER_LABEL
    return result


def compare_labels(first: np.ndarray, second: np.ndarray, affine: np.ndarray) -> dict[str, Any]:
    """Figures of two label maps; Dice and HD95 do not depend on which is first.

    Args:
        first, second: (X, Y, Z) label maps, values 0..3.
        affine: (4, 4) voxel -> RAS mm of both.

    Returns:
        ``regions``: WT, TC, ET -> ``dice``, ``hd95_mm``; ``voxels_changed`` and ``changed_ml``; ``difference_names``.
    """
    difference = difference_map(first, second)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    changed = int(np.count_nonzero(difference))
    return {
        "regions": {
            region: {"dice": round(scores["dice"], 4), "hd95_mm": round(scores["hd95_mm"], 2)}
            for region, scores in score_labels(first, second, spacing).items()
        },
        "voxels_changed": changed,
        "changed_ml": round(changed * float(np.prod(spacing)) / 1000, 3),
        "difference_names": {each.name.lower(): each.value for each in Difference},
    }
