"""Label maps as viewers' files, read back by other libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.label_writing import RESULT_ENDINGS, write_result

TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])


def read_back(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Array (X, Y, Z) and affine voxel -> RAS mm by nibabel or SimpleITK."""
    if ".nii" in path.name:
        image: Any = nib.load(path)
        return np.asarray(image.dataobj), image.affine
    picture = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.array(picture.GetDirection()).reshape(3, 3) * np.array(picture.GetSpacing())
    affine[:3, 3] = picture.GetOrigin()
    return sitk.GetArrayFromImage(picture).transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


@pytest.mark.parametrize("ending", RESULT_ENDINGS)
@pytest.mark.parametrize(
    ("axes", "spacing", "rotation"),
    [
        ("LPS", (1.0, 1.0, 1.0), None),
        ("RAS", (1.0, 1.0, 1.0), None),
        ("SLA", (0.9, 1.1, 2.0), None),
        ("PIR", (2.0, 1.0, 1.0), None),
        ("RAS", (1.0, 1.5, 2.0), TURN),
    ],
)
def test_every_kind_holds_values_and_place(
    tmp_path: Path, build: Any, ending: str, axes: str, spacing: tuple[float, float, float], rotation: Any
) -> None:
    head = build.head(axes, spacing, rotation=rotation)
    path = tmp_path / f"mask{ending}"
    write_result(head.labels, head.volume.affine, path)
    labels, affine = read_back(path)
    np.testing.assert_array_equal(labels, head.labels)
    assert labels.dtype == np.uint8
    np.testing.assert_allclose(affine, head.volume.affine, atol=1e-4)


@pytest.mark.parametrize("compress", [True, False])
def test_nrrd_is_compressed_where_wanted(tmp_path: Path, build: Any, compress: bool) -> None:
    head = build.head()
    write_result(head.labels, head.volume.affine, tmp_path / "m.nrrd", compress=compress)
    header, _, body = (tmp_path / "m.nrrd").read_bytes().partition(b"\n\n")
    assert (b"encoding: gzip" in header) is compress
    if not compress:
        assert body == head.labels.tobytes(order="F"), "OHIF reads these bytes as they are"
    np.testing.assert_array_equal(read_back(tmp_path / "m.nrrd")[0], head.labels)


def test_same_labels_give_the_same_bytes(tmp_path: Path, build: Any) -> None:
    head = build.head()
    for name in ("a.nrrd", "b.nrrd"):
        write_result(head.labels, head.volume.affine, tmp_path / name)
    assert (tmp_path / "a.nrrd").read_bytes() == (tmp_path / "b.nrrd").read_bytes()


def test_segmentation_file_names_every_label_also_an_absent_one(tmp_path: Path) -> None:
    write_result(np.zeros((4, 5, 6), np.uint8), np.eye(4), tmp_path / "m.seg.nrrd")
    picture = sitk.ReadImage(str(tmp_path / "m.seg.nrrd"))
    fields = {key: picture.GetMetaData(key) for key in picture.GetMetaDataKeys()}
    for index, name in enumerate(("necrotic_core", "edema", "enhancing_tumor")):
        assert fields[f"Segment{index}_Name"] == name
        assert fields[f"Segment{index}_LabelValue"] == str(index + 1)
        assert fields[f"Segment{index}_Extent"] == "0 3 0 4 0 5"
        assert len(fields[f"Segment{index}_Color"].split()) == 3


@pytest.mark.parametrize("name", ["m.png", "m.dcm", "m", "nrrd"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidValueError, match="result_extension: .* must be one of"):
        write_result(np.zeros((2, 2, 2), np.uint8), np.eye(4), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
