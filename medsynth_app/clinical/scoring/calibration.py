"""From log Bayes factor to a probability that means what it says.

    p = 1 / (1 + exp(-(slope * log BF + intercept)))        (Platt 1999, Advances in Large Margin Classifiers)

The constants are fitted on a simulated cohort, half true sites and half other patients' sites, so ``p`` is
the probability that mask and symptoms belong together where both are equally likely beforehand. No real
cohort with masks and symptoms is public: the calibration says nothing certain of real patients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from medsynth_app.errors import InvalidValueError


@dataclass(frozen=True)
class PlattCalibration:
    """A fitted curve and where it comes from.

    Attributes:
        slope: multiplies log BF; 1 would mean that the Bayes factor is taken at its word.
        intercept: added.
        cohort_hash: hash of the simulated cohort (generator's version, numbers, seed and atlas).
        cohort_size: patients in it.
        scorer_hash: fingerprint of the scorer it was fitted with (knowledge base, library, numbers); empty
            where it belongs to none.
    """

    slope: float
    intercept: float
    cohort_hash: str
    cohort_size: int
    scorer_hash: str = ""

    def probability(self, log_bayes_factor: np.ndarray) -> np.ndarray:
        """Calibrated probability, 0..1, same shape as the input."""
        return expit(self.slope * np.asarray(log_bayes_factor, dtype=np.float64) + self.intercept)


def fit_platt(
    log_bayes_factor: np.ndarray, belongs: np.ndarray, *, cohort_hash: str, scorer_hash: str = ""
) -> PlattCalibration:
    """Fit slope and intercept by maximum likelihood with Platt's smoothed targets.

    Args:
        log_bayes_factor: (pairs,) in nats.
        belongs: (pairs,) bool, True where mask and symptoms are of one patient.
        cohort_hash: kept in the result.
        scorer_hash: kept in the result.

    Raises:
        InvalidValueError: only one kind of pair is given.
    """
    belongs = np.asarray(belongs, dtype=bool)
    positive, negative = int(belongs.sum()), int((~belongs).sum())
    if not positive or not negative:
        raise InvalidValueError(
            f"calibration needs both kinds of pairs; got {positive} true, {negative} wrong"
        )
    target = np.where(belongs, (positive + 1.0) / (positive + 2.0), 1.0 / (negative + 2.0))

    def loss(parameters: np.ndarray) -> float:
        logit = parameters[0] * log_bayes_factor + parameters[1]
        return float(np.mean(np.logaddexp(0.0, logit) - target * logit))

    slope, intercept = minimize(loss, x0=np.array([1.0, 0.0]), method="BFGS").x
    return PlattCalibration(float(slope), float(intercept), cohort_hash, positive, scorer_hash)


def expected_calibration_error(probability: np.ndarray, belongs: np.ndarray, bins: int = 10) -> float:
    """Mean gap between stated and observed frequency over equal-width bins, weighted by their size."""
    gaps = [
        share * abs(stated - observed) for stated, observed, share in reliability(probability, belongs, bins)
    ]
    return float(sum(gaps))


def reliability(
    probability: np.ndarray, belongs: np.ndarray, bins: int = 10
) -> list[tuple[float, float, float]]:
    """Per non-empty bin: mean stated probability, observed frequency, share of all pairs."""
    place = np.minimum((np.asarray(probability) * bins).astype(int), bins - 1)
    rows = []
    for index in range(bins):
        inside = place == index
        if inside.any():
            rows.append(
                (float(probability[inside].mean()), float(belongs[inside].mean()), float(inside.mean()))
            )
    return rows


def brier_score(probability: np.ndarray, belongs: np.ndarray) -> float:
    """Mean squared difference between stated probability and truth."""
    return float(np.mean((probability - np.asarray(belongs, dtype=np.float64)) ** 2))


def area_under_curve(positive: np.ndarray, negative: np.ndarray) -> float:
    """Chance that a random positive scores above a random negative, ties half (Mann-Whitney)."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    return float(np.mean(below + not_above) / (2.0 * len(ordered)))


STORED_CALIBRATION = PlattCalibration(
    slope=0.8897,
    intercept=-0.0263,
    cohort_hash="be44270eea162d4b",
    cohort_size=1500,
    scorer_hash="716e2521e6e149a7",
)
"""The constants the score uses: ``medsynth benchmark calibration`` (1,500 patients, seed 77; the benchmark of
the score has seed 1).

Fit again whenever the knowledge base, the forward model or the library changes: a scorer with another
fingerprint says so in every answer, and a test compares the shipped ones.
"""
