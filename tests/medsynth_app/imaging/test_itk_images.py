"""Arrays and transforms cross the border to SimpleITK and come back the same."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from medsynth_app.imaging.itk_images import (
    affine_about,
    affine_from_itk,
    as_affine,
    centroid_lps,
    composed,
    field_from_itk,
    from_itk,
    matrix_of,
    shrunk,
    similarity_about,
    to_itk,
    volume_ml,
)
from medsynth_app.imaging.volume import Volume

LPS = np.array([-1.0, -1.0, 1.0])


@pytest.fixture
def affine() -> np.ndarray:
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    turn[:3, 3] = (12.0, -7.0, 30.0)
    return turn @ np.diag([-1.0, 1.5, 2.0, 1.0])


def test_voxels_and_affine_come_back(affine: np.ndarray) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    image = to_itk(array, affine)
    np.testing.assert_array_equal(from_itk(image), array)
    np.testing.assert_allclose(affine_from_itk(image), affine, atol=1e-9)
    point = np.array(image.TransformIndexToPhysicalPoint((1, 2, 3))) * LPS
    np.testing.assert_allclose(point, (affine @ (1, 2, 3, 1))[:3])


def test_matrix_comes_back_from_any_centre() -> None:
    matrix = np.eye(4)
    matrix[:3] = np.random.default_rng(0).normal(size=(3, 4))
    transform = affine_about(matrix, np.array([10.0, 20.0, -5.0]))
    np.testing.assert_allclose(matrix_of(transform), matrix, atol=1e-9)
    moved = np.array(transform.TransformPoint((-1.0, -2.0, 3.0))) * LPS
    np.testing.assert_allclose(moved, (matrix @ (1, 2, 3, 1))[:3])


def test_similarity_moves_its_centre_onto_the_target() -> None:
    center, target = np.array([5.0, 6.0, 7.0]), np.array([1.0, 0.0, -1.0])
    transform = similarity_about(center, target, np.eye(3), 1.2)
    np.testing.assert_allclose(transform.TransformPoint(center.tolist()), target)
    np.testing.assert_allclose(matrix_of(as_affine(transform)), matrix_of(transform))
    assert np.linalg.det(matrix_of(transform)[:3, :3]) == pytest.approx(1.2**3)


def test_shrinking_keeps_place_and_volume() -> None:
    mask = np.zeros((12, 12, 12), np.float32)
    mask[4:8, 2:6, 6:10] = 1
    image = to_itk(mask, np.diag([1.0, 1.0, 2.0, 1.0]))
    small = shrunk(image, 2.0)
    assert small.GetSize() == (6, 6, 12)
    np.testing.assert_allclose(centroid_lps(small, from_itk(small) > 0.5), centroid_lps(image, mask > 0))
    assert volume_ml(small, from_itk(small) > 0.5) == pytest.approx(0.128)


def test_displacement_comes_before_the_affine() -> None:
    vectors = np.zeros((3, 6, 6, 6), np.float32)
    vectors[0], vectors[1] = 2.0, -1.0
    field = Volume(vectors, np.eye(4))
    matrix = np.diag([3.0, 3.0, 3.0, 1.0])
    moved = np.array(composed(matrix, field).TransformPoint((-2.0, -2.0, 2.0))) * LPS
    np.testing.assert_allclose(moved, 3 * (np.array([2.0, 2.0, 2.0]) + (2.0, -1.0, 0.0)))


def test_displacement_field_comes_back_in_ras() -> None:
    array = np.zeros((2, 3, 4, 3))
    array[..., 0], array[..., 2] = 1.0, 5.0
    field = field_from_itk(sitk.GetImageFromArray(array, isVector=True))
    assert field.array.shape == (3, 4, 3, 2)
    np.testing.assert_allclose(field.array[:, 0, 0, 0], (-1.0, 0.0, 5.0))
