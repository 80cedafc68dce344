"""From an image to what a convolutional pyramid sees of it: the trunk of every encoder into a latent space."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from medsynth_app.synthesis.stylegan2.network import MappingNetwork
from medsynth_app.synthesis.stylegan2.principal_latents import PrincipalLatents

PYRAMID_CHANNELS = 96
STAGE_CHANNELS = (24, 48, 96, 160, 192)
HEAD_CHANNELS = 64
HEAD_SIDE = 4
OFFSET_SIZE = 48
"""Inner size of a head that predicts an offset."""
COARSE_STYLES = 3
MIDDLE_STYLES = 7
"""Styles below the first read coarse features, below the second middle ones, the others fine ones, as in e4e."""


class SqueezeResidual(nn.Module):
    """Residual block with squeeze-and-excitation (Hu 2018), as in the trunk of e4e, small."""

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(size_in, size_out, 3, stride=2, padding=1)
        self.second = nn.Conv2d(size_out, size_out, 3, padding=1)
        self.norm_in = nn.GroupNorm(8, size_in)
        self.norm_out = nn.GroupNorm(8, size_out)
        self.squeeze = nn.Linear(size_out, size_out // 4)
        self.excite = nn.Linear(size_out // 4, size_out)
        self.shortcut = nn.Conv2d(size_in, size_out, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, size_in, R, R) -> (N, size_out, R / 2, R / 2)."""
        values = self.first(functional.silu(self.norm_in(features)))
        values = self.second(functional.silu(self.norm_out(values)))
        weights = torch.sigmoid(self.excite(functional.relu(self.squeeze(values.mean(dim=(2, 3))))))
        values = values * weights[:, :, None, None]
        return values + self.shortcut(functional.avg_pool2d(features, 2))


class PyramidTrunk(nn.Module):
    """Features at three depths (fine, middle, coarse), each ``PYRAMID_CHANNELS`` wide (Lin 2017).

    Args:
        image_channels: 1 or 3.
    """

    def __init__(self, image_channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(image_channels, STAGE_CHANNELS[0], 5, stride=2, padding=2)
        self.stages = nn.ModuleList(
            SqueezeResidual(a, b) for a, b in zip(STAGE_CHANNELS[:-1], STAGE_CHANNELS[1:])
        )
        self.lateral = nn.ModuleList(nn.Conv2d(size, PYRAMID_CHANNELS, 1) for size in STAGE_CHANNELS[2:])

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Images (N, C, R, R), -1..1 -> sides R / 8, R / 16, R / 32."""
        values = self.stem(images)
        found = []
        for stage in self.stages:
            values = stage(values)
            found.append(values)
        coarse = self.lateral[2](found[3])
        middle = self.lateral[1](found[2]) + _doubled(coarse)
        fine = self.lateral[0](found[1]) + _doubled(middle)
        return [fine, middle, coarse]


def _doubled(features: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)


class MeanStart(nn.Module):
    """Where the encoder of a generator without a guide begins: the mean w.

    Args:
        w_mean: (W,).
    """

    w_mean: torch.Tensor

    def __init__(self, w_mean: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("w_mean", w_mean.clone())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, W)."""
        return self.w_mean.expand(len(images), -1)


class PrincipalStart(nn.Module):
    """Where the encoder of a guided generator begins: the w of the image's principal latents, mean over classes.

    Args:
        principal: as the generator was guided by.
        mapping: the generator's.
    """

    def __init__(self, principal: PrincipalLatents, mapping: MappingNetwork) -> None:
        super().__init__()
        self.principal = principal
        self.mapping = mapping
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, W) of images (N, C, R, R), -1..1."""
        of_class = []
        for number in range(max(1, self.mapping.classes)):
            label = torch.full((len(images),), number, device=images.device)
            latent = self.principal(images, label)
            of_class.append(self.mapping.styles_of(latent, label if self.mapping.classes else None))
        return torch.stack(of_class).mean(dim=0)


class StyleEncoder(nn.Module):
    """Image -> w+ (Tov et al., "Designing an Encoder for StyleGAN Image Manipulation", 2021): one w for all
    layers, and an offset for every layer but the first, which are released one after the other.

    Args:
        image_channels: 1 or 3.
        style_count: L.
        style_size: length of w.
        start: first guess of w, to which the network adds; belongs to the generator and is not stored here.
    """

    def __init__(self, image_channels: int, style_count: int, style_size: int, start: nn.Module) -> None:
        super().__init__()
        self.style_count = style_count
        self.start = start
        self.trunk = PyramidTrunk(image_channels)
        self.depths = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(8, PYRAMID_CHANNELS),
                nn.SiLU(),
                nn.Conv2d(PYRAMID_CHANNELS, HEAD_CHANNELS, 3, padding=1),
            )
            for _ in range(3)
        )
        size = HEAD_CHANNELS * HEAD_SIDE**2
        self.first = nn.Linear(size, style_size)
        nn.init.zeros_(self.first.weight)
        nn.init.zeros_(self.first.bias)
        self.offsets = nn.ModuleList(_offset_head(size, style_size) for _ in range(style_count - 1))

    def learned_state(self) -> dict[str, torch.Tensor]:
        """What is stored: everything but the start."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith("start.")}

    def load_learned(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take up what ``learned_state`` gave.

        Raises:
            RuntimeError: it does not fit.
        """
        start = {f"start.{name}": value for name, value in self.start.state_dict().items()}
        self.load_state_dict({**state, **start})

    def learned_parameters(self) -> list[nn.Parameter]:
        """What an optimizer moves."""
        return [parameter for name, parameter in self.named_parameters() if not name.startswith("start.")]

    def forward(self, images: torch.Tensor, released: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Extended styles of images.

        Args:
            images: (N, C, R, R), -1..1.
            released: number of offsets in use, 0 to L - 1; None = all.

        Returns:
            w+ (N, L, W), and the offsets in use (N, released, W).
        """
        released = self.style_count - 1 if released is None else released
        fine, middle, coarse = (
            functional.adaptive_avg_pool2d(depth(values), HEAD_SIDE).flatten(1)
            for depth, values in zip(self.depths, self.trunk(images))
        )
        w = self.start(images) + self.first(coarse)
        offsets = [
            head(coarse if layer < COARSE_STYLES else middle if layer < MIDDLE_STYLES else fine)
            for layer, head in enumerate(self.offsets[:released], start=1)
        ]
        zero = torch.zeros_like(w)
        whole = [zero, *offsets, *[zero] * (self.style_count - 1 - released)]
        used = torch.stack(offsets, dim=1) if offsets else w.new_zeros(len(w), 0, w.shape[1])
        return w.unsqueeze(1) + torch.stack(whole, dim=1), used


def _offset_head(size_in: int, size_out: int) -> nn.Sequential:
    """Predicts nothing at first."""
    last = nn.Linear(OFFSET_SIZE, size_out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(size_in, OFFSET_SIZE), nn.SiLU(), last)


class LatentDiscriminator(nn.Module):
    """Tells w of the mapping network from w of an encoder, so that the encoder stays where edits work.

    Args:
        style_size: length of w.
    """

    def __init__(self, style_size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(style_size, style_size), nn.LeakyReLU(0.2),
            nn.Linear(style_size, style_size), nn.LeakyReLU(0.2),
            nn.Linear(style_size, style_size), nn.LeakyReLU(0.2),
            nn.Linear(style_size, 1),
        )  # fmt: skip

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        """(N, W) -> (N, 1) logits."""
        return self.layers(w)
