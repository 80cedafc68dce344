"""The equation that the velocity network learns by (rectified flow, Liu 2022; times as in Esser 2024)."""

from __future__ import annotations

import torch

from medsynth_app.synthesis.flow.samplers import Velocity

TIME_MEAN, TIME_SPREAD = -0.2, 1.1
"""Of the normal distribution whose sigmoid is the time: a little more often near the picture than near noise."""


def velocity_loss(
    velocity: Velocity, codes: torch.Tensor, weights: torch.Tensor, chance: torch.Generator
) -> torch.Tensor:
    """Weighted mean squared error of the velocity e - x at random times, (N,).

    Args:
        velocity: (x_t, t) -> v.
        codes: x, (N, D, H, W).
        weights: (D,), mean 1; see ``channel_weights``.
        chance: of times and noise.
    """
    time = torch.sigmoid(TIME_MEAN + TIME_SPREAD * torch.randn(len(codes), generator=chance)).to(codes.device)
    noise = torch.randn(codes.shape, generator=chance).to(codes.device)
    share = time.view(-1, 1, 1, 1)
    mixed = (1.0 - share) * codes + share * noise
    errors = (velocity(mixed, time) - (noise - codes)).square()
    return (errors * weights.view(1, -1, 1, 1)).mean(dim=(1, 2, 3))


def channel_weights(scale: torch.Tensor) -> torch.Tensor:
    """Weight of each channel of a code: what it weighs in the picture, softened by a root; mean 1.

    Alike weights would spend most of the network on fine grain, which is chance; weights as in the picture's squared
    error would let it forget the grain.

    Args:
        scale: (D,) of ``PatchCodec``.
    """
    return scale / scale.mean()


def guided(told: torch.Tensor, untold: torch.Tensor, guidance: float) -> torch.Tensor:
    """Classifier-free guidance (Ho 2022): 1 = the told conditions as they are, more = exaggerated."""
    return untold + guidance * (told - untold)
