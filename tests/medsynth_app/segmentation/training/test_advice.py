"""What is said before a training begins fits what is asked for."""

from __future__ import annotations

import pytest
import torch

from medsynth_app.segmentation.training.advice import advice, memory_gb
from medsynth_app.segmentation.training.labelled_case import LabelledCase
from medsynth_app.segmentation.training.loop import TrainingConfiguration

SHAPE = (100, 100, 100)
CASE = LabelledCase("case", torch.zeros((4, *SHAPE), dtype=torch.half), torch.zeros(SHAPE, dtype=torch.uint8))


def test_more_cases_and_larger_patches_take_more_memory() -> None:
    small = TrainingConfiguration(patch_size=(96, 96, 96))
    large = TrainingConfiguration(patch_size=(128, 128, 128))
    assert memory_gb([CASE] * 20, small) - memory_gb([CASE] * 10, small) == pytest.approx(0.09)
    assert memory_gb([CASE], large) > 1.5 * memory_gb([CASE], small)


def test_few_cases_should_start_from_trained_weights() -> None:
    asked = TrainingConfiguration(steps=2000)
    said = advice([CASE] * 12, asked, tuned=False)
    assert said[0].startswith("12 cases, about ")
    assert "--initial-weights shipped" in said[1]
    assert len(advice([CASE] * 12, asked, tuned=True)) == 1


def test_many_cases_from_the_beginning_need_many_updates() -> None:
    said = advice([CASE] * 60, TrainingConfiguration(steps=2000), tuned=False)
    assert "10,000 updates or more; 2,000 are asked for" in said[1]
    assert len(advice([CASE] * 60, TrainingConfiguration(steps=20_000), tuned=False)) == 1
