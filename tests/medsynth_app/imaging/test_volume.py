"""A volume that exists is valid."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.volume import Volume


def test_sizes_follow_from_the_affine() -> None:
    turned = np.array([[0, -2.0, 0, 7], [0.5, 0, 0, 8], [0, 0, 3.0, 9], [0, 0, 0, 1]])
    volume = Volume(np.zeros((2, 4, 5, 6), dtype=np.int16), turned)
    assert volume.spatial_shape == (4, 5, 6)
    np.testing.assert_allclose(volume.spacing, [0.5, 2.0, 3.0])
    assert volume.voxel_volume_ml == pytest.approx(0.003)


def test_spacing_of_an_oblique_grid_is_the_step_length() -> None:
    angle = np.radians(30)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine[:3, :3] *= 2
    volume = Volume(np.zeros((1, 2, 2, 2)), affine)
    np.testing.assert_allclose(volume.spacing, [2, 2, 2])
    assert volume.voxel_volume_ml == pytest.approx(0.008)


@pytest.mark.parametrize(
    ("array", "affine", "message"),
    [
        (np.zeros((4, 4, 4)), np.eye(4), r"array must have shape \(C, X, Y, Z\), got 3 dimensions"),
        (np.zeros((1, 1, 4, 4, 4)), np.eye(4), "got 5 dimensions"),
        (np.zeros((1, 4, 4, 4)), np.eye(3), r"finite 4x4 matrix, got shape \(3, 3\)"),
        (np.zeros((1, 4, 4, 4)), np.diag([1, np.nan, 1, 1]), "finite 4x4 matrix"),
        (np.zeros((1, 4, 4, 4)), np.diag([1, np.inf, 1, 1]), "finite 4x4 matrix"),
        (np.zeros((1, 4, 4, 4)), np.diag([1.0, 0, 1, 1]), "must be invertible"),
        (
            np.zeros((1, 4, 4, 4)),
            np.array([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
            "degenerate",
        ),
    ],
)
def test_an_invalid_volume_does_not_exist(array: np.ndarray, affine: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        Volume(array, affine)
