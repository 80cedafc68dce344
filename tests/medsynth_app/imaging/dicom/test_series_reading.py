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


def shift(path: Path, millimetres: float) -> None:
    """Move one image along its rows, in its own plane."""
    image = dcmread(path)
    along = np.array([float(v) for v in image.ImageOrientationPatient[:3]])
    place = np.array([float(v) for v in image.ImagePositionPatient]) + millimetres * along
    image.ImagePositionPatient = [f"{v:.4f}" for v in place]
    image.save_as(path)


@pytest.mark.parametrize("index", [0, 3, 7])
@pytest.mark.parametrize("millimetres", [15.0, -1.0])
def test_a_slice_aside_in_its_plane_is_refused(series: Files, index: int, millimetres: float) -> None:
    shift(series[index], millimetres)
    words = rf"T1: slice \d of 8 lies {abs(millimetres):.1f} mm aside in its plane \(allowed: 0.5 mm\)"
    with pytest.raises(InvalidValueError, match=words):
        read_series(series, "T1")


def test_a_tilted_stack_is_read(series: Files) -> None:
    before = read_series(series)
    heights = [float(dcmread(path).ImagePositionPatient[2]) for path in series]
    for path, height in zip(series, heights):
        shift(path, 0.3 * (height - min(heights)))
    found = read_series(series)
    step = np.linalg.norm(found.affine[:3, 2] - before.affine[:3, 2])
    assert step == pytest.approx(0.3 * 2.5, abs=0.01)
    np.testing.assert_array_equal(found.array, before.array)


def test_rounded_positions_are_no_slice_aside(series: Files) -> None:
    for path in series:
        image = dcmread(path)
        image.ImagePositionPatient = [f"{float(v):.1f}" for v in image.ImagePositionPatient]
        image.save_as(path)
    assert read_series(series).spatial_shape[2] == 8


def test_mosaics_are_refused(series: Files) -> None:
    for path in series:
        change(path, ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"])
    with pytest.raises(InvalidValueError, match="T1: its images are mosaics of slices"):
        read_series(series, "T1")


ORDER = (3, 0, 1, 2, 7, 6, 5, 4)


def multi_frame(series: Files, path: Path, slopes: Any = None, shared_slope: Any = (1, 0)) -> Dataset:
    """The images as one Enhanced MR image, frames in another order; ``slopes``: (slope, intercept) a frame."""
    images = [dcmread(series[i]) for i in ORDER]
    whole = copy.deepcopy(images[0])
    whole.NumberOfFrames = len(images)
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    whole.PerFrameFunctionalGroupsSequence = Sequence()
    for index, image in enumerate(images):
        position, group = Dataset(), Dataset()
        position.ImagePositionPatient = image.ImagePositionPatient
        group.PlanePositionSequence = Sequence([position])
        if slopes is not None:
            group.PixelValueTransformationSequence = Sequence([transformation(*slopes[index])])
        whole.PerFrameFunctionalGroupsSequence.append(group)
    orientation, measures, shared = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = whole.ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = whole.PixelSpacing, whole.SliceThickness
    if slopes is None:
        shared.PixelValueTransformationSequence = Sequence([transformation(*shared_slope)])
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelMeasuresSequence = Sequence([measures])
    whole.SharedFunctionalGroupsSequence = Sequence([shared])
    whole.PixelData = b"".join(image.PixelData for image in images)
    for key in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(whole, key)
    whole.save_as(path)
    return whole


def transformation(slope: float, intercept: float) -> Dataset:
    found = Dataset()
    found.RescaleSlope, found.RescaleIntercept, found.RescaleType = str(slope), str(intercept), "US"
    return found


def test_a_multi_frame_image_reads_like_single_ones(series: Files, tmp_path: Path) -> None:
    expected = read_series(series)
    multi_frame(series, tmp_path / "whole.dcm")
    found = read_series([tmp_path / "whole.dcm"])
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-6)
    np.testing.assert_array_equal(found.array, expected.array)


def test_each_frame_has_its_own_slope(series: Files, tmp_path: Path) -> None:
    expected = read_series(series).array
    slopes = [(1.0 + 0.25 * place, float(place) - 3) for place in ORDER]
    multi_frame(series, tmp_path / "whole.dcm", slopes)
    found = read_series([tmp_path / "whole.dcm"]).array
    for place in range(len(ORDER)):
        wanted = expected[..., place] * (1.0 + 0.25 * place) + place - 3
        np.testing.assert_allclose(found[..., place], wanted, rtol=1e-6)


def test_a_slope_of_all_frames(series: Files, tmp_path: Path) -> None:
    multi_frame(series, tmp_path / "whole.dcm", shared_slope=(0.5, 7))
    expected = read_series(series).array
    np.testing.assert_allclose(read_series([tmp_path / "whole.dcm"]).array, expected * 0.5 + 7)


def test_images_of_one_frame_each_with_groups(series: Files, tmp_path: Path) -> None:
    """Some scanners write an Enhanced MR image for each slice."""
    expected = read_series(series).array
    paths = []
    for index in range(len(series)):
        whole = multi_frame(series, tmp_path / "whole.dcm", [(2.0, index)] * 8)
        size = whole.Rows * whole.Columns * 2
        whole.NumberOfFrames = 1
        whole.PerFrameFunctionalGroupsSequence = Sequence([whole.PerFrameFunctionalGroupsSequence[index]])
        whole.PixelData = whole.PixelData[index * size : (index + 1) * size]
        whole.file_meta.MediaStorageSOPInstanceUID = whole.SOPInstanceUID = f"1.2.3.{index}"
        paths.append(tmp_path / f"{index}.dcm")
        whole.save_as(paths[-1])
    found = read_series(paths).array
    for index, place in enumerate(ORDER):
        np.testing.assert_allclose(found[..., place], expected[..., place] * 2 + index)


@pytest.mark.parametrize(
    ("sequence", "key", "value"),
    [("PlaneOrientationSequence", "ImageOrientationPatient", [0, 1, 0, 0, 0, -1]),
     ("PixelMeasuresSequence", "PixelSpacing", [2, 2])],
)  # fmt: skip
def test_frames_that_differ_are_refused(series: Files, tmp_path: Path, sequence: str, key: str, value: Any) -> None:
    whole = multi_frame(series, tmp_path / "whole.dcm")
    own = Dataset()
    setattr(own, key, value)
    setattr(whole.PerFrameFunctionalGroupsSequence[2], sequence, Sequence([own]))
    whole.save_as(tmp_path / "whole.dcm")
    with pytest.raises(InvalidValueError, match="its images differ in direction or size"):
        read_series([tmp_path / "whole.dcm"])


def test_fewer_frames_than_told_are_no_defect(series: Files, tmp_path: Path) -> None:
    whole = multi_frame(series, tmp_path / "whole.dcm")
    whole.PixelData = whole.PixelData[: whole.Rows * whole.Columns * 2 * 5]
    whole.save_as(tmp_path / "whole.dcm")
    with pytest.raises(UnsupportedKindError, match="a file ends too early"):
        read_series([tmp_path / "whole.dcm"])


def test_a_file_cut_off_is_refused(series: Files) -> None:
    series[2].write_bytes(series[2].read_bytes()[:-20])
    with pytest.raises(UnsupportedKindError, match="T1: a file ends too early: .* of 240 bytes of voxels"):
        read_series(series, "T1")
