"""Measures behave as their definitions say."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.measures.quality import (
    FIGURES,
    area_under_curve,
    compared,
    coverage,
    diversity,
    fidelity,
    frechet_distance,
    kernel_distance,
    kernel_distance_spread,
    medical_specificity,
)


def _normal(mean: float, deviation: float, seed: int, count: int = 4000) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, deviation, (count, 3))


@pytest.mark.parametrize("shape", [(1, 24, 24), (3, 24, 24), (1, 16, 16, 16)])
def test_fidelity_falls_with_noise(shape: tuple[int, ...]) -> None:
    chance = np.random.default_rng(0)
    real = chance.uniform(0.2, 0.8, shape)
    figures = [fidelity(np.clip(real + chance.normal(0, s, real.shape), 0, 1), real) for s in (0.01, 0.1)]
    assert figures[0]["psnr"] == pytest.approx(40.0, abs=1.0), "20 log10(1 / 0.01)"
    assert figures[1]["psnr"] < 22
    assert figures[0]["ssim"] > figures[1]["ssim"]
    with pytest.raises(InvalidValueError, match="shape"):
        fidelity(real[:, :8], real)


def test_frechet_distance_of_known_normals() -> None:
    first = _normal(0, 1, 0)
    assert frechet_distance(first, first) == pytest.approx(0.0, abs=1e-8)
    assert frechet_distance(first, _normal(0, 1, 1)) == pytest.approx(0.0, abs=0.02)
    assert frechet_distance(first, _normal(1, 2, 1)) == pytest.approx(3 * (1 + 1), rel=0.05)
    assert frechet_distance(first, _normal(0, 3, 1) + [2, 0, 0]) == pytest.approx(4 + 3 * 4, rel=0.1)


def test_frechet_distance_of_fewer_images_than_features() -> None:
    """The matrix root, taken the usual way, gives the same."""
    chance = np.random.default_rng(0)
    first, second = chance.normal(0, 1, (12, 20)), chance.normal(1, 2, (9, 20))
    covariances = [np.cov(part, rowvar=False) for part in (first, second)]
    root = np.sqrt(np.clip(np.linalg.eigvals(covariances[0] @ covariances[1]).real, 0, None)).sum()
    wanted = np.square(first.mean(0) - second.mean(0)).sum() + sum(map(np.trace, covariances)) - 2 * root
    assert frechet_distance(first, second) == pytest.approx(wanted, rel=1e-6)


def test_kernel_distance_sees_mean_and_spread_and_nothing_else() -> None:
    same = [kernel_distance(_normal(0, 1, seed, 300), _normal(0, 1, seed + 50, 300)) for seed in range(20)]
    assert np.mean(same) == pytest.approx(0.0, abs=0.02)
    assert kernel_distance(_normal(0, 1, 0, 500), _normal(0.5, 1, 1, 500)) > 0.1
    assert kernel_distance(_normal(0, 1, 0, 500), _normal(0, 2, 1, 500)) > 0.1
    with pytest.raises(InvalidValueError, match="at least 2 images"):
        kernel_distance(np.zeros((1, 3)), np.zeros((5, 3)))


def test_spread_of_kernel_distance_falls_with_more_images() -> None:
    few, many = (
        kernel_distance_spread(_normal(0, 1, 0, count), _normal(0, 1, 1, count)) for count in (40, 400)
    )
    assert few > 2 * many > 0


def test_coverage_and_diversity_see_a_collapsed_generator() -> None:
    real, same = _normal(0, 1, 0, 200), _normal(0, 1, 1, 200)
    collapsed = np.repeat(real[:1], 200, axis=0) + _normal(0, 0.01, 2, 200)
    assert coverage(same, real) > 0.9
    assert coverage(collapsed, real) < 0.1
    assert diversity(collapsed) < 0.1 * diversity(real)


def test_compared_puts_a_floor_beside_every_distance() -> None:
    real, made = _normal(0, 1, 0, 200), _normal(1, 1, 1, 90)
    figures = compared(made, real)
    assert tuple(figures) == FIGURES
    assert figures["samples"] == 90, "one count for all, the distances depend on it"
    assert figures["kid"] > abs(figures["kid_floor"]) + 3 * figures["kid_sd"]
    assert figures["frechet"] > 5 * figures["frechet_floor"]
    assert figures == compared(made, real), "the same draws"
    assert compared(made, real, _normal(1, 1, 3, 90))["kid_floor"] > figures["kid_floor"], (
        "a floor of its own"
    )


def test_specificity_counts_normals_and_each_disease_by_itself() -> None:
    requested = ["normal"] * 4 + ["pneumonia"] * 2 + ["covid-19"]
    found = ["normal", "normal", "normal", "pneumonia", "pneumonia", "normal", "pneumonia"]
    figures = medical_specificity(requested, found)
    assert figures == {"specificity": 0.75, "sensitivity": {"pneumonia": 0.5, "covid-19": 0.0}}
    assert medical_specificity(["a"], ["a"])["specificity"] is None
    with pytest.raises(InvalidValueError, match="findings"):
        medical_specificity(["a"], [])


def test_area_under_curve_counts_ties_half() -> None:
    assert area_under_curve(np.array([0.1, 0.5, 0.5, 0.9]), np.array([0, 0, 1, 1])) == pytest.approx(0.875)
    assert np.isnan(area_under_curve(np.array([0.1, 0.5]), np.array([1, 1])))
