"""A network that knows the synthetic head, and prepared cases for tiny trainings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from medsynth_app.imaging.volume import Volume
from medsynth_app.segmentation.training.labelled_case import LabelledCase
from medsynth_app.segmentation.transforms import prepare, to_working_grid


class NearestTissue(nn.Module):
    """Labels a voxel by the nearest of four mean intensities: exact, local, a convolution like any network.

    ``-|x - m|^2`` is linear in ``x`` but for a term that all classes share, so one 1x1x1 convolution does it.
    """

    def __init__(self, means: np.ndarray) -> None:
        super().__init__()
        self.layer = nn.Conv3d(means.shape[1], len(means), 1)
        self.layer.weight.data = torch.tensor(2 * means, dtype=torch.float32)[..., None, None, None]
        self.layer.bias.data = torch.tensor(-(means**2).sum(axis=1), dtype=torch.float32)  # type: ignore[union-attr]
        self.calls: list[tuple[int, ...]] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (N, 4, X, Y, Z); remembers the shapes it was asked for."""
        self.calls.append(tuple(image.shape))
        return self.layer(image)


def prepared_labels(head: Any) -> np.ndarray:
    """The head's labels on the grid that the network sees."""
    working = to_working_grid(Volume(head.labels[None], head.volume.affine), order=0)
    return np.ascontiguousarray(working.array[0][prepare(head.volume).box.slices])


@pytest.fixture
def knowing_network(head: Any) -> NearestTissue:
    """A network that segments the synthetic head without a fault."""
    image, labels = prepare(head.volume).image, prepared_labels(head)
    return NearestTissue(np.stack([image[:, labels == label].mean(axis=1) for label in range(4)])).eval()


@pytest.fixture(scope="session")
def tiny_cases(build: Any) -> list[LabelledCase]:
    """The part around the tumour of two heads, the second one mirrored and noisy, as training sees them."""
    head = build.head()
    near = (slice(10, 42), slice(12, 44), slice(2, 34))
    image = torch.from_numpy(prepare(head.volume).image)[(slice(None), *near)]
    label = torch.from_numpy(prepared_labels(head)[near].copy())
    noise = 0.1 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    return [
        LabelledCase("first", image.half(), label),
        LabelledCase("second", (image + noise * (image != 0)).flip(1).half(), label.flip(0).contiguous()),
    ]
