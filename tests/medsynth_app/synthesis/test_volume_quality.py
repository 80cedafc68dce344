"""Metrics of volumes behave as their definitions say."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.volume_quality import (
    anatomical_accuracy,
    compared,
    diversity,
    fidelity,
    frechet_distance,
    kernel_distance,
    volume_similarity,
)


def test_fidelity_falls_with_noise() -> None:
    chance = np.random.default_rng(0)
    real = chance.uniform(0.2, 0.8, (16, 16, 16))
    figures = [fidelity(np.clip(real + chance.normal(0, s, real.shape), 0, 1), real) for s in (0.01, 0.1)]
    assert figures[0]["psnr"] == pytest.approx(40.0, abs=1.0), "20 log10(1 / 0.01)"
    assert figures[1]["psnr"] < 22
    assert figures[0]["ssim"] > figures[1]["ssim"]
    with pytest.raises(InvalidValueError, match="shape"):
        fidelity(real[:8], real)


def test_overlap_and_volume_are_different_things() -> None:
    wanted, made = np.zeros((8, 8, 8), np.uint8), np.zeros((8, 8, 8), np.uint8)
    wanted[:2], made[6:] = 1, 1
    labels = {"organ": 1, "nowhere": 2}
    assert volume_similarity(made, wanted, labels) == {"organ": 1.0, "nowhere": 1.0}
    assert anatomical_accuracy(made, wanted, labels) == {"organ": 0.0, "nowhere": 1.0}
    made[:] = 0
    made[:1] = 1
    assert volume_similarity(made, wanted, labels)["organ"] == pytest.approx(2 / 3)
    assert anatomical_accuracy(made, wanted, labels)["organ"] == pytest.approx(2 / 3)


def test_distances_of_gaussians() -> None:
    chance = np.random.default_rng(0)
    first, second = chance.normal(0, 1, (800, 3)), chance.normal(0, 3, (800, 3)) + [2, 0, 0]
    assert frechet_distance(first, second) == pytest.approx(4 + 3 * (1 - 3) ** 2, rel=0.15)
    assert frechet_distance(first, first) == pytest.approx(0.0, abs=1e-8)
    assert abs(kernel_distance(first, chance.normal(0, 1, (800, 3)))) < 0.08
    assert kernel_distance(first, second) > 1.0, "the spread alone is seen too"
    assert diversity(second) > 2 * diversity(first)
    with pytest.raises(InvalidValueError, match="at least 2"):
        kernel_distance(first[:1], second)


def test_other_images_are_farther_than_the_floor() -> None:
    chance = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 32)] * 3, indexing="ij"))

    def ball(size: float) -> np.ndarray:
        return ((grid**2).sum(0) < size * chance.uniform(0.9, 1.1)) * chance.uniform(0.6, 0.8)

    real = [ball(0.6) for _ in range(6)]
    noise = [chance.uniform(0, 1, (32, 32, 32)) for _ in range(4)]
    figures = compared(noise, real)
    assert figures["kid"] > 3 * abs(figures["kid_floor"])
    assert figures["frechet"] > figures["frechet_floor"]
