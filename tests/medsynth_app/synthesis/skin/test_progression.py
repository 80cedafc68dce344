"""The walk: monotone where the generator is, compared with the start, within its limits."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.skin import pictures
from medsynth_app.synthesis.skin.models import CourseModels
from medsynth_app.synthesis.skin.pictures import animation, contact_sheet, curve
from medsynth_app.synthesis.skin.progression import (
    SIMULATION_NOTICE,
    Progression,
    ProgressionRequest,
    walk,
)


@pytest.fixture(scope="module")
def progression(toy_models: CourseModels) -> Progression:
    styles = toy_models.generator.styles(torch.randn(1, 8), torch.tensor([0]))
    request = ProgressionRequest(alpha_to=2.0, steps=5)
    return walk(styles, request, toy_models.directions, toy_models.generator, toy_models.judge)


def test_changes_grow_with_alpha(progression: Progression) -> None:
    changes = [step.change_inside + step.change_outside for step in progression.steps]
    assert changes[0] == 0.0
    assert all(later > earlier for earlier, later in zip(changes, changes[1:]))
    assert progression.steps[0].perceptual == pytest.approx(0.0, abs=1e-6)
    assert progression.as_dict()["spearman_alpha_perceptual"] == pytest.approx(1.0)


def test_alphas_are_evenly_spaced() -> None:
    assert ProgressionRequest(alpha_from=-1, alpha_to=1, steps=5).alphas == [-1, -0.5, 0, 0.5, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha_to": 1e9}, "alpha_to: 1000000000.0 must be between -6 and 6"),
        ({"alpha_from": float("nan")}, "alpha_from: nan"),
        ({"alpha_from": 1.0, "alpha_to": 1.0}, "must differ"),
        ({"steps": 1}, "steps: 1 must be between 2 and 33"),
    ],
)
def test_impossible_walks_are_named(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        ProgressionRequest(**arguments)


def test_an_unknown_direction_lists_the_known_ones(toy_models: CourseModels) -> None:
    styles = toy_models.generator.styles(torch.randn(1, 8), torch.tensor([0]))
    with pytest.raises(
        InvalidValueError, match="direction: 'age' is not known, allowed are pigment_1, border_1"
    ):
        walk(styles, ProgressionRequest("age"), toy_models.directions, toy_models.generator, toy_models.judge)


def test_the_rows_of_a_sheet_are_of_one_length(
    progression: Progression, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = len(progression.steps)
    monkeypatch.setattr(pictures, "MOST_COLUMNS", count - 1)
    columns = -(-count // 2)
    sheet = contact_sheet(progression)
    assert sheet.width == columns * (pictures.SHEET_SIDE + pictures.GAP) + pictures.GAP


def test_pictures_carry_the_notice(progression: Progression) -> None:
    moving = Image.open(io.BytesIO(animation(progression)))
    assert moving.is_animated
    assert moving.n_frames >= 5
    assert SIMULATION_NOTICE.encode() in moving.info["comment"]
    sheet = np.asarray(contact_sheet(progression, progression.images[:1]))
    red = (sheet[..., 0] > 110) & (sheet[..., 1] < 80) & (sheet[..., 2] < 80)
    assert red[-20:].sum() > 100
    assert np.asarray(curve(progression)).std() > 1
