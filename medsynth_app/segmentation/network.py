"""The segmentation networks, by name.

Every network maps an image (N, C, X, Y, Z) to logits (N, 4, X, Y, Z): background, necrotic core, oedema,
enhancing tumour. To add one: write its builder and give it a line in ``NETWORKS``.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import torch
from monai.networks.nets import BasicUNet, DynUNet, SegResNet
from monai.networks.utils import pixelshuffle, pixelunshuffle
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.vocabulary import LABEL_NAMES, Modality, t1_and_t1ce

NUMBER_OF_CLASSES = len(LABEL_NAMES) + 1

Norm = tuple[str, dict[str, Any]]
NORMS: dict[str, Norm] = {"instance": ("instance", {"affine": True}), "batch": ("batch", {})}
"""How features are normalised, by name; as MONAI takes it."""


@dataclass(frozen=True)
class NetworkConfiguration:
    """What is needed to build a network again: stored beside its weights.

    Attributes:
        name: one of ``NETWORKS``.
        modalities: sequences it reads, in channel order.
        width: channels of its first level; deeper levels double it.
        dropout: probability of dropping a channel, 0.1-0.3 for the classic U-Net.
        norm: one of ``NORMS``. ``batch`` normalises by statistics kept from training, so a voxel's answer
            does not depend on how much of the head the network sees at once; the others take them from it.
    """

    name: str = "unet"
    modalities: tuple[str, ...] = tuple(m.value for m in Modality)
    width: int = 16
    dropout: float = 0.1
    norm: str = "instance"

    def __post_init__(self) -> None:
        if self.name not in NETWORKS:
            raise InvalidValueError(f"network: unknown name {self.name!r}, known: {', '.join(NETWORKS)}")
        known = [m.value for m in Modality]
        unknown = [m for m in self.modalities if m not in known]
        if unknown or not self.modalities or len(set(self.modalities)) < len(self.modalities):
            raise InvalidValueError(
                f"modalities: {list(self.modalities)} must be chosen from {known}, each once"
            )
        if self.norm not in NORMS:
            raise InvalidValueError(f"norm: unknown name {self.norm!r}, known: {', '.join(NORMS)}")
        if not 1 <= self.width <= 128:
            raise InvalidValueError(f"width: {self.width} must be between 1 and 128")
        if not 0.0 <= self.dropout < 1.0:
            raise InvalidValueError(f"dropout: {self.dropout} must be in [0, 1)")

    @property
    def t1_and_t1ce(self) -> tuple[int, int] | None:
        """Channels of T1 and T1ce, or None where one of them is not read."""
        return t1_and_t1ce(self.modalities)


def _quiet_basic_unet(**arguments: Any) -> BasicUNet:
    """MONAI's U-Net without the line it prints about itself."""
    with redirect_stdout(io.StringIO()):
        return BasicUNet(**arguments)


class SubpixelUNet(nn.Module):
    """A U-Net that works at half resolution and answers at full resolution.

    Each 2x2x2 block of voxels is folded into channels on the way in (pixel unshuffle) and the logits of the
    block are unfolded on the way out (Shi 2016, "Efficient sub-pixel convolution"), so that no wide
    convolution runs on the full grid. A thin convolution over logits and image restores detail there.
    Costs about a quarter of the classic U-Net of the same width on a CPU.

    Args:
        in_channels: number of sequences.
        width: channels at half resolution.
        dropout: probability of dropping a channel.
        norm: name and arguments, as MONAI takes them.
    """

    def __init__(self, in_channels: int, width: int, dropout: float, norm: Norm) -> None:
        super().__init__()
        folded = NUMBER_OF_CLASSES * 2
        self.body = _quiet_basic_unet(
            spatial_dims=3,
            in_channels=in_channels * 8,
            out_channels=folded * 8,
            features=(width, width * 2, width * 3, width * 4, width * 5, width),
            dropout=dropout,
            norm=norm,
        )
        self.detail = nn.Sequential(nn.Conv3d(folded + in_channels, folded, 3, padding=1), nn.LeakyReLU(0.1))
        self.head = nn.Conv3d(folded, NUMBER_OF_CLASSES, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (N, 4, X, Y, Z) of an image (N, C, X, Y, Z) whose sides are multiples of 32."""
        coarse = pixelshuffle(self.body(pixelunshuffle(image, 3, 2)), 3, 2)
        return self.head(coarse + self.detail(torch.cat((coarse, image), dim=1)))


def _unet(configuration: NetworkConfiguration) -> nn.Module:
    """The classic 3-D U-Net (Cicek 2016): two 3x3x3 convolutions a level, transposed convolution up."""
    width = configuration.width
    return _quiet_basic_unet(
        spatial_dims=3,
        in_channels=len(configuration.modalities),
        out_channels=NUMBER_OF_CLASSES,
        features=(width, width * 2, width * 4, width * 8, width * 16, width),
        dropout=configuration.dropout,
        norm=NORMS[configuration.norm],
        upsample="deconv",
    )


def _subpixel_unet(configuration: NetworkConfiguration) -> nn.Module:
    return SubpixelUNet(
        len(configuration.modalities), configuration.width, configuration.dropout, NORMS[configuration.norm]
    )


def _segresnet(configuration: NetworkConfiguration) -> nn.Module:
    """SegResNet (Myronenko 2018) without its auto-encoder branch."""
    return SegResNet(
        spatial_dims=3,
        init_filters=configuration.width,
        in_channels=len(configuration.modalities),
        out_channels=NUMBER_OF_CLASSES,
        dropout_prob=configuration.dropout,
        norm=NORMS[configuration.norm],
        blocks_down=(1, 2, 2, 4),
        blocks_up=(1, 1, 1),
    )


def _dynunet(configuration: NetworkConfiguration) -> nn.Module:
    """The U-Net of nnU-Net (Isensee 2021)."""
    return DynUNet(
        spatial_dims=3,
        in_channels=len(configuration.modalities),
        out_channels=NUMBER_OF_CLASSES,
        kernel_size=[3] * 5,
        strides=[1, 2, 2, 2, 2],
        upsample_kernel_size=[2] * 4,
        filters=[configuration.width * f for f in (1, 2, 4, 8, 16)],
        norm_name=NORMS[configuration.norm],
        dropout=configuration.dropout,
    )


NETWORKS: dict[str, Callable[[NetworkConfiguration], nn.Module]] = {
    "unet": _unet,
    "subpixel_unet": _subpixel_unet,
    "segresnet": _segresnet,
    "dynunet": _dynunet,
}

SIDE_MULTIPLE = 32
"""Sides of the input must be multiples of this, so that every network halves them without remainder."""


def build_network(configuration: NetworkConfiguration) -> nn.Module:
    """The network with fresh weights."""
    return NETWORKS[configuration.name](configuration)


def batch_norms(network: nn.Module) -> list[nn.BatchNorm3d]:
    """Its layers that hold statistics of the training data."""
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm3d)]


def to_device(network: nn.Module, device: torch.device) -> nn.Module:
    """The network on a device, its convolutions channels-last: 2 to 3 times faster on a CPU in bf16."""
    # PyTorch's type stubs do not know that Module.to takes a memory format.
    return network.to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
