"""Features of photographs: what their distances see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from medsynth_app.synthesis.measures.features import (
    FEATURE_CHANNELS,
    POOLED_SIZE,
    PhotographFeatures,
    perceptual_distance,
    picture_features,
    pooled_features,
    slice_features,
    to_images,
)


@pytest.fixture(scope="module")
def network() -> PhotographFeatures:
    return PhotographFeatures()


def _pictures(count: int, seed: int = 0) -> np.ndarray:
    coarse = torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(seed))
    return (
        (255 * functional.interpolate(coarse, size=128, mode="bicubic").clamp(0, 1)).to(torch.uint8).numpy()
    )


def test_distance_grows_with_damage_and_has_gradients(network: PhotographFeatures) -> None:
    real = to_images(_pictures(1))
    chance = torch.Generator().manual_seed(1)
    noise = torch.randn(real.shape, generator=chance)
    view = network(real)
    distances = [float(perceptual_distance(network(real + s * noise), view)) for s in (0.0, 0.02, 0.1)]
    assert distances[0] == 0.0
    assert distances[1] < distances[2]
    damaged = (real + 0.1 * noise).requires_grad_(True)
    perceptual_distance(network(damaged), view).sum().backward()
    assert damaged.grad is not None
    assert float(damaged.grad.abs().sum()) > 0


def test_grey_is_three_equal_colours_and_small_images_are_enlarged(network: PhotographFeatures) -> None:
    grey = to_images(_pictures(2)[:, :1])
    assert np.allclose(picture_features(grey, network), picture_features(grey.expand(-1, 3, -1, -1), network))
    assert picture_features(grey[..., ::4, ::4], network).shape == (2, FEATURE_CHANNELS[-1])
    assert pooled_features(grey, network).shape == (2, POOLED_SIZE)


def test_parts_do_not_change_features(network: PhotographFeatures) -> None:
    images = to_images(_pictures(17))
    whole = picture_features(images, network)
    assert np.allclose(whole[16], picture_features(images[16:], network)[0], atol=1e-4)


def test_volumes_are_seen_along_every_axis(network: PhotographFeatures) -> None:
    volume = np.random.default_rng(0).uniform(0, 1, (20, 24, 28)).astype(np.float32)
    rows = slice_features([volume, volume[::-1]], network)
    assert rows.shape == (2, 3 * FEATURE_CHANNELS[-1])
    assert not np.allclose(rows[0], rows[1])
