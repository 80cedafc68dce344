"""Label map -> DICOM SEG -> label map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from medsynth_app.errors import InvalidValueError, UnsupportedKindError
from medsynth_app.imaging.dicom.segmentation_object import (
    EmptySegmentationError,
    read_segmentation,
    segmentation_label,
    write_segmentation,
)
from medsynth_app.imaging.dicom.series_reading import read_series
from medsynth_app.imaging.dicom.study_writing import write_study
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import TumorLabel


@pytest.fixture
def images(make_case: Any, tmp_path: Path) -> Path:
    write_study(make_case(sequences=("t1",), oblique=True), tmp_path / "images", synthetic=True)
    return tmp_path / "images"


@pytest.fixture
def volume(images: Path) -> Volume:
    return read_series(list(images.glob("*.dcm")))


@pytest.mark.parametrize("present", [(1, 2, 3), (2,), (1, 3), (3,)])
def test_round_trip_keeps_names_whichever_labels_are_there(
    images: Path, volume: Volume, tmp_path: Path, present: tuple[int, ...]
) -> None:
    labels = np.zeros(volume.spatial_shape, dtype=np.uint8)
    for label in present:
        labels[2 * label : 2 * label + 2, 3:6, label : label + 3] = label
    write_segmentation(labels, volume.affine, images, tmp_path / "seg.dcm", "a model", automatic=True)
    found = dcmread(tmp_path / "seg.dcm")
    assert [s.SegmentLabel for s in found.SegmentSequence] == [TumorLabel(n).label_name for n in present]
    assert found.SeriesDescription == "a model"
    assert found[0x0008001C].value == "YES"
    source = dcmread(images / "t1_0001.dcm")
    assert found.StudyInstanceUID == source.StudyInstanceUID
    assert found.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
    assert found.FrameOfReferenceUID == source.FrameOfReferenceUID
    np.testing.assert_array_equal(read_segmentation(tmp_path / "seg.dcm", volume), labels)


def test_an_empty_label_map_is_no_segmentation(images: Path, volume: Volume, tmp_path: Path) -> None:
    empty = np.zeros(volume.spatial_shape, dtype=np.uint8)
    with pytest.raises(EmptySegmentationError, match="no tumour voxel was found") as caught:
        write_segmentation(empty, volume.affine, images, tmp_path / "seg.dcm", "x", automatic=True)
    assert caught.value.status == 422
    assert not (tmp_path / "seg.dcm").exists()


def test_a_segmentation_of_another_image_is_refused(images: Path, volume: Volume, tmp_path: Path) -> None:
    labels = np.zeros(volume.spatial_shape, dtype=np.uint8)
    labels[4, 4, 4] = 1
    write_segmentation(labels, volume.affine, images, tmp_path / "seg.dcm", "x", automatic=False)
    moved = volume.affine.copy()
    moved[:3, 3] += 1.0
    with pytest.raises(InvalidValueError, match="lies beside the slices of its image"):
        read_segmentation(tmp_path / "seg.dcm", Volume(volume.array, moved))


def test_strange_segments_are_refused(images: Path, volume: Volume, tmp_path: Path) -> None:
    labels = np.zeros(volume.spatial_shape, dtype=np.uint8)
    labels[4, 4, 4] = 1
    write_segmentation(labels, volume.affine, images, tmp_path / "seg.dcm", "x", automatic=False)
    dataset = dcmread(tmp_path / "seg.dcm")
    dataset.SegmentSequence[0].SegmentLabel = "liver"
    dataset.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue = "10200004"
    dataset.save_as(tmp_path / "seg.dcm")
    with pytest.raises(InvalidValueError, match="none of its segments is one of necrotic_core, edema"):
        read_segmentation(tmp_path / "seg.dcm", volume)


def test_an_image_is_no_segmentation(images: Path, volume: Volume) -> None:
    with pytest.raises(UnsupportedKindError, match="not a readable DICOM SEG object"):
        read_segmentation(images / "t1_0001.dcm", volume)


# ---- objects of other tools --------------------------------------------------------------------------


@pytest.fixture
def binary(images: Path, volume: Volume, tmp_path: Path) -> Path:
    """An object with all three labels, as ``write_segmentation`` makes it."""
    labels = np.zeros(volume.spatial_shape, dtype=np.uint8)
    for label in (1, 2, 3):
        labels[2 * label : 2 * label + 2, 3:6, label : label + 3] = label
    write_segmentation(labels, volume.affine, images, tmp_path / "seg.dcm", "a model", automatic=True)
    return tmp_path / "seg.dcm"


def as_kind(path: Path, kind: str, frames: np.ndarray, **values: Any) -> None:
    """The same object with 8-bit frames of another kind."""
    dataset = dcmread(path)
    dataset.SegmentationType = kind
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = frames.astype(np.uint8).tobytes()
    for key, value in values.items():
        setattr(dataset, key, value)
    dataset.save_as(path)


@pytest.mark.parametrize(("largest", "low", "high"), [(255, 127, 128), (100, 49, 50), (1, 0, 1)])
def test_fractions_count_from_a_half_on(binary: Path, volume: Volume, largest: int, low: int, high: int) -> None:
    expected = read_segmentation(binary, volume)
    frames = dcmread(binary).pixel_array
    as_kind(binary, "FRACTIONAL", np.where(frames, high, low), MaximumFractionalValue=largest,
            SegmentationFractionalType="PROBABILITY")  # fmt: skip
    np.testing.assert_array_equal(read_segmentation(binary, volume), expected)


def test_fractions_without_a_largest_value_are_refused(binary: Path, volume: Volume) -> None:
    as_kind(binary, "FRACTIONAL", dcmread(binary).pixel_array)
    with pytest.raises(UnsupportedKindError, match="MaximumFractionalValue None must be above 0"):
        read_segmentation(binary, volume)


def test_a_label_map_object_is_read(binary: Path, volume: Volume) -> None:
    expected = read_segmentation(binary, volume)
    dataset = dcmread(binary)
    groups = dataset.PerFrameFunctionalGroupsSequence
    numbers = [group.SegmentIdentificationSequence[0].ReferencedSegmentNumber for group in groups]
    for group in groups:
        del group.SegmentIdentificationSequence
    dataset.save_as(binary)
    frames = dcmread(binary).pixel_array * np.array(numbers, np.uint8)[:, None, None]
    as_kind(binary, "LABELMAP", frames)
    np.testing.assert_array_equal(read_segmentation(binary, volume), expected)


@pytest.mark.parametrize("kind", ["", "SURFACE"])
def test_an_unknown_kind_is_refused_before_its_voxels_are_read(binary: Path, volume: Volume, kind: str) -> None:
    dataset = dcmread(binary)
    dataset.SegmentationType = kind
    del dataset.PixelData
    dataset.save_as(binary)
    with pytest.raises(UnsupportedKindError, match=f"SegmentationType '{kind}' must be one of BINARY, FRACTIONAL"):
        read_segmentation(binary, volume)


def break_off(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:10]


def forget_places(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[3:]


def forget_segment(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence


def forget_position(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence


def empty_segments(dataset: Dataset) -> None:
    dataset.SegmentSequence = None


def compress(dataset: Dataset) -> None:
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.PixelData = encapsulate([b"garbage!"] * int(dataset.NumberOfFrames))
    dataset["PixelData"].is_undefined_length = True


@pytest.mark.parametrize(
    "spoil", [break_off, forget_places, forget_segment, forget_position, empty_segments, compress]
)
def test_a_broken_object_is_no_defect(binary: Path, volume: Volume, spoil: Callable[[Dataset], None]) -> None:
    dataset = dcmread(binary)
    spoil(dataset)
    dataset.save_as(binary)
    with pytest.raises((UnsupportedKindError, InvalidValueError), match="^label: "):
        read_segmentation(binary, volume)


def test_overlapping_segments_are_told(binary: Path, volume: Volume) -> None:
    dataset = dcmread(binary)
    frames = dcmread(binary).pixel_array
    assert segmentation_label(binary, volume).warnings == ()
    frames[:, 3:6, 2:4] = 1
    dataset.PixelData = np.packbits(frames.astype(np.uint8).ravel(), bitorder="little").tobytes()
    dataset.save_as(binary)
    found = segmentation_label(binary, volume)
    assert len(found.warnings) == 1
    assert "label: segments overlap in" in found.warnings[0]
