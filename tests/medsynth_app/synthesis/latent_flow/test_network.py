"""The flow's network hears what it is told."""

from __future__ import annotations

import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.latent_flow.network import FlowConfiguration, build_flow


@pytest.mark.parametrize("channels", [(16,), (32, 64)])
def test_time_and_kind_reach_the_velocity(channels: tuple[int, ...]) -> None:
    """With as many norm groups as channels they did not: the norm took them out again."""
    torch.manual_seed(0)
    flow = build_flow(FlowConfiguration(2, channels, ("t1", "t2"))).eval()
    for name, parameter in flow.named_parameters():
        if float(parameter.detach().abs().max()) == 0.0 and name.endswith("weight"):
            torch.nn.init.normal_(parameter, std=0.1)
    codes = torch.randn(1, 2, 4, 4, 4)

    def velocity(time: float, kind: int) -> torch.Tensor:
        answer: torch.Tensor = flow(codes, torch.tensor([time]), class_labels=torch.tensor([kind]))
        return answer

    usual = float(velocity(500.0, 1).detach().abs().mean())
    assert float((velocity(500.0, 1) - velocity(500.0, 2)).abs().mean()) > 0.05 * usual
    assert float((velocity(100.0, 1) - velocity(900.0, 1)).abs().mean()) > 0.05 * usual


def test_a_configuration_is_read_as_it_was_written() -> None:
    configuration = FlowConfiguration(6, (32, 64), ("flair", "t1"))
    assert FlowConfiguration.from_dict(configuration.as_dict()) == configuration
    with pytest.raises(InvalidValueError, match="lack the shape"):
        FlowConfiguration.from_dict({"latent_channels": 6})
    with pytest.raises(InvalidValueError, match="multiples of 16"):
        FlowConfiguration(6, (24,))
