"""Measurements against shapes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.synthesis.skin.judge_training import area_under_curve
from medsynth_app.synthesis.skin.measures import lesion_looks, mean_change, spearman

GRID = np.hypot(*np.mgrid[-64:64, -64:64])


def test_a_dark_disc() -> None:
    disc = GRID < 30
    image = np.where(disc, -0.5, 0.3)[None].repeat(3, axis=0)
    looks = lesion_looks(image, disc.astype(float))
    assert looks.pigment == pytest.approx(0.8)
    assert looks.border == pytest.approx(1.0, abs=0.03)
    assert looks.extent == pytest.approx(np.pi * 30**2 / 128**2, rel=0.01)


def test_a_star_is_more_irregular_than_a_disc() -> None:
    angle = np.arctan2(*np.mgrid[-64:64, -64:64])
    edge = 30 + 10 * np.sin(8 * angle)
    star = edge > GRID
    image = np.zeros((3, 128, 128))
    assert lesion_looks(image, star.astype(float)).border > 1.5


def test_no_lesion_has_no_looks() -> None:
    looks = lesion_looks(np.zeros((3, 8, 8)), np.zeros((8, 8)))
    assert (looks.pigment, looks.border, looks.extent) == (0.0, 1.0, 0.0)


def test_mean_change_only_where_asked() -> None:
    first, second = np.zeros((3, 8, 8)), np.zeros((3, 8, 8))
    second[:, :4] = 0.5
    where = np.zeros((8, 8), bool)
    where[:4] = True
    assert mean_change(first, second, where) == 0.5
    assert mean_change(first, second, ~where) == 0.0
    assert mean_change(first, second, np.zeros((8, 8), bool)) == 0.0


@pytest.mark.parametrize(
    ("series", "expected"),
    [([1, 2, 4, 8], 1.0), ([4, 3, 2, 1], -1.0), ([1, 1, 1, 1], 0.0), ([1, 3, 2, 4], 0.8)],
)
def test_spearman(series: list[float], expected: float) -> None:
    assert spearman(np.arange(4), np.array(series)) == pytest.approx(expected)


def test_area_under_curve_counts_ties_half() -> None:
    assert area_under_curve(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1])) == pytest.approx(0.875)
    assert np.isnan(area_under_curve(np.array([0.1]), np.array([0])))
