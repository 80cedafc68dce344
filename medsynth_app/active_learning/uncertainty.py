"""How unsure a network is about a case, from several answers to the same image.

The answers come from dropout at inference (Gal 2016, "Dropout as a Bayesian approximation") or from changed copies
of the image (Wang 2019, "Aleatoric uncertainty estimation with test-time augmentation"). Two measures:

    predictive entropy   H[p],        p = mean over answers s of p_s,   H[p] = -sum_c p_c log p_c
    mutual information   H[p] - mean over s of H[p_s]                   (BALD, Houlsby 2011)

Both are divided by log(number of classes), so that 0 is sure and 1 is all classes equally likely.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from medsynth_app.errors import InvalidValueError

BACKGROUND = 0


class Measure(str, Enum):
    """What is called uncertain."""

    BALD = "bald"
    ENTROPY = "entropy"


@dataclass(frozen=True)
class Uncertainty:
    """Means of both measures, 0 to 1: over the brain, and weighted by how likely each voxel is tumour.

    A brain is nearly all healthy tissue, of which the network is sure: the plain mean says how large the tumour's
    rim is, the weighted one how unsure the network is of what it calls tumour.
    """

    entropy: float
    mutual_information: float
    tumor_entropy: float
    tumor_mutual_information: float

    def score(self, measure: Measure, tumor_weight: float) -> float:
        """One number to rank by.

        Args:
            measure: which of the two.
            tumor_weight: 0 = the whole brain counts alike, 1 = only what may be tumour.
        """
        whole, tumor = {
            Measure.ENTROPY: (self.entropy, self.tumor_entropy),
            Measure.BALD: (self.mutual_information, self.tumor_mutual_information),
        }[measure]
        return (1 - tumor_weight) * whole + tumor_weight * tumor


def measure_uncertainty(answers: Iterable[np.ndarray], brain: np.ndarray) -> Uncertainty:
    """Both measures of a case; the answers are read one by one, so that they need not be in memory together.

    Args:
        answers: class probabilities (C, X, Y, Z), class 0 is background.
        brain: (X, Y, Z) bool, the voxels that count.

    Raises:
        InvalidValueError: there is no answer, or shapes differ.
    """
    total, total_entropy, count = np.zeros(0), np.zeros(0), 0
    for probabilities in answers:
        if probabilities.shape[1:] != brain.shape:
            raise InvalidValueError(f"answers: shape {probabilities.shape[1:]} differs from brain {brain.shape}")
        inside = probabilities[:, brain].astype(np.float64)
        total = inside if count == 0 else total + inside
        total_entropy = _entropy(inside) + (total_entropy if count else 0)
        count += 1
    if count == 0:
        raise InvalidValueError("answers: at least one is needed, got none")
    if total.shape[1] == 0:
        return Uncertainty(0.0, 0.0, 0.0, 0.0)
    mean = total / count
    entropy = _entropy(mean)
    information = np.maximum(entropy - total_entropy / count, 0)
    tumor = 1 - mean[BACKGROUND]
    return Uncertainty(
        float(entropy.mean()),
        float(information.mean()),
        _weighted_mean(entropy, tumor),
        _weighted_mean(information, tumor),
    )


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    """(C, N) -> (N,), as a share of log C."""
    logarithm = np.log(np.maximum(probabilities, 1e-12))
    return -(probabilities * logarithm).sum(axis=0) / np.log(len(probabilities))


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> float:
    total = float(weights.sum())
    return float((values * weights).sum() / total) if total > 0 else 0.0
