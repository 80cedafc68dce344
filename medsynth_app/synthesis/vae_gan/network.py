"""The autoencoder, the discriminator, and how one is built again from a weights file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from monai.networks.nets import AutoencoderKL, PatchDiscriminator
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.vae_gan.patches import PatchCode, folded, unfolded
from medsynth_app.synthesis.weights import StoredWeights

NORM_GROUPS = 8
STEM = 2
"""Voxels a side that the network sees as one place with eight channels: an eighth of the work of single voxels."""
FIRST_LOG_VARIANCE = -6.0
"""Of a code before training: noise a twentieth of what the code tells."""


@dataclass(frozen=True)
class VaeConfiguration:
    """Shape of the autoencoder.

    Attributes:
        resolution: voxels a side of the cubes.
        channels: of each level; the first has half of the cube's side, every further one half of the one before.
        latent_channels: of the code.
        checkpointing: compute activations again instead of keeping them (less memory, a third more time).

    Raises:
        InvalidValueError: a side that cannot be halved so often, or channels that the norm cannot group.
    """

    resolution: int = 64
    channels: tuple[int, ...] = (16, 32)
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
        return STEM * 2 ** (len(self.channels) - 1)

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


class VolumeAutoencoder(nn.Module):
    """A linear code of patches, and a network that adds what it leaves out.

    Before training the network adds nothing: the reconstruction is that of the patches' principal components, and
    training starts from there instead of from noise. The network is MONAI's ``AutoencoderKL`` on patches of two voxels
    a side.

    Args:
        configuration: its shape.
    """

    def __init__(self, configuration: VaeConfiguration) -> None:
        super().__init__()
        levels = len(configuration.channels)
        self.configuration = configuration
        self.linear = PatchCode(configuration.downsampling, configuration.latent_channels)
        self.network = AutoencoderKL(
            spatial_dims=3,
            in_channels=STEM**3,
            out_channels=STEM**3,
            num_res_blocks=(1,) * levels,
            channels=configuration.channels,
            attention_levels=(False,) * levels,
            latent_channels=configuration.latent_channels,
            norm_num_groups=NORM_GROUPS,
            with_encoder_nonlocal_attn=False,
            with_decoder_nonlocal_attn=False,
            use_checkpoint=configuration.checkpointing,
        )
        last = cast(nn.ModuleList, self.network.decoder.blocks)[-1]
        for silent in (self.network.quant_conv_mu, self.network.quant_conv_log_sigma, last):
            for parameter in silent.parameters():
                nn.init.zeros_(parameter)
        bias = dict(self.network.quant_conv_log_sigma.named_parameters())["conv.bias"]
        nn.init.constant_(bias, FIRST_LOG_VARIANCE)

    def encode(self, cubes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, 1, R, R, R) in 0..1 -> mean and standard deviation of the code, (N, C, r, r, r)."""
        mean, deviation = self.network.encode(folded(cubes, STEM))
        return self.linear.encode(cubes) + mean, deviation

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """(N, C, r, r, r) -> (N, 1, R, R, R)."""
        image: torch.Tensor = self.linear.decode(codes) + unfolded(self.network.decode(codes), STEM)
        return image


def build_discriminator(channels: int = 16) -> nn.Module:
    """Judges overlapping patches of a cube. Instance norm: batches are small."""
    return PatchDiscriminator(
        spatial_dims=3, in_channels=1, channels=channels, num_layers_d=2, norm="INSTANCE"
    )


@torch.no_grad()
def encode_mean(vae: VolumeAutoencoder, cubes: torch.Tensor) -> torch.Tensor:
    """Mean codes (N, C, r, r, r), on the CPU, of cubes anywhere; one at a time, so that memory stays small."""
    device = next(vae.parameters()).device
    return torch.cat([vae.encode(cube[None].to(device))[0].cpu() for cube in cubes])


@torch.no_grad()
def decode(vae: VolumeAutoencoder, codes: torch.Tensor) -> torch.Tensor:
    """Cubes (N, 1, R, R, R) in 0..1 of codes."""
    return torch.cat([vae.decode(code[None]) for code in codes]).clamp(0.0, 1.0)


def code_distribution_of(stored: StoredWeights) -> dict[str, torch.Tensor]:
    """The Gaussian of the training codes that an autoencoder's weights bring along: one row for each sequence.

    Returns:
        ``mean`` (S, D), ``components`` (S, K, D), ``residual`` (S, D).

    Raises:
        InvalidValueError: the weights lack it.
    """
    try:
        return {name: stored.tensors[f"codes.{name}"] for name in ("mean", "components", "residual")}
    except KeyError as error:
        raise InvalidValueError(f"weights: lack {error}") from error
