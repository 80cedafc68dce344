"""The simulated annotator marks the largest error, with the right label, in one slice."""

from __future__ import annotations

import numpy as np

from medsynth_app.benchmarks.simulated_annotator import largest_error, next_strokes, stroke_along
from medsynth_app.vocabulary import TumorRegion

SHAPE = (40, 40, 20)


def pair() -> tuple[np.ndarray, np.ndarray]:
    """Found and true labels: a large edema error and a smaller one of the core."""
    truth = np.zeros(SHAPE, dtype=np.uint8)
    truth[2:22, 4:12, 4:12] = 2
    truth[26:36, 26:34, 6:12] = 1
    found = np.zeros_like(truth)
    found[26:36, 26:34, 6:12] = 2
    return found, truth


def test_the_largest_error_is_found() -> None:
    found, truth = pair()
    error = largest_error(found, truth)
    assert error is not None
    assert error[0] == 2
    assert error[1].sum() == 20 * 8 * 8


def test_errors_of_another_region_do_not_count() -> None:
    found, truth = pair()
    error = largest_error(found, truth, TumorRegion.TUMOR_CORE)
    assert error is not None
    assert error[0] == 1
    assert error[1].sum() == 10 * 8 * 6


def test_the_stroke_lies_along_the_middle_of_one_slice() -> None:
    found, truth = pair()
    region = (truth == 2) & (found != 2)
    drawn = stroke_along(region, np.random.default_rng(0))
    assert np.unique(np.nonzero(drawn)[2]).tolist() == [7]
    assert (drawn & region).sum() > 0.8 * drawn.sum()
    assert np.ptp(np.nonzero(drawn)[0]) > 5
    again = stroke_along(region, np.random.default_rng(0))
    assert np.array_equal(drawn, again)


def test_a_perfect_answer_needs_no_stroke() -> None:
    _, truth = pair()
    assert next_strokes(truth, truth, np.random.default_rng(0)) is None
