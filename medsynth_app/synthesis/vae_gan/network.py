"""The autoencoder, the discriminator, and how one is built again from a weights file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from monai.networks.nets import AutoencoderKL, PatchDiscriminator
from torch import nn

from medsynth_app.errors import InvalidValueError

NORM_GROUPS = 8


@dataclass(frozen=True)
class VaeConfiguration:
    """Shape of the autoencoder.

    Attributes:
        resolution: voxels a side of the cubes.
        channels: of each level; every level after the first halves the side.
        latent_channels: of the code.
        checkpointing: compute activations again instead of keeping them (less memory, a third more time).

    Raises:
        InvalidValueError: a side that cannot be halved so often, or channels that the norm cannot group.
    """

    resolution: int = 64
    channels: tuple[int, ...] = (16, 32, 64)
    latent_channels: int = 4
    checkpointing: bool = False

    def __post_init__(self) -> None:
        if len(self.channels) < 2 or any(c < 1 or c % NORM_GROUPS for c in self.channels):
            raise InvalidValueError(
                f"channels: {self.channels} must be at least two multiples of {NORM_GROUPS}"
            )
        if self.resolution < 16 or self.resolution % self.downsampling:
            raise InvalidValueError(
                f"resolution: {self.resolution} must be a multiple of {self.downsampling}, at least 16"
            )
        if not 1 <= self.latent_channels <= 64:
            raise InvalidValueError(f"latent_channels: {self.latent_channels} must be between 1 and 64")

    @property
    def downsampling(self) -> int:
        """Voxels a side that make one place of the code."""
        return 2 ** (len(self.channels) - 1)

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """(channels, x, y, z) of the code."""
        side = self.resolution // self.downsampling
        return (self.latent_channels, side, side, side)

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "channels": list(self.channels)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> VaeConfiguration:
        """Of a weights file's metadata; InvalidValueError where it is incomplete."""
        try:
            return cls(
                resolution=int(record["resolution"]),
                channels=tuple(int(c) for c in record["channels"]),
                latent_channels=int(record["latent_channels"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidValueError("weights: lack the shape of their autoencoder") from error


def build_vae(configuration: VaeConfiguration) -> AutoencoderKL:
    """The autoencoder: (N, 1, R, R, R) in 0..1 -> reconstruction, mean and standard deviation of the code."""
    levels = len(configuration.channels)
    return AutoencoderKL(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        num_res_blocks=(1,) * levels,
        channels=configuration.channels,
        attention_levels=(False,) * levels,
        latent_channels=configuration.latent_channels,
        norm_num_groups=NORM_GROUPS,
        with_encoder_nonlocal_attn=False,
        with_decoder_nonlocal_attn=False,
        use_checkpoint=configuration.checkpointing,
    )


def build_discriminator(channels: int = 16) -> nn.Module:
    """Judges overlapping patches of a cube. Instance norm: batches are small."""
    return PatchDiscriminator(
        spatial_dims=3, in_channels=1, channels=channels, num_layers_d=2, norm="INSTANCE"
    )


@torch.no_grad()
def encode_mean(vae: AutoencoderKL, cubes: torch.Tensor) -> torch.Tensor:
    """Mean codes of cubes, one at a time: memory stays small."""
    return torch.cat([vae.encode(cube[None])[0] for cube in cubes])


@torch.no_grad()
def decode(vae: AutoencoderKL, codes: torch.Tensor) -> torch.Tensor:
    """Cubes (N, 1, R, R, R) in 0..1 of codes."""
    return torch.cat([vae.decode(code[None]) for code in codes]).clamp(0.0, 1.0)
