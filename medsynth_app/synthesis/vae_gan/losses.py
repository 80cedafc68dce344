"""What the autoencoder is judged by."""

from __future__ import annotations

import torch
from monai.losses import PatchAdversarialLoss
from torch import nn
from torch.nn import functional

from medsynth_app.synthesis.measures.features import PhotographFeatures, perceptual_distance

TISSUE_CENTRES = (0.0, 0.2, 0.4, 0.6, 0.8)
TISSUE_WIDTH = 0.08
PLANES = (2, 3, 4)


def divergence(mean: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of the code from the standard normal, a mean over its elements.

    KL = (mu^2 + sigma^2 - ln sigma^2 - 1) / 2 (Kingma and Welling 2013, appendix B).
    """
    variance = deviation.square()
    return 0.5 * (mean.square() + variance - variance.clamp_min(1e-12).log() - 1.0).mean()


class TissueModel(nn.Module):
    """Frozen soft classes of intensity: how much each voxel is air, dark, middle, bright, brightest.

    A segmenter that needs no training and takes every modality; gradients pass through it.
    """

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 1, X, Y, Z) in 0..1 -> shares (N, K, X, Y, Z)."""
        centres = torch.tensor(TISSUE_CENTRES, device=image.device, dtype=image.dtype).view(1, -1, 1, 1, 1)
        return torch.softmax(-((image - centres) / TISSUE_WIDTH).square(), dim=1)


def anatomical_consistency(made: torch.Tensor, real: torch.Tensor, segmenter: nn.Module) -> torch.Tensor:
    """One less the mean soft Dice between what a frozen segmenter finds in both images.

    Args:
        made / real: (N, 1, X, Y, Z).
        segmenter: image -> shares (N, K, X, Y, Z); the ``TissueModel``, or a network that labels organs.
    """
    first, second = segmenter(made), segmenter(real)
    axes = (0, 2, 3, 4)
    overlap = 2.0 * (first * second).sum(axes)
    dice = overlap / (first.square().sum(axes) + second.square().sum(axes)).clamp_min(1e-6)
    return 1.0 - dice.mean()


class SlicePerception(nn.Module):
    """Perceptual distance of random slices along all three axes (2.5-D), by features of photographs."""

    def __init__(self) -> None:
        super().__init__()
        self.features = PhotographFeatures()

    def forward(self, made: torch.Tensor, real: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
        """A mean over the batch of one slice an axis; ``chance`` chooses the slices."""
        total = made.new_zeros(())
        for axis in PLANES:
            size = made.shape[axis]
            at = int(torch.randint(size // 4, max(size * 3 // 4, size // 4 + 1), (1,), generator=chance))
            first, second = (2.0 * image.select(axis, at) - 1.0 for image in (made, real))
            with torch.no_grad():
                wanted = self.features(second)
            total = total + perceptual_distance(self.features(first), wanted).mean()
        return total / len(PLANES)


def adversarial_generator(judged: torch.Tensor) -> torch.Tensor:
    """How far the discriminator's judgement of made patches is from "real" (least squares, Mao 2017)."""
    return PatchAdversarialLoss(criterion="least_squares")(
        judged, target_is_real=True, for_discriminator=False
    )


def adversarial_discriminator(judged_real: torch.Tensor, judged_made: torch.Tensor) -> torch.Tensor:
    """How badly it tells real patches from made ones."""
    loss = PatchAdversarialLoss(criterion="least_squares")
    real = loss(judged_real, target_is_real=True, for_discriminator=True)
    made = loss(judged_made, target_is_real=False, for_discriminator=True)
    return 0.5 * (real + made)


def shrunk(image: torch.Tensor, resolution: int) -> torch.Tensor:
    """A cube at another number of voxels a side."""
    if image.shape[-1] == resolution:
        return image
    return functional.interpolate(image, size=(resolution,) * 3, mode="trilinear", align_corners=False)
