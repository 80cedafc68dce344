"""The number of an image's voxels: the same after any rewrite, another one for any other image."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from medsynth_app.imaging.provenance.voxel_digest import channel_digests, voxel_digest
from medsynth_app.imaging.reading import read_volume


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1000, (9, 9, 11)).astype(np.int16)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", list(itertools.product((1, -1), repeat=3)))
def test_the_same_in_all_48_orientations(image: np.ndarray, order: tuple[int, ...], flips: tuple[int, ...]) -> None:
    turned = image[:: flips[0], :: flips[1], :: flips[2]].transpose(order)
    assert voxel_digest(turned) == voxel_digest(image)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32, np.float64, ">f4"])
def test_the_same_in_any_voxel_type(image: np.ndarray, kind: object) -> None:
    assert voxel_digest(image.astype(kind)) == voxel_digest(image)


def test_another_one_for_one_other_voxel_or_shape(image: np.ndarray) -> None:
    other = image.copy()
    other[3, 4, 5] += 1
    assert voxel_digest(other) != voxel_digest(image)
    assert voxel_digest(image[:-1]) != voxel_digest(image)
    assert voxel_digest(image.reshape(11, 9, 9)) != voxel_digest(image)


@pytest.mark.parametrize("values", [0, 5, 7])
def test_masks_and_blank_sequences_have_none(values: int) -> None:
    array = np.random.default_rng(1).integers(0, values, (8, 8, 8)) if values else np.zeros((8, 8, 8))
    assert voxel_digest(array) == ""


def test_minus_zero_is_zero() -> None:
    array = np.linspace(0, 1, 64, dtype=np.float32).reshape(4, 4, 4)
    other = array.copy()
    other[0, 0, 0] = -0.0
    assert voxel_digest(other) == voxel_digest(array)


def test_a_colour_picture_turned_and_one_with_other_colours() -> None:
    picture = np.random.default_rng(2).integers(0, 255, (12, 9, 3)).astype(np.uint8)
    assert voxel_digest(np.rot90(picture)) == voxel_digest(picture)
    assert voxel_digest(picture[..., ::-1]) != voxel_digest(picture)


@pytest.mark.parametrize("ending", [".nrrd", ".nii", ".nii.gz"])
def test_the_same_through_simpleitk(image: np.ndarray, tmp_path: Path, ending: str) -> None:
    nib.save(nib.Nifti1Image(image, np.diag([1.0, 2.0, 3.0, 1.0])), tmp_path / "a.nii.gz")
    turned = sitk.DICOMOrient(sitk.ReadImage(str(tmp_path / "a.nii.gz")), "PSR")
    sitk.WriteImage(sitk.Cast(turned, sitk.sitkFloat32), str(tmp_path / f"b{ending}"))
    one, other = (channel_digests(read_volume(tmp_path / name)) for name in ("a.nii.gz", f"b{ending}"))
    assert one == other == (voxel_digest(image),)
