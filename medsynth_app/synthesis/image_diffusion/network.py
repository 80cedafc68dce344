"""The U-Net that predicts the velocity of the codes, told the time and what the picture is to show.

Conditions are summed into the time's embedding (as class labels in Dhariwal and Nichol 2021) and modulate every
block; where the lesion lies enters as further channels beside the code, so that its place is exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.image_diffusion.conditions import ConditionBatch, Vocabulary
from medsynth_app.synthesis.image_diffusion.prior import GaussianPrior, PriorShape

NORM_GROUPS = 16
FREQUENCIES = 64
LONGEST_PERIOD = 10_000.0
TIME_SCALE = 1000.0
MASK_CELLS = 2
"""Cells of the lesion's mask along one side of a code's place."""
MASK_CHANNELS = MASK_CELLS**2 + 1
"""The cells' shares of lesion, and whether they are known."""
HEAD_CHANNELS = 32


@dataclass(frozen=True)
class NetworkConfiguration:
    """Shape of the network.

    Attributes:
        code_channels: of the codes.
        channels: of each level, multiples of 32; the side of the code is halved between them.
        attention: for each level, whether places see each other.
        embedding: length of what time and conditions become.
        prior_axes: of the Gaussian prior of each modality.
        side: places of a code along one side.

    Raises:
        InvalidValueError: channels that cannot be built.
    """

    code_channels: int
    channels: tuple[int, ...] = (64, 96, 160)
    attention: tuple[bool, ...] = (False, True, True)
    embedding: int = 256
    prior_axes: int = 128
    side: int = 16

    def __post_init__(self) -> None:
        if not self.channels or any(c < 1 or c % HEAD_CHANNELS for c in self.channels):
            raise InvalidValueError(f"channels: {self.channels} must be multiples of {HEAD_CHANNELS}")
        if len(self.attention) != len(self.channels):
            raise InvalidValueError(f"attention: {self.attention} must name {len(self.channels)} levels")

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> NetworkConfiguration:
        """Of a weights file; InvalidValueError where it is incomplete."""
        try:
            return cls(
                int(record["code_channels"]),
                tuple(int(c) for c in record["channels"]),
                tuple(bool(a) for a in record["attention"]),
                int(record["embedding"]),
                int(record["prior_axes"]),
                int(record["side"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidValueError("weights: lack the shape of their network") from error


class ConditionEmbedding(nn.Module):
    """What the picture is to show, as one vector; number 0 and unknown values stand for no condition.

    Args:
        vocabulary: the words that have a number.
        size: length of the vector.
    """

    def __init__(self, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        tables = {name: nn.Embedding(1 + len(words), size) for name, words in vocabulary.lists().items()}
        for table in tables.values():
            nn.init.normal_(table.weight, std=0.3)
        self.words = nn.ModuleDict(tables)
        self.numbers = nn.ModuleDict({
            name: nn.Sequential(nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, size)) for name in vocabulary.numbers
        })  # fmt: skip

    def forward(self, conditions: ConditionBatch) -> torch.Tensor:
        """(N, size)."""
        total = sum(table(conditions.words[name]) for name, table in self.words.items())
        for name, layers in self.numbers.items():
            value = conditions.numbers[name]
            known = torch.isfinite(value)
            pair = torch.stack(
                [torch.where(known, 2.0 * value - 1.0, torch.zeros_like(value)), known.float()], dim=1
            )
            total = total + layers(pair) * known[:, None]
        return torch.as_tensor(total)


class Block(nn.Module):
    """Two convolutions about a residual, scaled and shifted by the conditions.

    Args:
        inputs / outputs: channels.
        embedding: length of the conditions.
        attends: let places see each other afterwards.
    """

    def __init__(self, inputs: int, outputs: int, embedding: int, attends: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(NORM_GROUPS, inputs), nn.GroupNorm(NORM_GROUPS, outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        _silence(self.conv2)
        self.modulation = nn.Linear(embedding, 2 * outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.attention = Attention(outputs) if attends else nn.Identity()

    def forward(self, values: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        hidden = self.conv1(functional.silu(self.norm1(values)))
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        hidden = self.conv2(functional.silu(self.norm2(hidden) * (1.0 + scale) + shift))
        return self.attention(self.skip(values) + hidden)


class Attention(nn.Module):
    """Self-attention of all places (Vaswani 2017), as a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // HEAD_CHANNELS
        self.norm = nn.GroupNorm(NORM_GROUPS, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        _silence(self.out)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same."""
        count, channels, height, width = values.shape
        places = self.norm(values).flatten(2).transpose(1, 2)
        heads = (
            self.qkv(places).view(count, height * width, 3, self.heads, HEAD_CHANNELS).permute(2, 0, 3, 1, 4)
        )
        seen = functional.scaled_dot_product_attention(heads[0], heads[1], heads[2])
        seen = self.out(seen.transpose(1, 2).reshape(count, height * width, channels))
        return values + seen.transpose(1, 2).view(count, channels, height, width)


class VelocityNetwork(nn.Module):
    """Codes, times and conditions -> velocity of the codes.

    Args:
        configuration: shape.
        vocabulary: words of the conditions.
    """

    def __init__(self, configuration: NetworkConfiguration, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.configuration, size = configuration, configuration.embedding
        channels, attention = configuration.channels, configuration.attention
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, size), nn.SiLU(), nn.Linear(size, size))
        self.conditions = ConditionEmbedding(vocabulary, size)
        shape = PriorShape(configuration.prior_axes, side=configuration.side)
        self.prior = GaussianPrior(shape, configuration.code_channels, vocabulary)
        self.first = nn.Conv2d(2 * configuration.code_channels + MASK_CHANNELS, channels[0], 3, padding=1)
        before = [channels[0], *channels[:-1]]
        self.down = nn.ModuleList(Block(a, b, size, seen) for a, b, seen in zip(before, channels, attention))
        self.middle = Block(channels[-1], channels[-1], size, attention[-1])
        self.up = nn.ModuleList(
            Block(c, c, size, seen) for c, seen in reversed(list(zip(channels, attention)))
        )
        self.narrow = nn.ModuleList(
            nn.Conv2d(deep, c, 1) for c, deep in reversed(list(zip(channels[:-1], channels[1:])))
        )
        self.norm = nn.GroupNorm(NORM_GROUPS, channels[0])
        self.last = nn.Conv2d(channels[0], configuration.code_channels, 3, padding=1)
        _silence(self.last)

    def forward(self, codes: torch.Tensor, time: torch.Tensor, conditions: ConditionBatch) -> torch.Tensor:
        """Velocity.

        Args:
            codes: (N, C, H, W).
            time: (N,), 0 (picture) to 1 (noise).
            conditions: of N pictures; masks (N, 2 H, 2 W).
        """
        embedding = functional.silu(self.time(time_features(time)) + self.conditions(conditions))
        cells = functional.pixel_unshuffle(conditions.mask[:, None], MASK_CELLS)
        known = conditions.mask_known[:, None, None, None].to(codes.dtype).expand(-1, 1, *codes.shape[2:])
        base = self.prior(codes, time, conditions)
        values = self.first(torch.cat([codes, base, cells * known, known], dim=1))
        skips = []
        for level, block in enumerate(self.down):
            values = block(values, embedding)
            skips.append(values)
            if level + 1 < len(self.down):
                values = functional.avg_pool2d(values, 2)
        values = self.middle(values, embedding)
        for level, block in enumerate(self.up):
            if level:
                values = functional.interpolate(
                    self.narrow[level - 1](values), scale_factor=2.0, mode="nearest"
                )
            values = block(values + skips.pop(), embedding)
        return base + self.last(functional.silu(self.norm(values)))


def _silence(layer: nn.Module) -> None:
    """A layer that adds nothing at first: every block begins as the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def time_features(time: torch.Tensor) -> torch.Tensor:
    """Sines and cosines of times (N,) in 0..1 -> (N, 128)."""
    steps = torch.arange(FREQUENCIES, device=time.device) / FREQUENCIES
    phases = TIME_SCALE * time[:, None] * torch.exp(-math.log(LONGEST_PERIOD) * steps)
    return torch.cat([phases.cos(), phases.sin()], dim=1)
