"""The equations of rectified flow (Liu 2022; times drawn logit-normally as in Esser 2024).

x_t = (1 - t) x + t e,  v = e - x,  loss = |v_hat(x_t, t) - v|^2;  sampling follows dx/dt = v_hat from t = 1 to 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.flow.samplers import flow

Velocity = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def flow_loss(velocity: Velocity, codes: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """Mean squared error of the velocity at random times.

    Args:
        velocity: (x_t, t) -> v.
        codes: (N, C, x, y, z) of about unit variance.
        chance: of times and noise.
    """
    time = torch.sigmoid(torch.randn(len(codes), generator=chance)).to(codes.device)
    noise = torch.randn(codes.shape, generator=chance).to(codes.device)
    share = time.view(-1, 1, 1, 1, 1)
    mixed = (1.0 - share) * codes + share * noise
    return (velocity(mixed, time) - (noise - codes)).square().mean()


@torch.no_grad()
def sample(
    velocity: Velocity, noise: torch.Tensor, steps: int, progress: Callable[[float], None]
) -> torch.Tensor:
    """Codes from noise (N, C, x, y, z) by Heun's method in ``steps`` steps (two evaluations each, one in the last).

    Raises:
        InvalidValueError: fewer than one step.
    """
    if steps < 1:
        raise InvalidValueError(f"steps: {steps} must be at least 1")
    return flow(velocity, noise, steps, torch.Generator(), progress)
