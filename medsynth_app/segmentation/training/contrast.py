"""A tumour as if it had taken up no contrast agent: training cases without enhancement, made of those with it.

Few gliomas in small collections lack enhancing tumour, and a network that has seen none of them finds
enhancement everywhere. Outside of enhancing tissue and vessels T1ce is close to a straight line of T1, so
the enhancing voxels are given the T1ce that T1 predicts, and their label becomes (non-enhancing) core.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from medsynth_app.segmentation.enhancement import LEAST_HEALTHY_VOXELS, line_of_t1
from medsynth_app.vocabulary import TumorLabel


def withhold_contrast(
    image: torch.Tensor, label: torch.Tensor, t1: int, t1ce: int, generator: torch.Generator
) -> None:
    """Turn enhancing tumour into non-enhancing core, in image and label, in place.

    Args:
        image: (C, X, Y, Z) float32, z-scored, 0 outside the brain. Only channel ``t1ce`` changes.
        label: (X, Y, Z) int64, values 0..3.
        t1: channel of T1.
        t1ce: channel of T1ce.
        generator: of the noise that keeps the repainted tissue from being flat.
    """
    enhancing = label == TumorLabel.ENHANCING_TUMOR
    before, after = image[t1], image[t1ce]
    healthy = (label == 0) & (before != 0) & (after != 0)
    if not bool(enhancing.any()) or int(healthy.sum()) < LEAST_HEALTHY_VOXELS:
        return
    slope, offset, deviation = line_of_t1(before[healthy].numpy(), after[healthy].numpy())
    # Noise of half the deviation: the other half of it is anatomy that the line does not explain.
    noise = torch.randn(before.shape, generator=generator) * (deviation / 2)
    without_agent = slope * before + offset + noise
    share = _soft_border(enhancing)
    image[t1ce] = torch.where(after != 0, after + share * (without_agent - after), after)
    label[enhancing] = TumorLabel.NECROTIC_CORE


def _soft_border(mask: torch.Tensor) -> torch.Tensor:
    """1 inside the mask and one voxel around it (the rim is partly enhancing too), fading out over two."""
    grown = functional.max_pool3d(mask[None, None].float(), 3, stride=1, padding=1)
    faded = functional.avg_pool3d(grown, 3, stride=1, padding=1)
    return torch.maximum(grown, faded)[0, 0]
