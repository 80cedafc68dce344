"""Losses of the adversarial training, each with its formula's source."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional


def logistic_pair(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Discriminator's logistic loss (Goodfellow 2014, as in StyleGAN2): softplus(-D(x)) + softplus(D(G(z)))."""
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


def non_saturating(fake: torch.Tensor) -> torch.Tensor:
    """Generator's loss to go with it: softplus(-D(G(z)))."""
    return functional.softplus(-fake).mean()


def hinge_pair(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Discriminator's hinge loss (Projected GAN, equation 4): relu(1 - D(x)) + relu(1 + D(G(z)))."""
    return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()


def hinge_generator(fake: torch.Tensor) -> torch.Tensor:
    """Generator's loss to go with it: -D(G(z))."""
    return -fake.mean()


def gradient_penalty(real: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """R1 (Mescheder 2018): mean squared norm of the gradient of D at real images, (N, C, R, R) with gradient."""
    (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


class PathLength(nn.Module):
    """Path length regularisation (StyleGAN2, section 3.2): |J_w^T y| should be the same everywhere.

    Args:
        decay: of the running mean of the length.
    """

    mean: torch.Tensor

    def __init__(self, decay: float = 0.01) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, images: torch.Tensor, styles: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Penalty (|J_w^T y| - mean)^2.

        Args:
            images: (N, C, R, R) = G(styles), with gradient.
            styles: (N, L, W) that they were made from.
            noise: y, normal, of the images' shape.
        """
        scaled = noise / math.sqrt(images.shape[2] * images.shape[3])
        (gradient,) = torch.autograd.grad((images * scaled).sum(), styles, create_graph=True)
        length = gradient.square().sum(dim=2).mean(dim=1).sqrt()
        with torch.no_grad():
            self.mean.lerp_(length.mean(), self.decay)
        return (length - self.mean).square().mean()
