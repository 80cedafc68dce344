"""With the exact velocity of a normal distribution every sampler answers that distribution."""

from __future__ import annotations

import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.flow.samplers import SCHEDULERS

MEAN, DEVIATION, COUNT = 0.3, 0.25, 4000


def exact(codes: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """E[e - x | (1 - t) x + t e] for x ~ N(MEAN, DEVIATION^2)."""
    left, variance = 1.0 - time[:, None], DEVIATION**2
    off = codes - left * MEAN
    return (time[:, None] - left * variance) / (left**2 * variance + time[:, None] ** 2) * off - MEAN


@pytest.mark.parametrize(("name", "steps"), [("rflow", 20), ("ddim", 50), ("ddpm", 1000)])
def test_the_distribution_is_right(name: str, steps: int) -> None:
    chance = torch.Generator().manual_seed(0)
    seen: list[float] = []
    found = SCHEDULERS[name].sample(
        exact, torch.randn(COUNT, 1, generator=chance), steps, chance, seen.append
    )
    assert float(found.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(found.std()) == pytest.approx(DEVIATION, rel=0.06)
    assert seen[-1] == 1.0
    assert seen == sorted(seen)


@pytest.mark.parametrize(("name", "steps"), [("ddpm", 999), ("rflow", 201), ("ddim", 4)])
def test_steps_that_would_be_wrong_are_refused(name: str, steps: int) -> None:
    with pytest.raises(InvalidValueError, match=f"steps: {steps} is not possible with scheduler {name}"):
        SCHEDULERS[name].checked(name, steps)


def test_zero_steps_stand_for_the_usual_number() -> None:
    assert [SCHEDULERS[name].checked(name, 0) for name in ("rflow", "ddim", "ddpm")] == [20, 50, 1000]
