"""Label map -> RT structure set -> label map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.path import Path as Polygon
from pydicom import dcmread

from medsynth_app.imaging.dicom.segmentation_object import EmptySegmentationError
from medsynth_app.imaging.dicom.series_reading import LPS_TO_RAS, read_series
from medsynth_app.imaging.dicom.structure_set import write_structure_set
from medsynth_app.imaging.dicom.study_writing import write_study
from medsynth_app.vocabulary import LABEL_NAMES


def drawn(path: Path, shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    """The contours filled by the even-odd rule, as a label map."""
    dataset = dcmread(path)
    names = {int(r.ROINumber): LABEL_NAMES[r.ROIName] for r in dataset.StructureSetROISequence}
    grid = np.stack(np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij"), -1).reshape(-1, 2)
    labels = np.zeros(shape, np.uint8)
    for region in dataset.ROIContourSequence:
        inside = np.zeros(shape, bool)
        for contour in region.ContourSequence:
            places = np.array([float(v) for v in contour.ContourData]).reshape(-1, 3)
            index = np.c_[places, np.ones(len(places))] @ (np.linalg.inv(affine) @ LPS_TO_RAS).T
            number = round(float(index[0, 2]))
            inside[:, :, number] ^= Polygon(index[:, :2]).contains_points(grid).reshape(shape[:2])
        labels[inside] = names[int(region.ReferencedROINumber)]
    return labels


def test_round_trip_on_oblique_slices_with_a_hole(make_case: Any, tmp_path: Path) -> None:
    write_study(make_case(sequences=("t1",), oblique=True), tmp_path / "images", synthetic=True)
    images = sorted((tmp_path / "images").glob("*.dcm"))
    volume = read_series(images)
    labels = np.zeros(volume.spatial_shape, np.uint8)
    labels[1:8, 1:8, 2:5] = 2
    labels[3:6, 3:6, 2:5] = 3
    labels[4, 4, 3] = 1
    write_structure_set(labels, volume.affine, images, tmp_path / "contours.dcm", "a model")
    np.testing.assert_array_equal(drawn(tmp_path / "contours.dcm", volume.spatial_shape, volume.affine), labels)
    found, source = dcmread(tmp_path / "contours.dcm"), dcmread(images[0])
    assert (found.Modality, found.StudyInstanceUID) == ("RTSTRUCT", source.StudyInstanceUID)
    assert found.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert found[0x0008001C].value == "YES"


def test_nothing_to_draw_is_told(make_case: Any, tmp_path: Path) -> None:
    write_study(make_case(sequences=("t1",)), tmp_path / "images")
    images = sorted((tmp_path / "images").glob("*.dcm"))
    volume = read_series(images)
    with pytest.raises(EmptySegmentationError, match="nothing to draw"):
        write_structure_set(np.zeros(volume.spatial_shape, np.uint8), volume.affine, images, tmp_path / "x.dcm", "m")
    assert not (tmp_path / "x.dcm").exists()
