"""Figures of the toy course."""

from __future__ import annotations

import numpy as np

from medsynth_app.benchmarks.skin_course import course_figures, generation_figures
from medsynth_app.synthesis.skin.dataset import Lesions
from medsynth_app.synthesis.skin.models import CourseModels
from medsynth_app.synthesis.skin.progression import ProgressionRequest


def test_figures_of_the_toy_course(toy_models: CourseModels) -> None:
    chance = np.random.default_rng(0)
    lesions = Lesions(
        chance.integers(0, 255, (6, 3, 64, 64)).astype(np.uint8),
        np.arange(6) % 2,
        np.arange(6).astype(str),
        np.arange(6).astype(str),
    )
    figures = generation_figures(toy_models.generator, toy_models.judge.features, lesions, lesions, count=4)
    assert figures["samples"] == 4
    assert figures["frechet"] > figures["frechet_floor"]
    request = ProgressionRequest(alpha_to=1.0, steps=3)
    course = course_figures(toy_models, lesions.chosen(np.arange(2)), request)
    assert course["lesions"] == 2
    assert course["squared_error"] > 0
    assert 0 <= course["share_monotone_melanoma"] <= 1
    assert course["change_inside"] + course["change_outside"] > 0
