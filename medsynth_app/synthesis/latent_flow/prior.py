"""What is known of codes before any training of the flow: the Gaussian that the autoencoder's weights bring along.

Were codes normally distributed, the best velocity would be linear and known: with x_t = (1 - t) x + t e and a variance
s^2 along an axis, E[e - x | x_t] = -m + (t - (1 - t) s^2) / ((1 - t)^2 s^2 + t^2) (x_t - (1 - t) m). The network starts
from it and learns the rest (Wang and Vastola, TMLR 2024), so that even a short training makes heads, not clouds.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from medsynth_app.synthesis.image_diffusion.prior import gaussian_speed

SMALLEST_DEVIATION = 0.03
"""No number of a code counts as more certain than this: other volumes than those of the training may differ."""


class CodePrior(nn.Module):
    """The velocity of normally distributed codes of each kind of volume.

    Its tables follow from the autoencoder's weights: they are not stored again.

    Args:
        distribution: ``mean`` (S, D), ``components`` (S, K, D) scaled by their deviation, ``residual`` (S, D): the
            deviation that they leave.
        mean / deviation: how codes are scaled for the flow.
    """

    mean: torch.Tensor
    axes: torch.Tensor
    deviations: torch.Tensor
    rest: torch.Tensor

    def __init__(self, distribution: Mapping[str, torch.Tensor], mean: float, deviation: float) -> None:
        super().__init__()
        components = distribution["components"].float() / deviation
        lengths = components.norm(dim=-1)
        told = (lengths > SMALLEST_DEVIATION)[..., None]
        axes = torch.where(told, components / lengths.clamp_min(1e-12)[..., None], torch.zeros(()))
        rest = (distribution["residual"].float() / deviation).clamp_min(SMALLEST_DEVIATION)
        self.register_buffer("mean", (distribution["mean"].float() - mean) / deviation, persistent=False)
        self.register_buffer("axes", axes, persistent=False)
        self.register_buffer("deviations", lengths.clamp_min(SMALLEST_DEVIATION), persistent=False)
        self.register_buffer("rest", rest, persistent=False)

    def forward(self, codes: torch.Tensor, time: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
        """The Gaussian velocity.

        Args:
            codes: (N, C, x, y, z), scaled.
            time: (N,), 0 (volume) to 1 (noise).
            kinds: (N,) places on the axis S.
        """
        mean, axes, moment = self.mean[kinds], self.axes[kinds], time[:, None]
        off = codes.flatten(1) - (1.0 - moment) * mean
        along, lengthwise = _projected(axes, off)
        across = off - lengthwise
        found = gaussian_speed(self.rest[kinds], moment) * across
        found = found + torch.einsum("nkd,nk->nd", axes, gaussian_speed(self.deviations[kinds], moment) * along)
        return (found - mean).view_as(codes)

    def smoothed(self, noise: torch.Tensor, kinds: torch.Tensor, grain: float) -> torch.Tensor:
        """Noise (N, C, x, y, z) with only so much of what lies across the axes, where every place is alone.

        A truncation: shapes vary as before, grain that a short training has not yet bound together is less.
        """
        axes, flat = self.axes[kinds], noise.flatten(1)
        _, along = _projected(axes, flat)
        return (along + grain * (flat - along)).view_as(noise)


def _projected(axes: torch.Tensor, flat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Lengths (N, K) along the axes (N, K, D) of codes (N, D), and the part (N, D) that lies along them."""
    lengths = torch.einsum("nkd,nd->nk", axes, flat)
    return lengths, torch.einsum("nkd,nk->nd", axes, lengths)
