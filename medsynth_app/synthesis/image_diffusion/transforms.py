"""Pictures to and from what the diffusion sees: linear codes of patches, and small changes that stay plausible.

A code is the picture's 8 x 8 patches on their principal axes (Karhunen-Loeve transform): it needs no training, is
exact up to the axes that are left out, and its places lie as the picture's do. Strong axes are scaled down less than
to equal strength, so that broad structure is settled before detail when noise is taken away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from medsynth_app.errors import InvalidValueError

PATCH = 8
COLOURS = 3
FEWEST_COLOUR_AXES, MOST_COLOUR_AXES = 1, COLOURS * PATCH**2
EQUALISED = 0.65
"""Power of an axis's standard deviation that it is divided by: 1 = all axes equally strong."""
STRENGTH = 1.5
"""Standard deviation of the strongest axis's codes; noise has 1."""
UNMIRRORED = ("chest_xray",)
"""Modalities whose left and right differ."""
TURN_DEGREES, ZOOM, SHIFT, CONTRAST, BRIGHTNESS = 4.0, 0.06, 0.03, 0.08, 0.05
"""Largest changes: of an angle, of the size, of the place in shares of the width, of grey levels."""


@dataclass(frozen=True)
class PatchCodec:
    """Linear codes of pictures.

    Attributes:
        mean: (192,) of a patch, three colours.
        axes: (192, D), orthonormal.
        scale: (D,) what projections are divided by.
    """

    mean: torch.Tensor
    axes: torch.Tensor
    scale: torch.Tensor

    @classmethod
    def fit(cls, images: torch.Tensor, count: int) -> PatchCodec:
        """Principal axes of the patches of pictures (N, 3, R, R), -1..1.

        Args:
            images: every kind of picture in fair shares.
            count: axes that are kept.

        Raises:
            InvalidValueError: no, or more axes than a patch has.
        """
        if not 1 <= count <= MOST_COLOUR_AXES:
            raise InvalidValueError(f"code_channels: {count} must be between 1 and {MOST_COLOUR_AXES}")
        patches = _patches(images).permute(0, 2, 3, 1).flatten(0, 2).double()
        mean = patches.mean(dim=0)
        centred = patches - mean
        variances, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
        deviations = variances.flip(0)[:count].clamp_min(1e-8).sqrt()
        axes = axes.flip(1)[:, :count]
        # An eigenvector's sign is an accident of the machine.
        axes = axes * axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()
        scale = deviations**EQUALISED * deviations[0] ** (1.0 - EQUALISED) / STRENGTH
        return cls(mean.float(), axes.float(), scale.float())

    @property
    def channels(self) -> int:
        """Numbers a place."""
        return int(self.axes.shape[1])

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, R, R), -1..1 -> (N, D, R / 8, R / 8)."""
        patches = _patches(images) - self.mean.view(1, -1, 1, 1)
        return functional.conv2d(patches, (self.axes / self.scale).T[:, :, None, None])

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """(N, D, H, W) -> (N, 3, 8 H, 8 W), about -1..1."""
        patches = functional.conv2d(codes, (self.axes * self.scale)[:, :, None, None]) + self.mean.view(
            1, -1, 1, 1
        )
        return functional.pixel_shuffle(patches, PATCH)

    def tensors(self) -> dict[str, torch.Tensor]:
        """For a weights file."""
        return {"codec.mean": self.mean, "codec.axes": self.axes, "codec.scale": self.scale}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor]) -> PatchCodec:
        """Of a weights file; InvalidValueError where it is incomplete."""
        try:
            return cls(tensors["codec.mean"], tensors["codec.axes"], tensors["codec.scale"])
        except KeyError as error:
            raise InvalidValueError(f"weights: lack {error}") from error

    def to(self, device: torch.device) -> PatchCodec:
        """On another device."""
        return PatchCodec(self.mean.to(device), self.axes.to(device), self.scale.to(device))


def _patches(images: torch.Tensor) -> torch.Tensor:
    if images.shape[1] != COLOURS or images.shape[-1] % PATCH or images.shape[-2] % PATCH:
        shape = tuple(images.shape)
        raise InvalidValueError(f"images: (N, 3, R, R) with R a multiple of {PATCH} is needed, got {shape}")
    return functional.pixel_unshuffle(images, PATCH)


def varied(
    images: torch.Tensor, masks: torch.Tensor, modalities: Sequence[str], chance: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures a little turned, moved, enlarged, mirrored, brighter; masks move along.

    Args:
        images: (N, 3, R, R), -1..1.
        masks: (N, R, R), 0..1.
        modalities: of each picture; some are never mirrored.
        chance: what decides.
    """
    count = len(images)

    def drawn(most: float) -> torch.Tensor:
        return most * (2.0 * torch.rand(count, generator=chance) - 1.0)

    turn, zoom, right, down = (
        drawn(math.radians(TURN_DEGREES)),
        1.0 + drawn(ZOOM),
        drawn(2 * SHIFT),
        drawn(2 * SHIFT),
    )
    mirrors = torch.tensor([0.0 if name in UNMIRRORED else 1.0 for name in modalities])
    sign = 1.0 - 2.0 * mirrors * (torch.rand(count, generator=chance) < 0.5)
    matrix = torch.stack(
        [
            torch.stack([zoom * turn.cos() * sign, -zoom * turn.sin(), right], dim=1),
            torch.stack([zoom * turn.sin() * sign, zoom * turn.cos(), down], dim=1),
        ],
        dim=1,
    )
    both = torch.cat([images, masks[:, None]], dim=1)
    grid = functional.affine_grid(matrix, list(both.shape), align_corners=False)
    moved = functional.grid_sample(
        both, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    contrast, brightness = 1.0 + drawn(CONTRAST), drawn(BRIGHTNESS)
    # About black, which stays black: around a head, and outside of a fundus, there is nothing.
    bright = (moved[:, :-1] + 1.0) * (contrast + brightness).view(-1, 1, 1, 1) - 1.0
    return bright.clamp(-1.0, 1.0), moved[:, -1]
