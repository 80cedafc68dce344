"""The network that predicts the flow's velocity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from monai.networks.nets import DiffusionModelUNet
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.latent_flow.prior import CodePrior

CHANNEL_STEP = 16
TIME_SCALE = 1000.0
NORM_GROUPS = 4
"""Few: MONAI's block adds time and kind to each channel before the norm, which takes out what a whole group shares;
with one channel in each group nothing of them is left, with two half."""


@dataclass(frozen=True)
class FlowConfiguration:
    """Shape of the network.

    Attributes:
        latent_channels: of the codes.
        channels: of each level, multiples of 16; the side of the code is halved between them.
        sequences: what a volume may be asked to be; empty = one kind only.
    """

    latent_channels: int
    channels: tuple[int, ...] = (32, 64)
    sequences: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.channels or any(c < 1 or c % CHANNEL_STEP for c in self.channels):
            raise InvalidValueError(f"channels: {self.channels} must be multiples of {CHANNEL_STEP}")

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "latent_channels": self.latent_channels,
            "channels": list(self.channels),
            "sequences": list(self.sequences),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> FlowConfiguration:
        """Of a weights file; InvalidValueError where it is incomplete."""
        try:
            return cls(
                int(record["latent_channels"]),
                tuple(int(c) for c in record["channels"]),
                tuple(str(name) for name in record["sequences"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidValueError("weights: lack the shape of their network") from error


class FlowNetwork(nn.Module):
    """Codes, times and kinds -> velocity: that of a Gaussian, and what MONAI's U-Net adds to it.

    Args:
        configuration: shape of the U-Net.
        prior: the Gaussian's velocity; fixed, and not among the stored weights.
    """

    def __init__(self, configuration: FlowConfiguration, prior: CodePrior) -> None:
        super().__init__()
        levels = len(configuration.channels)
        self.prior = prior
        # The U-Net's last layer begins as zeros, so the flow begins as the Gaussian's.
        self.network = DiffusionModelUNet(
            spatial_dims=3,
            in_channels=2 * configuration.latent_channels,
            out_channels=configuration.latent_channels,
            num_res_blocks=(1,) * levels,
            channels=configuration.channels,
            attention_levels=(*(False,) * (levels - 1), True),
            norm_num_groups=NORM_GROUPS,
            num_head_channels=CHANNEL_STEP,
            num_class_embeds=max(1, len(configuration.sequences)),
        )
        # A quarter faster on a CPU, in bfloat16 four times.
        self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def forward(self, codes: torch.Tensor, time: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
        """Velocity.

        Args:
            codes: (N, C, x, y, z), scaled.
            time: (N,), 0 (volume) to 1 (noise).
            kinds: (N,) place of the sequence among the configuration's; 0 without any.
        """
        with torch.autocast(codes.device.type, enabled=False):  # sums over all of a code need every digit
            base = self.prior(codes, time, kinds)
        added: torch.Tensor = self.network(
            torch.cat([codes, base], dim=1), TIME_SCALE * time, class_labels=kinds
        )
        return base + added
