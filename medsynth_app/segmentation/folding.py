"""Batch norm folded into the convolution before it: the same answer with fewer passes over the image."""

from __future__ import annotations

from monai.networks.blocks import Convolution
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Fold, in place, every batch norm that directly follows a convolution; for networks that only answer.

    Args:
        network: in evaluation mode; kept statistics are constants there, so convolution and norm are one affine map.

    Returns:
        The same network.
    """
    for block in network.modules():
        if isinstance(block, Convolution):
            _fold(block)
    return network


def _fold(block: Convolution) -> None:
    parts = dict(block.named_children())
    convolution, after = parts.get("conv"), parts.get("adn")
    if not isinstance(convolution, nn.Conv3d) or not isinstance(after, nn.Sequential):
        return
    name, norm = next(iter(after.named_children()), ("", None))
    if not isinstance(norm, nn.BatchNorm3d):
        return
    block.conv = fuse_conv_bn_eval(convolution, norm)
    setattr(after, name, nn.Identity())
