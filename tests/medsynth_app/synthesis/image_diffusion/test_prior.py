"""The Gaussian prior alone already samples the right means and spreads."""

from __future__ import annotations

import torch

from medsynth_app.synthesis.data.images import PictureSource
from medsynth_app.synthesis.flow.samplers import flow
from medsynth_app.synthesis.image_diffusion.conditions import ConditionBatch, Vocabulary
from medsynth_app.synthesis.image_diffusion.prior import GaussianPrior, PriorShape


def sources(count: int) -> list[PictureSource]:
    from pathlib import Path  # noqa: PLC0415 - only this helper needs it

    return [
        PictureSource(Path("x"), f"{i}", ("ct", "retina")[i % 2], ("normal", "sick")[i // 2 % 2], f"{i}")
        for i in range(count)
    ]


def told(vocabulary: Vocabulary, modality: str, pathology: str, count: int) -> ConditionBatch:
    return ConditionBatch(
        {
            "modality": torch.full((count,), vocabulary.number("modality", modality)),
            "pathology": torch.full((count,), vocabulary.number("pathology", f"{modality}/{pathology}")),
        },
        {},
        torch.zeros(count, 8, 8),
        torch.zeros(count, dtype=torch.bool),
    )


def fitted() -> tuple[GaussianPrior, Vocabulary]:
    """Codes of retinas are 2 brighter than those of slices, sick ones 0.2 brighter, and vary along one axis by 1.5."""
    shown, chance = sources(400), torch.Generator().manual_seed(0)
    vocabulary = Vocabulary.of(shown)
    along = torch.zeros(3, 4, 4)
    along[0] = 0.25
    codes = 0.2 * torch.randn(400, 3, 4, 4, generator=chance)
    codes += 1.5 * torch.randn(400, 1, 1, 1, generator=chance) * along
    codes += torch.tensor(
        [2.0 * (s.modality == "retina") + 0.2 * (s.pathology == "sick") for s in shown]
    ).view(-1, 1, 1, 1)
    prior = GaussianPrior(PriorShape(axes=2, broad=3, side=4), 3, vocabulary)
    prior.fit(codes, shown)
    return prior, vocabulary


def test_samples_have_the_mean_of_their_conditions_and_the_spread_of_their_axis() -> None:
    prior, vocabulary = fitted()
    for modality, pathology, mean in (("ct", "normal", 0.0), ("ct", "sick", 0.2), ("retina", "sick", 2.2)):
        conditions = told(vocabulary, modality, pathology, 300)
        chance = torch.Generator().manual_seed(1)
        noise = torch.randn(300, 3, 4, 4, generator=chance)
        codes = flow(lambda x, t, c=conditions: prior(x, t, c), noise, 20, chance, lambda share: None)
        assert abs(float(codes.mean()) - mean) < 0.1
        strength = codes[:, 0].mean(dim=(1, 2)).std() / 0.25
        assert 1.2 < float(strength) < 2.1


def test_on_another_grid_it_is_silent() -> None:
    prior, vocabulary = fitted()
    codes = torch.randn(2, 3, 8, 8)
    assert not prior(codes, torch.rand(2), told(vocabulary, "ct", "sick", 2)).any()
