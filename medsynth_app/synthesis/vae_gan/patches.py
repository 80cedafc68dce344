"""Patches of a cube as channels, and their principal components: the linear part of the autoencoder."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

MOST_PATCHES = 40_000
EQUALISED = 0.5
"""0 leaves the components their own spread (the first one 1), 1 gives all of them spread 1."""


def folded(cubes: torch.Tensor, side: int) -> torch.Tensor:
    """(N, C, side x, side y, side z) -> (N, side^3 C, x, y, z)."""
    n, c, *extent = cubes.shape
    x, y, z = (length // side for length in extent)
    parts = cubes.view(n, c, x, side, y, side, z, side).permute(0, 1, 3, 5, 7, 2, 4, 6)
    return parts.reshape(n, c * side**3, x, y, z)


def unfolded(parts: torch.Tensor, side: int) -> torch.Tensor:
    """The way back from ``folded``."""
    n, channels, x, y, z = parts.shape
    c = channels // side**3
    cubes = parts.view(n, c, side, side, side, x, y, z).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return cubes.reshape(n, c, x * side, y * side, z * side)


class PatchCode(nn.Module):
    """Principal components of patches; buffers, not trained by gradient. Zero until ``fit``.

    Args:
        side: voxels of a patch along each axis.
        channels: components that are kept.
    """

    mean: torch.Tensor
    axes: torch.Tensor
    spread: torch.Tensor

    def __init__(self, side: int, channels: int) -> None:
        super().__init__()
        self.side = side
        self.register_buffer("mean", torch.zeros(side**3))
        self.register_buffer("axes", torch.zeros(side**3, channels))
        self.register_buffer("spread", torch.ones(channels))

    @torch.no_grad()
    def fit(self, cubes: torch.Tensor) -> None:
        """From training cubes (N, 1, R, R, R); the same cubes and ``torch.manual_seed`` give the same code."""
        patches = folded(cubes, self.side).flatten(2).transpose(1, 2).flatten(0, 1)
        chosen = torch.randperm(len(patches))[:MOST_PATCHES]
        centred = patches[chosen] - patches.mean(0)
        count = self.axes.shape[1]
        # A few components more than are kept make the randomised decomposition accurate (Halko 2011).
        _, values, axes = torch.svd_lowrank(centred, q=min(count + 8, *centred.shape), niter=4)
        deviations = values / max(len(centred) - 1, 1) ** 0.5
        first = deviations[0].clamp_min(1e-6)
        kept = min(count, axes.shape[1])
        # A component's sign is an accident of the machine.
        signs = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()
        self.mean.copy_(patches.mean(0))
        self.axes[:, :kept] = (axes * signs)[:, :kept]
        self.spread[:kept] = (deviations[:kept].clamp_min(1e-3 * first) / first) ** EQUALISED * first

    def encode(self, cubes: torch.Tensor) -> torch.Tensor:
        """(N, 1, R, R, R) -> (N, C, R / side, R / side, R / side)."""
        patches = folded(cubes, self.side) - self.mean.view(1, -1, 1, 1, 1)
        return functional.conv3d(patches, (self.axes / self.spread).T[:, :, None, None, None])

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """The way back, without what the components left out."""
        patches = functional.conv3d(codes, (self.axes * self.spread)[:, :, None, None, None])
        return unfolded(patches + self.mean.view(1, -1, 1, 1, 1), self.side)
