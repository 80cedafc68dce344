"""A discriminator on the features of a network trained on photographs (Sauer et al., "Projected GANs Converge
Faster", NeurIPS 2021): where data and computing time are short, it learns in a tenth of the images.

The features are EfficientNet-Lite0's at four depths, mixed across channels by fixed random 1 x 1 convolutions and
across depths by fixed random 3 x 3 convolutions; a small trained network per depth judges them.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from medsynth_app.synthesis.measures.features import FEATURE_CHANNELS, SMALLEST_INPUT

MIXED_CHANNELS = (32, 64, 128, 128)


class FixedMixing(nn.Module):
    """Random projections that are never trained: across channels, then from deep to shallow."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        sizes = list(zip(FEATURE_CHANNELS, MIXED_CHANNELS))
        self.across_channels = nn.ParameterList(_random(out, size, 1, generator) for size, out in sizes)
        self.across_depths = nn.ParameterList(_random(out, out, 3, generator) for out in MIXED_CHANNELS)
        self.from_deeper = nn.ParameterList(
            _random(out, deeper, 1, generator) for out, deeper in zip(MIXED_CHANNELS[:-1], MIXED_CHANNELS[1:])
        )
        self.requires_grad_(False)

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Mixed features, same sides, shallow to deep."""
        mixed: list[torch.Tensor] = []
        deeper: torch.Tensor | None = None
        for level in reversed(range(len(features))):
            values = functional.conv2d(features[level], self.across_channels[level])
            if deeper is not None:
                up = functional.interpolate(
                    deeper, size=values.shape[-2:], mode="bilinear", align_corners=False
                )
                values = values + functional.conv2d(up, self.from_deeper[level])
            deeper = functional.conv2d(values, self.across_depths[level], padding=1)
            mixed.insert(0, deeper)
        return mixed


def _random(size_out: int, size_in: int, kernel: int, generator: torch.Generator) -> nn.Parameter:
    values = torch.randn(size_out, size_in, kernel, kernel, generator=generator)
    return nn.Parameter(values / math.sqrt(size_in * kernel * kernel), requires_grad=False)


class Head(nn.Module):
    """Judge of one depth: halves the side down to 4 x 4, then one logit per place and a class projection."""

    def __init__(self, channels: int, side: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        while side > 4:
            layers += [
                spectral_norm(nn.Conv2d(channels, 64, 4, stride=2, padding=1)),
                nn.GroupNorm(8, 64),
                nn.LeakyReLU(0.2),
            ]
            channels, side = 64, side // 2
        layers += [spectral_norm(nn.Conv2d(channels, 64, 3, padding=1)), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers)
        self.out = spectral_norm(nn.Conv2d(64, 1, 1))
        self.projection = nn.Parameter(torch.zeros(max(1, classes), 64))

    def forward(self, features: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        """Logits (N, places)."""
        hidden = self.body(features)
        logits = self.out(hidden)
        if label is not None:
            logits = logits + (hidden * self.projection[label][:, :, None, None]).sum(dim=1, keepdim=True) / 8
        return logits.flatten(1)


class ProjectedDiscriminator(nn.Module):
    """The trained part and the fixed mixing; the photograph network is handed in as features.

    Args:
        resolution: side of the images.
        classes: of a class-conditional training; 0 = none.
    """

    def __init__(self, resolution: int, classes: int = 0) -> None:
        super().__init__()
        side = max(resolution, SMALLEST_INPUT)
        self.classes = classes
        self.mixing = FixedMixing()
        self.heads = nn.ModuleList(
            Head(channels, side // (4 * 2**level), classes) for level, channels in enumerate(MIXED_CHANNELS)
        )

    def forward(self, features: list[torch.Tensor], label: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (N, all places of all depths) of ``PhotographFeatures``."""
        label = label if self.classes else None
        mixed = self.mixing(features)
        return torch.cat([head(values, label) for head, values in zip(self.heads, mixed)], dim=1)
