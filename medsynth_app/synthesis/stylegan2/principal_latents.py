"""Latents of real images by principal components: the guide of a training that also reconstructs its images.

The whitened components of an image have mean 0 in each class: z tells nothing that the class tells, so the class has to
be listened to. Their covariance is 1 over the collection, but classes differ in it (fundus photographs have few of the
axes of radiographs), so it is told for each class: latents are drawn with it, see ``MappingNetwork``.
The mapping network sees only the direction of z, so the length, which is the image's contrast, is kept as one more
coordinate, brought to a normal distribution by its rank. Starting a generator from principal components follows
Bojanowski et al., "Optimizing the Latent Space of Generative Networks" (ICML 2018).
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

FITTED_SIDE = 32
FIRST_ITERATIONS = 3
RANK_STEPS = 257


class PrincipalLatents(nn.Module):
    """Image -> z, without training.

    Args:
        latent_size: length of z; one less components are kept.
        image_channels: 1 or 3.
        classes: each has a mean of its own; 1 = all images are alike.
    """

    mean: torch.Tensor
    components: torch.Tensor
    lengths: torch.Tensor

    def __init__(self, latent_size: int, image_channels: int, classes: int = 1) -> None:
        super().__init__()
        size = image_channels * FITTED_SIDE**2
        self.register_buffer("mean", torch.zeros(classes, size))
        self.register_buffer("components", torch.zeros(size, latent_size - 1))
        self.register_buffer("lengths", torch.linspace(0, 1, RANK_STEPS).repeat(classes, 1))

    @torch.no_grad()
    def fit(
        self, images: torch.Tensor, labels: torch.Tensor, shares: torch.Tensor, seed: int
    ) -> torch.Tensor:
        """Take means and components from a collection; it must hold more images than z has numbers.

        Args:
            images: (N, C, R, R), -1..1.
            labels: (N,) class numbers, each of them at least once.
            shares: (N,) how often each image is drawn in the training, in any unit.
            seed: of the decomposition.

        Returns:
            (classes, Z - 1, Z - 1), for each class the symmetric root of the covariance of its images' latents but for
            their last number. A class of n images varies along n - 1 axes.
        """
        values, weights, rows = _small(images), (shares / shares.mean()).float(), self._rows(labels)
        for number in range(len(self.mean)):
            self.mean[number] = values[rows == number].mean(dim=0)
        centred = values - self.mean[rows]
        count = self.components.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            _, deviation, directions = torch.pca_lowrank(
                centred * weights.sqrt()[:, None],
                q=min(count + 8, *values.shape), center=False, niter=FIRST_ITERATIONS,
            )  # fmt: skip
        deviation = deviation[:count] / math.sqrt(len(values))
        self.components.copy_(directions[:, :count] / deviation.clamp_min(1e-6))
        whitened, steps = centred @ self.components, torch.linspace(0, 1, RANK_STEPS)
        spreads = []
        for number in range(len(self.mean)):
            of_class = whitened[rows == number]
            self.lengths[number] = torch.quantile(of_class.norm(dim=1), steps)
            alike_long = functional.normalize(of_class, dim=1) * math.sqrt(count)
            spreads.append(_root(alike_long.T @ alike_long / len(of_class)))
        return torch.stack(spreads)

    @torch.no_grad()
    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """z (N, Z) of images (N, C, R, R), -1..1, of the classes (N,); which is no matter where all are alike."""
        rows = self._rows(labels)
        whitened = (_small(images) - self.mean[rows]) @ self.components
        length = whitened.norm(dim=1)
        rank = torch.searchsorted(self.lengths[rows], length[:, None])[:, 0].clamp(1, RANK_STEPS - 1).float() - 0.5
        normal = math.sqrt(2.0) * torch.erfinv(2.0 * rank / (RANK_STEPS - 1) - 1.0)
        scale = math.sqrt(whitened.shape[1]) / length.clamp_min(1e-6)
        return torch.cat([whitened * scale[:, None], normal[:, None]], dim=1)

    def _rows(self, labels: torch.Tensor) -> torch.Tensor:
        return labels if len(self.mean) > 1 else torch.zeros_like(labels)


def _small(images: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(images, size=FITTED_SIDE, mode="area").flatten(1)


def _root(covariance: torch.Tensor) -> torch.Tensor:
    """The symmetric square root (K, K): it turns numbers of covariance 1 into such of this covariance."""
    variances, axes = torch.linalg.eigh(covariance.double())
    return (axes @ torch.diag(variances.clamp_min(0.0).sqrt()) @ axes.T).float()
