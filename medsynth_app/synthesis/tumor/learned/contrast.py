"""How bright each tissue is in each sequence, as it differs from person to person: a Gaussian of class means.

One vector a case: the means of six classes in four sequences, the offset of each sequence from 0, and the logarithm
of its grain. A few dozen cases cannot fix a covariance of 32 numbers, so it is shrunk towards its diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.tumor.learned.transforms import CLASSES, ObservedCase
from medsynth_app.vocabulary import Modality

MODALITIES = list(Modality)
SEQUENCES = len(MODALITIES)
MEANS = len(CLASSES) * SEQUENCES
LENGTH = MEANS + 2 * SEQUENCES
SHRINKAGE = 0.4
"""Share of the diagonal in the covariance."""
FARTHEST = 1.6
"""No number leaves the mean by more deviations: combinations of extremes look like no patient."""
LEAST_UPTAKE = 0.5
"""Share of the average uptake of contrast agent that a drawn person's enhancing tumour must reach."""
MOST_DRAWS = 100
"""Where cases without any uptake were learned, no draw may reach it: then the last one is taken."""
FARTHEST_GRAIN = 0.5
"""The same of the grain: beyond lie faulty scans, and thick slices that have none."""
FEWEST_CASES = 3


@dataclass(frozen=True)
class Contrast:
    """One person's and scanner's contrast.

    Attributes:
        means: (6, 4) of classes and sequences, in deviations of the healthy brain.
        offsets: (4,) of the healthy median, in the same unit.
        grain: (4,) standard deviation of noise at 1 mm, in the same unit.
    """

    means: np.ndarray
    offsets: np.ndarray
    grain: np.ndarray


@dataclass(frozen=True)
class ContrastModel:
    """Gaussian of contrast vectors.

    Attributes:
        mean: (32,).
        factor: (32, 32), lower triangle whose square is the covariance.
    """

    mean: np.ndarray
    factor: np.ndarray

    def __post_init__(self) -> None:
        if self.mean.shape != (LENGTH,) or self.factor.shape != (LENGTH, LENGTH):
            raise InvalidValueError(f"contrast: must hold {LENGTH} numbers and their factor, has {self.mean.shape}")

    @classmethod
    def of(cls, cases: Sequence[ObservedCase]) -> ContrastModel:
        """Fit it; a class that a case lacks takes that class's mean over the others.

        Raises:
            InvalidValueError: fewer than three cases, or a class that no case shows.
        """
        if len(cases) < FEWEST_CASES:
            raise InvalidValueError(f"cases: {len(cases)} are too few to learn contrast, {FEWEST_CASES} are needed")
        table = np.stack([_vector(case) for case in cases])
        known = np.isfinite(table)
        if not known.any(axis=0).all():
            missing = CLASSES[int(np.flatnonzero(~known.any(axis=0))[0]) // SEQUENCES]
            raise InvalidValueError(f"cases: none of the {len(cases)} shows {missing}")
        mean = np.nanmean(table, axis=0)
        table = np.where(known, table, mean)
        covariance = np.cov(table.T)
        covariance = (1.0 - SHRINKAGE) * covariance + SHRINKAGE * np.diag(np.diag(covariance))
        covariance += 1e-6 * np.eye(LENGTH)
        return cls(mean, np.linalg.cholesky(covariance))

    def draw(self, chance: np.random.Generator) -> Contrast:
        """A person's contrast, drawn again while what is labelled as enhancing would hardly enhance."""
        least = LEAST_UPTAKE * _uptake(self.mean)
        vector = self._vector(chance)
        for _ in range(MOST_DRAWS):
            if _uptake(vector) >= least:
                break
            vector = self._vector(chance)
        return Contrast(
            vector[:MEANS].reshape(len(CLASSES), SEQUENCES),
            np.maximum(vector[MEANS : MEANS + SEQUENCES], 0.5),
            np.exp(vector[MEANS + SEQUENCES :]),
        )

    def _vector(self, chance: np.random.Generator) -> np.ndarray:
        deviations = np.sqrt(np.square(self.factor).sum(axis=1))
        deviations *= np.where(np.arange(LENGTH) < MEANS + SEQUENCES, FARTHEST, FARTHEST_GRAIN)
        moved = self.factor @ chance.standard_normal(LENGTH)
        return self.mean + np.clip(moved, -deviations, deviations)


def _uptake(vector: np.ndarray) -> float:
    """T1ce minus T1 of enhancing tumour, beyond that of the tumour's core."""
    means = vector[:MEANS].reshape(len(CLASSES), SEQUENCES)
    t1, t1ce = MODALITIES.index(Modality.T1), MODALITIES.index(Modality.T1CE)
    gained = means[:, t1ce] - means[:, t1]
    return float(gained[CLASSES.index("enhancing_tumor")] - gained[CLASSES.index("necrotic_core")])


def _vector(case: ObservedCase) -> np.ndarray:
    return np.concatenate([case.means.ravel(), case.offsets, np.log(np.maximum(case.grain, 1e-3))])
