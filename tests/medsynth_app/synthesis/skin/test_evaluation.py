"""Distances that know the answer, and figures of the toy course."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.skin.dataset import Lesions
from medsynth_app.synthesis.skin.evaluation import (
    course_figures,
    frechet_distance,
    generation_figures,
    kernel_distance,
)
from medsynth_app.synthesis.skin.models import CourseModels
from medsynth_app.synthesis.skin.progression import ProgressionRequest


def _normal(mean: float, deviation: float, seed: int, count: int = 4000) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, deviation, (count, 3))


def test_frechet_distance_of_known_normals() -> None:
    assert frechet_distance(_normal(0, 1, 0), _normal(0, 1, 1)) == pytest.approx(0.0, abs=0.02)
    assert frechet_distance(_normal(0, 1, 0), _normal(1, 2, 1)) == pytest.approx(3 * (1 + 1), rel=0.05)


def test_kernel_distance_sees_mean_and_spread_and_nothing_else() -> None:
    same = [kernel_distance(_normal(0, 1, seed, 300), _normal(0, 1, seed + 50, 300)) for seed in range(20)]
    assert np.mean(same) == pytest.approx(0.0, abs=0.02)
    assert kernel_distance(_normal(0, 1, 0, 500), _normal(0.5, 1, 1, 500)) > 0.1
    assert kernel_distance(_normal(0, 1, 0, 500), _normal(0, 2, 1, 500)) > 0.1
    with pytest.raises(InvalidValueError, match="at least 2 pictures"):
        kernel_distance(np.zeros((1, 3)), np.zeros((5, 3)))


def test_figures_of_the_toy_course(toy_models: CourseModels) -> None:
    chance = np.random.default_rng(0)
    lesions = Lesions(
        chance.integers(0, 255, (6, 3, 64, 64)).astype(np.uint8),
        np.arange(6) % 2,
        np.arange(6).astype(str),
        np.arange(6).astype(str),
    )
    figures = generation_figures(toy_models.generator, toy_models.judge.features, lesions, lesions, count=4)
    assert figures["pictures"] == 4
    assert figures["frechet"] > figures["frechet_floor"]
    request = ProgressionRequest(alpha_to=1.0, steps=3)
    course = course_figures(toy_models, lesions.chosen(np.arange(2)), request)
    assert course["lesions"] == 2
    assert course["squared_error"] > 0
    assert 0 <= course["share_monotone_melanoma"] <= 1
    assert course["change_inside"] + course["change_outside"] > 0
