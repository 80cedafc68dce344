"""Random changes of training cubes: the small differences between scans that mean nothing."""

from __future__ import annotations

import torch
from torch.nn import functional

WARP_CONTROLS = 5
LARGEST_SHIFT = 0.06
LARGEST_SCALE = 0.08
LARGEST_TURN_RADIANS = 0.12
GAIN = 0.1
GAMMA = 0.15


def augmented(cubes: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """Cubes (N, 1, R, R, R) in 0..1, each turned, scaled, shifted, and its brightness changed a little.

    Left and right are never exchanged: organs have a side.
    """
    count = cubes.shape[0]

    def draw(limit: float, size: int) -> torch.Tensor:
        return limit * (2.0 * torch.rand(count, size, generator=chance) - 1.0)

    angles, scale = draw(LARGEST_TURN_RADIANS, 3), 1.0 + draw(LARGEST_SCALE, 1)
    matrix = torch.eye(3).expand(count, 3, 3)
    for axis in range(3):
        matrix = matrix @ _turn(angles[:, axis], axis)
    placed = torch.cat([scale[:, :, None] * matrix, 2.0 * draw(LARGEST_SHIFT, 3)[:, :, None]], dim=2)
    grid = functional.affine_grid(placed, list(cubes.shape), align_corners=False)
    moved = functional.grid_sample(cubes, grid, padding_mode="zeros", align_corners=False)
    gain, gamma = (draw(limit, 1).exp().view(-1, 1, 1, 1, 1) for limit in (GAIN, GAMMA))
    return (gain * moved.clamp(0.0, 1.0) ** gamma).clamp(0.0, 1.0)


def with_copies(cubes: torch.Tensor, copies: int, warp: float, seed: int) -> torch.Tensor:
    """Cubes (N, 1, R, R, R) and so many copies of each with a smooth elastic warp, the originals first.

    The copies stay where they are: a Gaussian of moved ones would draw double outlines.

    Args:
        copies: of each cube.
        warp: standard deviation of the warp, as a share of the side.
        seed: of the warps.

    Returns:
        ((1 + copies) N, 1, R, R, R).
    """
    chance = torch.Generator().manual_seed(seed)
    still = functional.affine_grid(torch.eye(3, 4).repeat(len(cubes), 1, 1), list(cubes.shape), align_corners=False)
    made = [cubes]
    for _ in range(copies):
        # In the units of ``grid_sample`` a side is 2.
        controls = 2.0 * warp * torch.randn(len(cubes), 3, *(WARP_CONTROLS,) * 3, generator=chance)
        smooth = functional.interpolate(controls, size=cubes.shape[2:], mode="trilinear", align_corners=True)
        grid = still + smooth.permute(0, 2, 3, 4, 1)
        made.append(functional.grid_sample(cubes, grid, padding_mode="zeros", align_corners=False))
    return torch.cat(made)


def _turn(angle: torch.Tensor, axis: int) -> torch.Tensor:
    """(N, 3, 3) turns about one axis."""
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = torch.eye(3).repeat(len(angle), 1, 1)
    matrix[:, first, first] = matrix[:, second, second] = angle.cos()
    matrix[:, first, second], matrix[:, second, first] = -angle.sin(), angle.sin()
    return matrix
