"""The network that predicts the flow's velocity of a slice's residual, told what every voxel is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.image_diffusion.network import FREQUENCIES, Block, time_features
from medsynth_app.synthesis.tumor.learned.transforms import CLASSES
from medsynth_app.vocabulary import Modality

SEQUENCES = len(Modality)
CONDITIONS = 3 * SEQUENCES + len(CLASSES)
"""Mean image of the slice and of its two neighbours, and the slice's shares."""
NORM_GROUPS = 16


@dataclass(frozen=True)
class TextureConfiguration:
    """Shape of the network.

    Attributes:
        channels: of each level, multiples of 16; the sides of a slice are halved between them.
        embedding: length of what the time becomes.
    """

    channels: tuple[int, ...] = (16, 32, 64)
    embedding: int = 64

    def __post_init__(self) -> None:
        if not self.channels or any(c < NORM_GROUPS or c % NORM_GROUPS for c in self.channels):
            raise InvalidValueError(f"channels: {self.channels} must be multiples of {NORM_GROUPS}")
        if self.embedding < 1:
            raise InvalidValueError(f"embedding: {self.embedding} must be at least 1")

    @property
    def side_multiple(self) -> int:
        """Sides of a slice must be multiples of this."""
        return int(2 ** (len(self.channels) - 1))

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"channels": list(self.channels), "embedding": self.embedding}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> TextureConfiguration:
        """Of a weights file; InvalidValueError where it is incomplete."""
        try:
            return cls(tuple(int(c) for c in record["channels"]), int(record["embedding"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidValueError("weights: lack the shape of their network") from error


class TextureNetwork(nn.Module):
    """A U-Net of few levels; the conditions enter as channels beside the residual, so their place is exact."""

    def __init__(self, configuration: TextureConfiguration) -> None:
        super().__init__()
        channels, size = configuration.channels, configuration.embedding
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, size), nn.SiLU(), nn.Linear(size, size))
        self.first = nn.Conv2d(SEQUENCES + CONDITIONS, channels[0], 3, padding=1)
        self.down = nn.ModuleList(
            Block(a, b, size, False) for a, b in zip((channels[0], *channels[:-1]), channels)
        )
        self.middle = Block(channels[-1], channels[-1], size, False)
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in zip(channels[:-1], channels[1:]))
        self.up = nn.ModuleList(Block(c, c, size, False) for c in channels[:-1])
        self.norm = nn.GroupNorm(NORM_GROUPS, channels[0])
        self.last = nn.Conv2d(channels[0], SEQUENCES, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, residual: torch.Tensor, time: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """Velocity (N, 4, H, W).

        Args:
            residual: (N, 4, H, W), noisy; sides multiples of 2 to the number of halvings.
            time: (N,), 0 (image) to 1 (noise).
            conditions: (N, 18, H, W).
        """
        embedding = functional.silu(self.time(time_features(time)))
        values = self.first(torch.cat([residual, conditions], dim=1))
        kept = []
        for level, block in enumerate(self.down):
            values = block(functional.avg_pool2d(values, 2) if level else values, embedding)
            kept.append(values)
        values = self.middle(values, embedding)
        for level in reversed(range(len(self.up))):
            wider = functional.interpolate(self.narrow[level](values), scale_factor=2.0, mode="nearest")
            values = self.up[level](wider + kept[level], embedding)
        return self.last(functional.silu(self.norm(values)))
