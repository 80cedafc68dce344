"""What only volumes are measured by: structures, and likeness of two collections by slices along all axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from medsynth_app.synthesis.measures.features import PhotographFeatures, slice_features
from medsynth_app.synthesis.measures.quality import compared


def volume_similarity(made: np.ndarray, wanted: np.ndarray, labels: Mapping[str, int]) -> dict[str, float]:
    """1 - |V_made - V_wanted| / (V_made + V_wanted) of each structure (Taha and Hanbury 2015); 1 where both lack it."""
    similarity = {}
    for name, value in labels.items():
        first, second = int((made == value).sum()), int((wanted == value).sum())
        similarity[name] = 1.0 - abs(first - second) / (first + second) if first + second else 1.0
    return similarity


def anatomical_accuracy(made: np.ndarray, wanted: np.ndarray, labels: Mapping[str, int]) -> dict[str, float]:
    """Dice of each structure between what a segmenter finds in the image and what was asked for (1: both lack it)."""
    dice = {}
    for name, value in labels.items():
        first, second = made == value, wanted == value
        total = int(first.sum()) + int(second.sum())
        dice[name] = 2.0 * int((first & second).sum()) / total if total else 1.0
    return dice


def compared_volumes(
    made: Sequence[np.ndarray], real: Sequence[np.ndarray], seed: int = 0
) -> dict[str, float]:
    """``compared`` of volumes (X, Y, Z) in 0..1, beside the floor between two halves of the real ones."""
    network = PhotographFeatures()
    return compared(slice_features(made, network), slice_features(real, network), seed=seed)
