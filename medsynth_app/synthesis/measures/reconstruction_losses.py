"""How far a made image is from the real one it should be: losses of medical images, in two and three dimensions."""

from __future__ import annotations

import torch
from monai.transforms import SobelGradients

FOREGROUND = 0.02
"""Brighter than this is body, in images of 0..1."""


def medical_squared_error(
    made: torch.Tensor,
    real: torch.Tensor,
    region_weight: float = 2.0,
    lesion: torch.Tensor | None = None,
    lesion_weight: float = 0.0,
) -> torch.Tensor:
    """Mean squared error in which the body counts more than the air around it, and a lesion more than the body.

    Args:
        made / real: (N, C, H, W) or (N, C, X, Y, Z), 0..1.
        region_weight: of the body in the weight 1 + region_weight * body + lesion_weight * lesion.
        lesion: (N, 1, ...) where the lesion is, 0..1; None where nobody knows.
        lesion_weight: see ``region_weight``.
    """
    weight = 1.0 + region_weight * (real > FOREGROUND).to(real.dtype)
    if lesion is not None:
        weight = weight + lesion_weight * lesion
    return (weight * (made - real).square()).sum() / weight.sum()


def edge_loss(made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of Sobel gradients along all axes: edges stay where and as steep as they are.

    Args:
        made / real: (N, C, H, W) or (N, C, X, Y, Z).
    """
    return (_gradients(made) - _gradients(real)).abs().mean()


def _gradients(images: torch.Tensor) -> torch.Tensor:
    """Gradients of images (N, C, ...) along each spatial axis, (axes * N * C, ...)."""
    channels = images.flatten(0, 1)
    return torch.cat([SobelGradients(spatial_axes=axis)(channels) for axis in range(channels.ndim - 1)])
