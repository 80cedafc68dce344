"""Label map -> DICOM SEG -> label map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from medsynth_app.errors import InvalidValueError, UnsupportedKindError
from medsynth_app.imaging.dicom.segmentation_object import (
    EmptySegmentationError,
    read_segmentation,
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
