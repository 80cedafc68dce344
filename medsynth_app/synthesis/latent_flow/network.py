"""The network that predicts the flow's velocity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monai.networks.nets import DiffusionModelUNet

from medsynth_app.errors import InvalidValueError

NORM_GROUPS = 16


@dataclass(frozen=True)
class FlowConfiguration:
    """Shape of the network.

    Attributes:
        latent_channels: of the codes.
        channels: of each level, multiples of 16; the side of the code is halved between them.
    """

    latent_channels: int
    channels: tuple[int, ...] = (32, 64)

    def __post_init__(self) -> None:
        if not self.channels or any(c < 1 or c % NORM_GROUPS for c in self.channels):
            raise InvalidValueError(f"channels: {self.channels} must be multiples of {NORM_GROUPS}")

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"latent_channels": self.latent_channels, "channels": list(self.channels)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> FlowConfiguration:
        """Of a weights file; InvalidValueError where it is incomplete."""
        try:
            return cls(int(record["latent_channels"]), tuple(int(c) for c in record["channels"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidValueError("weights: lack the shape of their network") from error


def build_flow(configuration: FlowConfiguration) -> DiffusionModelUNet:
    """Codes (N, C, x, y, z) and times (N,) in 0..1000 -> velocity of the same shape."""
    levels = len(configuration.channels)
    return DiffusionModelUNet(
        spatial_dims=3,
        in_channels=configuration.latent_channels,
        out_channels=configuration.latent_channels,
        num_res_blocks=(1,) * levels,
        channels=configuration.channels,
        attention_levels=(*(False,) * (levels - 1), True),
        norm_num_groups=NORM_GROUPS,
        num_head_channels=NORM_GROUPS,
    )
