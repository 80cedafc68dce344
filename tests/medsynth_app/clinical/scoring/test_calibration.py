"""From log Bayes factor to probability, and how its quality is measured."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.clinical.scoring.calibration import (
    STORED_CALIBRATION,
    PlattCalibration,
    area_under_curve,
    brier_score,
    expected_calibration_error,
    fit_platt,
    reliability,
)
from medsynth_app.errors import InvalidValueError


def test_probability_is_monotone_and_bounded() -> None:
    probability = PlattCalibration(0.6, 0.2, "x", 1).probability(np.array([-900.0, -1.0, 0.0, 1.0, 900.0]))
    assert np.all(np.diff(probability) > 0)
    assert probability[0] >= 0.0
    assert probability[-1] <= 1.0


def test_fit_recovers_slope_and_intercept() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(scale=2.0, size=20000)
    belongs = generator.random(20000) < 1.0 / (1.0 + np.exp(-(0.7 * scores - 0.3)))
    fitted = fit_platt(scores, belongs, cohort_hash="x")
    assert fitted.slope == pytest.approx(0.7, abs=0.05)
    assert fitted.intercept == pytest.approx(-0.3, abs=0.06)
    assert expected_calibration_error(fitted.probability(scores), belongs) < 0.02


def test_one_kind_of_pair_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="both kinds of pairs; got 3 true, 0 wrong"):
        fit_platt(np.zeros(3), np.ones(3, dtype=bool), cohort_hash="x")


def test_calibration_error_of_a_known_gap() -> None:
    belongs = np.arange(100) < 50
    assert expected_calibration_error(np.full(100, 0.9), belongs) == pytest.approx(0.4)
    assert expected_calibration_error(belongs.astype(float), belongs) == 0.0
    assert reliability(np.full(100, 0.9), belongs) == [pytest.approx((0.9, 0.5, 1.0))]


def test_brier_score() -> None:
    assert brier_score(np.array([1.0, 0.5]), np.array([True, False])) == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("positive", "negative", "area"),
    [([2.0, 3.0], [0.0, 1.0], 1.0), ([0.0], [1.0], 0.0), ([1.0, 1.0], [1.0], 0.5), ([0.0, 2.0], [1.0], 0.5)],
)
def test_area_under_curve(positive: list[float], negative: list[float], area: float) -> None:
    assert area_under_curve(np.array(positive), np.array(negative)) == pytest.approx(area)


def test_stored_constants_come_from_a_named_cohort() -> None:
    assert STORED_CALIBRATION.cohort_size >= 1000
    assert len(STORED_CALIBRATION.cohort_hash) == 16
    assert 0.2 < STORED_CALIBRATION.slope <= 1.2
    assert float(STORED_CALIBRATION.probability(np.array(0.0))) == pytest.approx(0.5, abs=0.15)
