"""Expected calibration error, errors among the doubtful voxels, intervals: right on made-up probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.segmentation.evaluation.calibration import (
    calibration_of,
    calibration_summary,
    expected_error,
)

SHAPE = (20, 20, 20)
BRAIN = np.ones(SHAPE, bool)
ALL_HOLD = {"necrotic_core": (0.0, 1e9), "edema": (0.0, 1e9), "enhancing_tumor": (0.0, 1e9)}
VOLUMES = {"necrotic_core": 0.0, "edema": 8.0, "enhancing_tumor": 0.0}


def _probabilities(edema: np.ndarray) -> np.ndarray:
    zero = np.zeros(SHAPE, np.float32)
    return np.stack([1 - edema, zero, edema, zero]).astype(np.float32)


def test_probabilities_that_come_true_have_no_error() -> None:
    chance = np.random.default_rng(0)
    edema = chance.uniform(size=SHAPE).astype(np.float32)
    wanted = np.where(chance.uniform(size=SHAPE) < edema, 2, 0).astype(np.uint8)
    right = calibration_of(_probabilities(edema), wanted, wanted, BRAIN, ALL_HOLD, VOLUMES)
    assert right.as_dict()["ece"]["WT"] < 0.02
    too_sure = calibration_of(_probabilities((edema > 0.5) * 1.0), wanted, wanted, BRAIN, ALL_HOLD, VOLUMES)
    assert too_sure.as_dict()["ece"]["WT"] == pytest.approx(0.25, abs=0.02)
    assert right.as_dict()["ece"]["ET"] == 0.0


def test_only_the_tumor_and_5_mm_around_it_are_looked_at() -> None:
    wanted = np.zeros((40, 40, 40), np.uint8)
    wanted[:5] = 2
    edema = (wanted > 0) * 1.0
    edema[20:] = 1.0  # wrong, and far away
    zero = np.zeros(wanted.shape)
    found = calibration_of(
        np.stack([1 - edema, zero, edema, zero]), wanted, wanted, np.ones(wanted.shape, bool), ALL_HOLD, VOLUMES
    )
    assert found.as_dict()["ece"]["WT"] == 0.0
    assert found.counts["WT"][:, 0].sum() == 10 * 40 * 40


def test_errors_among_the_most_doubtful_voxels() -> None:
    edema = np.full(SHAPE, 0.01)
    edema[0] = 0.5  # 5 % of the voxels
    wanted = np.zeros(SHAPE, np.uint8)
    found = wanted.copy()
    found[0, :, :10] = 2  # 200 wrong ones where it doubts
    found[5, :, :5] = 2  # 100 where it does not
    told = calibration_of(_probabilities(edema), found, wanted, BRAIN, ALL_HOLD, VOLUMES)
    assert told.errors_found == pytest.approx(2 / 3)
    assert calibration_of(_probabilities(edema), wanted, wanted, BRAIN, ALL_HOLD, VOLUMES).errors_found is None


def test_the_summary_is_over_the_voxels_and_cases_of_all() -> None:
    wanted = np.zeros(SHAPE, np.uint8)
    narrow = {**ALL_HOLD, "edema": (0.0, 1.0)}
    sure = calibration_of(_probabilities(np.zeros(SHAPE)), wanted, wanted, BRAIN, ALL_HOLD, VOLUMES)
    wrong = calibration_of(_probabilities(np.ones(SHAPE)), wanted, wanted, BRAIN, narrow, VOLUMES)
    summary = calibration_summary([sure, wrong])
    assert summary["ece"]["WT"] == pytest.approx(0.5)
    assert summary["volume_interval_holds"] == {"necrotic_core": 1.0, "edema": 0.5, "enhancing_tumor": 1.0}
    assert summary["errors_in_most_doubtful"] is None
    assert calibration_summary([]) == {}
    assert expected_error(np.zeros((15, 3))) == 0.0
