"""Entropy and mutual information of several answers, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.active_learning.uncertainty import Measure, Uncertainty, measure_uncertainty
from medsynth_app.errors import InvalidValueError

SHAPE = (2, 3, 2)
BRAIN = np.ones(SHAPE, dtype=bool)
HALF = np.log(2) / np.log(4)
"""Entropy of two equally likely classes of four, as a share of the largest."""


def answer(*probabilities: float) -> np.ndarray:
    """The same class probabilities in every voxel."""
    return np.broadcast_to(np.array(probabilities, dtype=float)[:, None, None, None], (4, *SHAPE))


@pytest.mark.parametrize(
    ("answers", "entropy", "information"),
    [
        ([answer(1, 0, 0, 0)], 0.0, 0.0),
        ([answer(0.25, 0.25, 0.25, 0.25)], 1.0, 0.0),
        ([answer(0.5, 0, 0, 0.5)] * 3, HALF, 0.0),
        ([answer(0, 1, 0, 0), answer(0, 0, 0, 1)], HALF, HALF),
        ([answer(0, 1, 0, 0), answer(0, 0.5, 0, 0.5)], 0.40564, 0.40564 - HALF / 2),
    ],
    ids=["sure", "no idea", "unsure alike", "sure and contrary", "one sure, one not"],
)
def test_both_measures(answers: list[np.ndarray], entropy: float, information: float) -> None:
    found = measure_uncertainty(answers, BRAIN)
    assert found.entropy == pytest.approx(entropy, abs=1e-4)
    assert found.mutual_information == pytest.approx(information, abs=1e-4)


def test_only_the_brain_counts_and_tumor_counts_more() -> None:
    brain = np.zeros(SHAPE, dtype=bool)
    brain[0] = True
    unsure = np.array(answer(1, 0, 0, 0))
    unsure[:, 0, 0, 0] = (0, 0.5, 0, 0.5)  # the only tumour, of which it is unsure
    unsure[:, 1] = 0.25  # outside
    found = measure_uncertainty([unsure], brain)
    assert found.entropy == pytest.approx(HALF / 6)
    assert found.tumor_entropy == pytest.approx(HALF)
    assert found.score(Measure.ENTROPY, 0.0) == pytest.approx(HALF / 6)
    assert found.score(Measure.ENTROPY, 1.0) == pytest.approx(HALF)


def test_score_takes_the_wanted_measure() -> None:
    facts = Uncertainty(0.1, 0.2, 0.3, 0.4)
    assert facts.score(Measure.ENTROPY, 0.5) == pytest.approx(0.2)
    assert facts.score(Measure.BALD, 0.5) == pytest.approx(0.3)


def test_empty_brain_is_no_uncertainty() -> None:
    assert measure_uncertainty([answer(0.25, 0.25, 0.25, 0.25)], ~BRAIN) == Uncertainty(0, 0, 0, 0)


def test_unfit_answers_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="at least one is needed"):
        measure_uncertainty([], BRAIN)
    with pytest.raises(InvalidValueError, match="differs from brain"):
        measure_uncertainty([answer(1, 0, 0, 0)], np.ones((2, 2, 2), dtype=bool))
