"""The flow's network begins as the Gaussian's, and hears what it is told."""

from __future__ import annotations

import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.latent_flow.network import FlowConfiguration, FlowNetwork
from medsynth_app.synthesis.latent_flow.prior import CodePrior

SHAPE = (2, 4, 4, 4)
LENGTH = 2 * 4**3


def silent_prior(kinds: int) -> CodePrior:
    """The same Gaussian for every kind."""
    return CodePrior(
        {
            "mean": torch.zeros(kinds, LENGTH),
            "components": torch.zeros(kinds, 1, LENGTH),
            "residual": torch.ones(kinds, LENGTH),
        },
        0.0,
        1.0,
    )


@pytest.mark.parametrize("channels", [(16,), (32, 64)])
def test_time_and_kind_reach_what_the_network_adds(channels: tuple[int, ...]) -> None:
    """With as many norm groups as channels they did not: the norm took them out again."""
    torch.manual_seed(0)
    flow = FlowNetwork(FlowConfiguration(2, channels, ("t1", "t2")), silent_prior(2)).eval()
    codes = torch.randn(1, *SHAPE)
    base = flow.prior(codes, torch.tensor([0.5]), torch.tensor([0]))
    torch.testing.assert_close(flow(codes, torch.tensor([0.5]), torch.tensor([0])), base)
    for name, parameter in flow.named_parameters():
        if float(parameter.detach().abs().max()) == 0.0 and name.endswith("weight"):
            torch.nn.init.normal_(parameter, std=0.1)

    def added(time: float, kind: int) -> torch.Tensor:
        answer: torch.Tensor = flow(codes, torch.tensor([time]), torch.tensor([kind]))
        return answer - flow.prior(codes, torch.tensor([time]), torch.tensor([kind]))

    usual = float(added(0.5, 0).detach().abs().mean())
    assert float((added(0.5, 0) - added(0.5, 1)).abs().mean()) > 0.05 * usual
    assert float((added(0.1, 0) - added(0.9, 0)).abs().mean()) > 0.05 * usual


def test_a_configuration_is_read_as_it_was_written() -> None:
    configuration = FlowConfiguration(6, (32, 64), ("flair", "t1"))
    assert FlowConfiguration.from_dict(configuration.as_dict()) == configuration
    with pytest.raises(InvalidValueError, match="lack the shape"):
        FlowConfiguration.from_dict({"latent_channels": 6})
    with pytest.raises(InvalidValueError, match="multiples of 16"):
        FlowConfiguration(6, (24,))
