"""The order in which cases are proposed, from numbers about each case.

``most_diverse`` is the greedy solution of the k-centre problem (Sener and Savarese 2018, "Active learning for
convolutional neural networks: a core-set approach"): each pick is the case farthest from all that are labelled or
picked. ``uncertain_and_diverse`` adds, for each pick, the rank of the uncertainty (whose scale means nothing) and that
distance as a share of the largest (so that the twin of a picked case gets next to nothing for it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medsynth_app.errors import InvalidValueError


@dataclass(frozen=True)
class Pool:
    """What is known of the cases that may be proposed.

    Attributes:
        names: N case names.
        uncertainty: (N,).
        features: (N, D).
        known_features: (M, D) of the cases that are labelled or in an annotator's hands; M may be 0.
    """

    names: Sequence[str]
    uncertainty: np.ndarray
    features: np.ndarray
    known_features: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.names)
        if self.uncertainty.shape != (count,) or self.features.shape[:1] != (count,) or self.features.ndim != 2:
            raise InvalidValueError(
                f"pool: {count} names need {count} uncertainties and rows of features, got "
                f"{self.uncertainty.shape} and {self.features.shape}"
            )
        if self.known_features.ndim != 2 or self.known_features.shape[1] != self.features.shape[1]:
            raise InvalidValueError(
                f"known_features: {self.known_features.shape} must have rows as long as {self.features.shape}"
            )


@dataclass(frozen=True)
class Pick:
    """A proposed case and why.

    Attributes:
        name: case name.
        score: what it was ranked by; larger comes first.
        uncertainty: of the case.
        distance: to the nearest labelled or picked case, in standard deviations of the features; None where there
            was none yet.
    """

    name: str
    score: float
    uncertainty: float
    distance: float | None


def random_order(names: Sequence[str], weights: np.ndarray, seed: int) -> list[str]:
    """All names in random order; a larger weight tends to come earlier (Efraimidis and Spirakis 2006).

    Args:
        names: N names.
        weights: (N,) above 0.
        seed: same seed, same order.
    """
    waiting = np.random.default_rng(seed).exponential(size=len(names)) / weights
    return [names[index] for index in np.argsort(waiting, kind="stable")]


def most_uncertain(pool: Pool, count: int) -> list[Pick]:
    """The most uncertain first; names decide between equals."""
    order = sorted(range(len(pool.names)), key=lambda i: (-pool.uncertainty[i], pool.names[i]))
    return [
        Pick(pool.names[i], float(pool.uncertainty[i]), float(pool.uncertainty[i]), None) for i in order[:count]
    ]


def most_diverse(pool: Pool, count: int) -> list[Pick]:
    """The cases that together lie nearest to all others, by their features."""
    return _greedy(pool, count, uncertainty_share=0.0)


def uncertain_and_diverse(pool: Pool, count: int, uncertainty_share: float = 0.5) -> list[Pick]:
    """Uncertain cases that differ from what is labelled and from each other.

    Args:
        pool: the cases.
        count: how many to pick.
        uncertainty_share: 0 = diversity alone, 1 = uncertainty alone.
    """
    return _greedy(pool, count, uncertainty_share)


def _greedy(pool: Pool, count: int, uncertainty_share: float) -> list[Pick]:
    features, known = _standardised(pool.features, pool.known_features)
    distance = _nearest(features, known)
    uncertainty_rank = _ranks(pool.uncertainty)
    open_cases = np.ones(len(pool.names), dtype=bool)
    picks: list[Pick] = []
    for _ in range(min(count, len(pool.names))):
        anchored = bool(np.isfinite(distance).all())
        if anchored:
            spread = _share_of_largest(np.where(open_cases, distance, 0))
        else:
            # Before anything is labelled the first centre is the case nearest to the middle of all.
            spread = 1 - _share_of_largest(np.linalg.norm(features - features.mean(axis=0), axis=1))
        score = uncertainty_share * uncertainty_rank + (1 - uncertainty_share) * spread
        index = _first_largest(np.where(open_cases, score, -np.inf), pool.names)
        picks.append(
            Pick(
                pool.names[index],
                float(score[index]),
                float(pool.uncertainty[index]),
                float(distance[index]) if anchored else None,
            )
        )
        open_cases[index] = False
        distance = np.minimum(distance, np.linalg.norm(features - features[index], axis=1))
    return picks


def _standardised(features: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each feature with mean 0 and deviation 1 over all cases; one that never varies says nothing."""
    together = np.concatenate((features, known)).astype(np.float64)
    mean, deviation = together.mean(axis=0), together.std(axis=0)
    scale = np.where(deviation > 1e-9, deviation, np.inf) * np.sqrt(together.shape[1])
    return (features - mean) / scale, (known - mean) / scale


def _nearest(features: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(N,) distance of each row to the nearest row of ``known``, infinite where there is none."""
    if len(known) == 0:
        return np.full(len(features), np.inf)
    squares = (features**2).sum(axis=1)[:, None] + (known**2).sum(axis=1)[None] - 2 * features @ known.T
    return np.sqrt(np.maximum(squares.min(axis=1), 0))


def _share_of_largest(values: np.ndarray) -> np.ndarray:
    largest = float(values.max())
    return values / largest if largest > 0 else np.zeros_like(values)


def _ranks(values: np.ndarray) -> np.ndarray:
    """(N,) share of the values that are smaller, 0 to 1; equal values share a rank."""
    ordered = np.sort(values)
    return np.searchsorted(ordered, values, side="left") / max(len(values) - 1, 1)


def _first_largest(scores: np.ndarray, names: Sequence[str]) -> int:
    """Names decide between equals, so that the order of a folder does not."""
    best = np.flatnonzero(scores == scores.max())
    return int(min(best, key=lambda index: names[index]))
