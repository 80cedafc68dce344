"""Metrics of volumes behave as their definitions say."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.synthesis.measures.volume_quality import (
    anatomical_accuracy,
    compared_volumes,
    volume_similarity,
)


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


def test_other_images_are_farther_than_the_floor() -> None:
    chance = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 32)] * 3, indexing="ij"))

    def ball(size: float) -> np.ndarray:
        return ((grid**2).sum(0) < size * chance.uniform(0.9, 1.1)) * chance.uniform(0.6, 0.8)

    real = [ball(0.6) for _ in range(6)]
    noise = [chance.uniform(0, 1, (32, 32, 32)) for _ in range(4)]
    figures = compared_volumes(noise, real)
    assert figures["kid"] > 3 * abs(figures["kid_floor"])
    assert figures["frechet"] > figures["frechet_floor"]
