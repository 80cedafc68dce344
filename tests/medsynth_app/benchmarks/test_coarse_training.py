"""Coarse cases keep their places; means and intervals worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsynth_app.benchmarks.coarse_training import (
    CoarseCases,
    CoarseSetting,
    coarsen,
    mean_and_interval,
    region_dice,
)
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.studies.cases import find_cases
from medsynth_app.segmentation.training.dataset import load_case

MODALITIES = ("flair", "t1", "t1ce", "t2")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory, build: Any) -> Any:
    root = tmp_path_factory.mktemp("cases")
    build.write_case(root, "case_0")
    return find_cases(root)


def test_coarsened_case_keeps_places(cases: Any) -> None:
    case = load_case(cases[0], MODALITIES)
    coarse = coarsen(case, 2)
    assert coarse.image.shape[1:] == coarse.label.shape
    assert np.array_equal(coarse.label.numpy(), case.label.numpy()[::2, ::2, ::2])
    block = case.image.float()[:, 10:12, 12:14, 8:10].mean(dim=(1, 2, 3))
    assert np.allclose(coarse.image.float()[:, 5, 6, 4], block, atol=1e-2)
    assert coarsen(case, 1) is case


def test_prepared_cases_are_read_once(cases: Any, tmp_path: Path) -> None:
    first = CoarseCases(cases, tmp_path, 2).case("case_0")
    again = CoarseCases([], tmp_path, 2).case("case_0")
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.label, again.label)


def test_dice_of_regions() -> None:
    reference = np.array([0, 2, 2, 1, 3])
    found = np.array([2, 2, 2, 3, 3])
    scores = region_dice(found, reference)
    assert scores["WT"] == pytest.approx(8 / 9)
    assert scores["TC"] == 1.0
    assert scores["ET"] == pytest.approx(2 / 3)
    assert region_dice(np.zeros(4), np.zeros(4)) == {"WT": 1.0, "TC": 1.0, "ET": 1.0}


def test_interval_over_seeds() -> None:
    assert mean_and_interval(np.array([0.4, 0.6]))["interval"] == pytest.approx([0.5 - 1.2706, 0.5 + 1.2706], abs=1e-3)
    assert mean_and_interval(np.array([0.4])) == {"dice": 0.4, "interval": None}


def test_impossible_coarseness_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="coarseness: 0 must be at least 1"):
        CoarseSetting(coarseness=0)
