"""The Gaussian's velocity carries noise to the Gaussian."""

from __future__ import annotations

import torch

from medsynth_app.synthesis.latent_flow.losses import sample
from medsynth_app.synthesis.latent_flow.prior import CodePrior

SIDE = 2
LENGTH = SIDE**3


def gaussian(kinds: int) -> dict[str, torch.Tensor]:
    """Two kinds with other means; one strong axis, the rest nearly fixed."""
    axis = torch.zeros(kinds, 1, LENGTH)
    axis[:, 0, 0] = 3.0
    mean = torch.arange(kinds).float()[:, None] * 10.0 + torch.zeros(kinds, LENGTH)
    return {"mean": mean, "components": axis, "residual": torch.full((kinds, LENGTH), 0.2)}


def drawn(prior: CodePrior, kind: int, count: int, grain: float = 1.0) -> torch.Tensor:
    kinds = torch.full((count,), kind)
    noise = torch.randn((count, 1, SIDE, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    noise = prior.smoothed(noise, kinds, grain)
    return sample(lambda code, time: prior(code, time, kinds), noise, 40, lambda share: None).flatten(1)


def test_noise_becomes_codes_of_the_kind_that_was_asked_for() -> None:
    prior = CodePrior(gaussian(2), mean=0.0, deviation=1.0)
    for kind, mean in ((0, 0.0), (1, 10.0)):
        codes = drawn(prior, kind, 400)
        assert abs(float(codes[:, 1:].mean()) - mean) < 0.1
        assert abs(float(codes[:, 0].std()) - 3.0) < 0.3
        assert abs(float(codes[:, 1:].std()) - 0.2) < 0.03


def test_less_grain_leaves_the_shapes_as_they_were() -> None:
    prior = CodePrior(gaussian(1), 0.0, 1.0)
    full, half = drawn(prior, 0, 300), drawn(prior, 0, 300, grain=0.5)
    torch.testing.assert_close(half[:, 0], full[:, 0], atol=1e-4, rtol=0)
    assert abs(float(half[:, 1:].std() / full[:, 1:].std()) - 0.5) < 0.02


def test_it_speaks_of_scaled_codes() -> None:
    plain, scaled = CodePrior(gaussian(1), 0.0, 1.0), CodePrior(gaussian(1), -4.0, 2.0)
    torch.testing.assert_close(2.0 * scaled.mean - 4.0, plain.mean)
    torch.testing.assert_close(2.0 * scaled.deviations, plain.deviations)
    assert not scaled.state_dict(), "its tables come from the autoencoder's weights"
