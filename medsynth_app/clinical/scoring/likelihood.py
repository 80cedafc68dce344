"""Sums over lesions and language dominance that turn single log-likelihoods into a Bayes factor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medsynth_app.clinical.scoring.forward_model import LEFT, RIGHT


@dataclass(frozen=True)
class LikelihoodTerms:
    """Log-likelihood of each of n observations; worked out once per case, asked several times.

    Attributes:
        of_mask: (n, dominance 2), of the mask.
        of_others: (n, dominance 2, lesions + 1), of its alternatives: the library and, last, the mirrored mask.
        weights: (lesions + 1,) of the alternatives, summing to 1.
    """

    of_mask: np.ndarray
    of_others: np.ndarray
    weights: np.ndarray

    def log_bayes_factor(self, right_dominance: float) -> float:
        """log BF in nats of all observations together; 0 without any."""
        if not len(self.of_mask):
            return 0.0
        dominance = dominance_chance(right_dominance)[:, None]
        mask, _ = _log_sum(self.of_mask[..., None], dominance)
        others, _ = _log_sum(self.of_others, dominance * self.weights)
        return mask - others

    def leaving_one_out(self, right_dominance: float) -> np.ndarray:
        """(1 + n,): log BF with all observations, then without each of them in turn."""
        if not len(self.of_mask):
            return np.zeros(1)
        dominance = dominance_chance(right_dominance)[:, None]
        mask = _leaving_one_out(self.of_mask[..., None], np.exp(self.of_mask[..., None]), dominance)
        others = _leaving_one_out(self.of_others, self._likelihood, dominance * self.weights)
        return mask - others

    def alone(self, right_dominance: float) -> np.ndarray:
        """(n,) log BF of each observation on its own."""
        dominance = dominance_chance(right_dominance)
        expected = self._likelihood @ self.weights @ dominance
        return np.log(np.exp(self.of_mask) @ dominance) - np.log(expected)

    def total(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sum over the chosen (n,) observations: mask (dominance 2,), alternatives (2, lesions + 1)."""
        return self.of_mask[chosen].sum(axis=0), self.of_others[chosen].sum(axis=0)

    @cached_property
    def _likelihood(self) -> np.ndarray:
        return np.exp(self.of_others)


def dominance_chance(right_dominance: float) -> np.ndarray:
    """(2,) chance that language sits left, right."""
    chance = np.empty(2)
    chance[LEFT], chance[RIGHT] = 1.0 - right_dominance, right_dominance
    return chance


def _log_sum(terms: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """log of the weighted sum over all other axes of exp(sum of terms over the first one).

    Args:
        terms: (n, dominance 2, lesions).
        weights: (dominance 2, lesions).

    Returns:
        The logarithm, and each place's share (dominance 2, lesions) of the sum.
    """
    total = terms.sum(axis=0)
    shift = float(total.max())
    likelihood = weights * np.exp(total - shift)
    whole = float(likelihood.sum())
    return shift + float(np.log(whole)), likelihood / whole


def _leaving_one_out(terms: np.ndarray, likelihood: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(1 + n,) the logarithm of `_log_sum` with all terms, then leaving each one out."""
    whole, share = _log_sum(terms, weights)
    without = (share / likelihood).sum(axis=(1, 2))
    return whole + np.concatenate([[0.0], np.log(without)])
