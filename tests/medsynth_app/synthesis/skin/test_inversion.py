"""The way from a photograph to styles and noise: what moves, and that pictures of a batch do not mix."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medsynth_app.benchmarks import skin_course as evaluation
from medsynth_app.benchmarks.skin_course import course_figures
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.skin.dataset import Lesions
from medsynth_app.synthesis.skin.generator import PROGRESSION_CONDITIONS, SkinLesionProgression
from medsynth_app.synthesis.skin.inversion import invert, refined
from medsynth_app.synthesis.skin.models import CourseModels
from medsynth_app.synthesis.skin.progression import Progression, ProgressionRequest, walk
from medsynth_app.synthesis.weights import WeightsStore


@pytest.fixture
def models(toy_models: CourseModels) -> CourseModels:
    """The toy course with a generator that listens to its noise, as a trained one does."""
    generator = copy.deepcopy(toy_models.generator)
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            torch.nn.init.constant_(parameter, 0.1)
    return replace(toy_models, generator=generator)


def _photographs(models: CourseModels, count: int) -> torch.Tensor:
    """Plain skin with a sharp bar that no style draws."""
    side = models.generator.configuration.resolution
    images = torch.full((count, 3, side, side), 0.3)
    for number in range(count):
        images[number, :, side // 4 + 2 * number, side // 4 :] = -0.8
    return images


def test_refinement_moves_styles_and_noise(models: CourseModels) -> None:
    generator, features = models.generator, models.judge.features
    target = _photographs(models, 1)
    alone = invert(target, generator, models.encoder, features)
    assert alone.noise is None
    found = invert(target, generator, models.encoder, features, 20)
    assert found.noise is not None
    assert not torch.equal(found.styles, alone.styles)
    own = generator.synthesis.noise_maps()
    assert [part.shape for part in found.noise] == [part.shape for part in own]
    assert any(not torch.equal(part, before) for part, before in zip(found.noise, own))
    with torch.no_grad():
        without = generator.synthesis(found.styles).clamp(-1, 1)
    assert found.squared_error < float((without - target).square().mean()), "the noise has its part in it"
    assert found.squared_error < alone.squared_error


def test_refinement_tells_how_far_it_is_and_can_be_ended(models: CourseModels) -> None:
    target, told = _photographs(models, 1), []

    def heard(share: float) -> None:
        told.append(share)
        if share >= 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        invert(target, models.generator, models.encoder, models.judge.features, 4, heard)
    assert told == [0.25, 0.5]


def test_pictures_of_a_batch_are_refined_by_themselves(models: CourseModels) -> None:
    generator, features = models.generator, models.judge.features
    target = _photographs(models, 3)
    with torch.no_grad():
        styles = models.encoder(target)[0]
    together, noise = refined(target, styles, generator, features, 5)
    single, own_noise = refined(target[1:2], styles[1:2], generator, features, 5)
    torch.testing.assert_close(together[1:2], single, atol=1e-3, rtol=1e-3)
    # Where the gradient is rounding alone, Adam moves by its sign: those few places are not compared.
    assert float((noise[-1][1:2] - own_noise[-1]).abs().quantile(0.95)) < 1e-3


def test_a_walk_keeps_the_noise_of_the_lesion(models: CourseModels) -> None:
    generator = models.generator
    found = invert(_photographs(models, 1), generator, models.encoder, models.judge.features, 20)
    request = ProgressionRequest(alpha_from=0.0, alpha_to=2.0, steps=3)
    course = walk(found.styles, request, models.directions, generator, models.judge, found.noise)
    torch.testing.assert_close(course.images[:1], found.reconstruction, atol=1e-4, rtol=0)


def test_a_refined_course_starts_at_the_reconstruction(
    models: CourseModels, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CourseModels, "load", classmethod(lambda cls, store: models))
    asked = PROGRESSION_CONDITIONS.parse({"refinement_steps": 10, "steps": 3})
    course = SkinLesionProgression(WeightsStore(())).course(GenerationRequest(0, asked, photograph))
    assert course.inversion.noise is not None
    torch.testing.assert_close(course.progression.images[:1], course.inversion.reconstruction, atol=1e-4, rtol=0)


def test_each_lesion_is_walked_with_its_own_noise(models: CourseModels, monkeypatch: pytest.MonkeyPatch) -> None:
    walked = []

    def heard(styles: torch.Tensor, *others: Any) -> Progression:
        walked.append((styles, others[-1]))
        return walk(styles, *others)

    monkeypatch.setattr(evaluation, "walk", heard)
    target = _photographs(models, 2)
    images = ((target + 1) * 127.5).round().to(torch.uint8).numpy()
    lesions = Lesions(images, np.zeros(2, int), np.arange(2), np.arange(2))
    course_figures(models, lesions, ProgressionRequest(steps=2), 20)
    made = torch.cat([models.generator.synthesis(styles, noise) for styles, noise in walked])
    swapped = torch.cat([models.generator.synthesis(walked[row][0], walked[1 - row][1]) for row in (0, 1)])
    assert float((made - target).square().mean()) < float((swapped - target).square().mean())
    assert not any(torch.equal(one, other) for one, other in zip(walked[0][1], walked[1][1]))


def test_figures_of_lesions_are_those_of_each_alone(models: CourseModels) -> None:
    images = ((_photographs(models, 2) + 1) * 127.5).round().to(torch.uint8).numpy()
    lesions = Lesions(images, np.zeros(2, int), np.arange(2), np.arange(2))
    request = ProgressionRequest(steps=3)
    both = course_figures(models, lesions, request, 3)
    alone = [course_figures(models, lesions.chosen(np.array([row])), request, 3) for row in range(2)]
    for name in ("squared_error", "change_inside", "change_outside"):
        assert both[name] == pytest.approx(np.mean([figures[name] for figures in alone]), rel=0.02), name
    assert both["squared_error"] < course_figures(models, lesions, request)["squared_error"]
