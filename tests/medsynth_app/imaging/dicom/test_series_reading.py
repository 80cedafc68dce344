"""Series that are no regular stack are refused by name; multi-frame images read like single ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medsynth_app.errors import InvalidValueError, UnsupportedKindError
from medsynth_app.imaging.dicom.series_reading import read_series
from medsynth_app.imaging.dicom.study_writing import write_study

Files = list[Path]


@pytest.fixture
def series(make_case: Any, tmp_path: Path) -> Files:
    write_study(make_case(sequences=("t1",)), tmp_path / "out")
    return sorted((tmp_path / "out").glob("*.dcm"))


def change(path: Path, **values: Any) -> None:
    image = dcmread(path)
    for key, value in values.items():
        setattr(image, key, value)
    image.save_as(path)


def remove_middle(files: Files) -> None:
    files.pop(3)


def double(files: Files) -> None:
    files.append(files[2])


def turn_one(files: Files) -> None:
    change(files[0], ImageOrientationPatient=[0, 1, 0, 0, 0, -1])


def forget_place(files: Files) -> None:
    image = dcmread(files[0])
    del image.ImagePositionPatient
    image.save_as(files[0])


def keep_one(files: Files) -> None:
    del files[1:]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (remove_middle, "T1: slices are missing: the distances are 2.50 to 5.00 mm"),
        (double, "T1: has several images at one place"),
        (turn_one, "T1: its images differ in direction or size"),
        (forget_place, "T1: an image does not tell its place"),
        (keep_one, "T1: has 1 image, at least 2 slices"),
        (lambda files: files.clear(), "T1: has 0 image"),
    ],
)
def test_irregular_series_are_refused(series: Files, spoil: Callable[[Files], None], complaint: str) -> None:
    spoil(series)
    with pytest.raises(InvalidValueError, match=complaint):
        read_series(series, "T1")


def test_garbage_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"no image" * 100)
    with pytest.raises(UnsupportedKindError, match="series: not a DICOM file"):
        read_series([tmp_path / "a.dcm"])


def test_the_order_of_files_does_not_matter(series: Files) -> None:
    np.testing.assert_array_equal(read_series(series[::-1]).array, read_series(series).array)


def test_each_slice_has_its_own_rescale_slope(series: Files) -> None:
    before = read_series(series).array
    change(series[2], RescaleSlope="0.5", RescaleIntercept="3")
    after = read_series(series).array
    np.testing.assert_allclose(after[..., 2], before[..., 2] * 0.5 + 3)
    np.testing.assert_array_equal(after[..., 3], before[..., 3])


def test_a_multi_frame_image_reads_like_single_ones(series: Files, tmp_path: Path) -> None:
    expected = read_series(series)
    order = [3, 0, 1, 2, 7, 6, 5, 4]
    images = [dcmread(series[i]) for i in order]
    whole = copy.deepcopy(images[0])
    whole.NumberOfFrames = len(images)
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    whole.PerFrameFunctionalGroupsSequence = Sequence()
    for image in images:
        position, group = Dataset(), Dataset()
        position.ImagePositionPatient = image.ImagePositionPatient
        group.PlanePositionSequence = Sequence([position])
        whole.PerFrameFunctionalGroupsSequence.append(group)
    orientation, measures, transformation, shared = Dataset(), Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = whole.ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = whole.PixelSpacing, whole.SliceThickness
    transformation.RescaleSlope, transformation.RescaleIntercept = "1", "0"
    transformation.RescaleType = "US"
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PixelValueTransformationSequence = Sequence([transformation])
    whole.SharedFunctionalGroupsSequence = Sequence([shared])
    whole.PixelData = b"".join(image.PixelData for image in images)
    for key in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(whole, key)
    whole.save_as(tmp_path / "whole.dcm")
    found = read_series([tmp_path / "whole.dcm"])
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-6)
    np.testing.assert_array_equal(found.array, expected.array)
