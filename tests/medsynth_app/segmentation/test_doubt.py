"""Doubt: exact at its ends, and the largest doubtful region first."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.segmentation.doubt import doubt_percent, doubtful_places, volume_intervals_ml


def test_doubt_of_known_probabilities() -> None:
    probabilities = np.zeros((4, 3, 1, 1))
    probabilities[:, 0] = np.array([1, 0, 0, 0]).reshape(4, 1, 1)
    probabilities[:, 1] = 0.25
    probabilities[:, 2] = np.array([0.5, 0.5, 0, 0]).reshape(4, 1, 1)
    assert doubt_percent(probabilities).ravel().tolist() == [0, 100, 50]


def test_half_precision_is_enough() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), (5, 6, 7)).transpose(3, 0, 1, 2)
    full, half = doubt_percent(probabilities), doubt_percent(probabilities.astype(np.float16))
    assert np.abs(full.astype(int) - half).max() <= 1


def test_places_are_in_order_and_points_lie_in_them() -> None:
    doubt = np.zeros((30, 30, 30), dtype=np.uint8)
    doubt[2:8, 2:8, 2:8] = 60
    doubt[20:24, 20:24, 20:24] = 90
    doubt[21, 22, 23] = 100
    doubt[15, 15, 15] = 100  # a single voxel is no place
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[:3, 3] = (10, 20, -5)
    places = doubtful_places(doubt, affine)
    assert [place.volume_ml for place in places] == [0.216, 0.064]
    assert places[1].voxel == (21, 22, 23)
    assert places[1].ras_mm == (-11.0, -2.0, 18.0)
    assert places[0].doubt == pytest.approx(60)


def test_nothing_doubtful_is_no_place() -> None:
    assert doubtful_places(np.zeros((4, 4, 4), dtype=np.uint8), np.eye(4)) == []


def test_volume_intervals() -> None:
    probabilities = np.zeros((4, 10, 10, 10))
    probabilities[2, :2] = 0.9
    probabilities[2, 2:5] = 0.5
    low, high = volume_intervals_ml(probabilities, 0.001)["edema"]
    assert (low, high) == (0.2, 0.5)
    assert volume_intervals_ml(probabilities, 0.001)["necrotic_core"] == (0.0, 0.0)
