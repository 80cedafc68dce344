"""Label maps that come from outside: brought to MedSynth's values on the image's own grid, or refused."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from medsynth_app.errors import InvalidValueError, UnsupportedKindError
from medsynth_app.imaging.geometry import corner_distance
from medsynth_app.imaging.labels import canonical_labels, read_submitted_label, renumber, write_label
from medsynth_app.imaging.volume import Volume

NAMES = ("necrotic_core", "edema", "enhancing_tumor")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 2, 4], [0, 1, 2, 3]),
        ([0, 1, 2, 3], [0, 1, 2, 3]),
        ([4, 4], [3, 3]),
        ([0, 0], [0, 0]),
        ([2], [2]),
    ],
)
def test_labels_of_any_brats_year_become_the_same(
    dtype: type, values: list[int], expected: list[int]
) -> None:
    source = np.array(values, dtype=dtype)
    result = canonical_labels(source)
    assert result.dtype == np.uint8
    assert result.tolist() == expected
    assert source.tolist() == values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 5], r"seg: holds the values \[5.0\], allowed are \[0, 1, 2, 3, 4\]"),
        ([-1, 1], r"\[-1.0\]"),
        ([0.5, 1], r"\[0.5\]"),
        ([np.nan, 1], r"\[nan\]"),
        ([257], r"\[257.0\]"),
        ([0, 3, 4], "seg: holds both 3 and 4; either may mean enhancing tumour, not both"),
        (list(range(100)), r"\[5.0, 6.0, 7.0, 8.0, 9.0\]"),
    ],
)
def test_strange_values_are_refused(values: list[float], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        canonical_labels(np.array(values), "seg")


def test_segments_are_matched_by_name_not_by_number() -> None:
    labels = np.array([0, 1, 2, 3])
    assert renumber(labels, ["enhancing_tumor", "necrotic_core", "edema"]).tolist() == [0, 3, 1, 2]
    assert renumber(labels, ["Edema", " Necrotic core ", "ENHANCING_TUMOR"]).tolist() == [0, 2, 1, 3]
    assert renumber(np.array([0, 2]), ["unused scribble", "edema"]).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([1], ["skull"], "segment 'skull' is none of necrotic_core, edema, enhancing_tumor"),
        ([3], ["edema"], "value 3 has no segment, 1 are named"),
    ],
)
def test_unknown_segments_are_refused(labels: list[int], names: list[str], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        renumber(np.array(labels), names)


@pytest.mark.parametrize("axes", ["LPS", "SAR", "PIR"])
def test_a_label_in_another_voxel_order_is_turned_to_its_image(
    tmp_path: Path, build: Any, head: Any, axes: str
) -> None:
    other = build.head(axes)
    path = build.write_nifti(tmp_path / "label.nii.gz", other.labels, other.volume.affine)
    np.testing.assert_array_equal(read_submitted_label(path, head.volume), head.labels)


def test_a_label_on_a_diagonal_grid_is_left_as_it_is(tmp_path: Path, build: Any) -> None:
    head = build.head("RAS", rotation=Rotation.from_euler("z", 45, degrees=True).as_matrix())
    path = build.write_nifti(tmp_path / "label.nii.gz", head.labels, head.volume.affine)
    np.testing.assert_array_equal(read_submitted_label(path, head.volume), head.labels)


def test_the_viewers_segment_order_is_taken_into_account(tmp_path: Path, build: Any, head: Any) -> None:
    swapped = np.choose(head.labels, [0, 3, 1, 2]).astype(np.uint8)
    path = build.write_nifti(tmp_path / "label.nii.gz", swapped, head.volume.affine)
    names = ("edema", "enhancing_tumor", "necrotic_core")
    np.testing.assert_array_equal(read_submitted_label(path, head.volume, names), head.labels)
    brats = np.where(head.labels == 3, 4, head.labels).astype(np.uint8)
    path = build.write_nifti(tmp_path / "brats.nii.gz", brats, head.volume.affine)
    np.testing.assert_array_equal(read_submitted_label(path, head.volume, NAMES), head.labels)


@pytest.mark.parametrize("fault", ["shape", "position", "channels", "garbage"])
def test_a_label_of_another_image_is_refused(tmp_path: Path, build: Any, head: Any, fault: str) -> None:
    labels, affine = head.labels, head.volume.affine.copy()
    path = tmp_path / "label.nii.gz"
    if fault == "garbage":
        path.write_bytes(b"garbage")
        with pytest.raises(UnsupportedKindError, match="^case_7 label: not a readable"):
            read_submitted_label(path, head.volume, name="case_7 label")
        return
    if fault == "shape":
        labels = labels[:-1]
    elif fault == "position":
        affine[2, 3] += 2.0
    else:
        labels = np.stack([labels, labels], axis=-1)
    build.write_nifti(path, labels, affine)
    words = {"shape": "shape", "position": r"corners 2\.0 mm apart", "channels": "has 2 channels"}
    with pytest.raises(InvalidValueError, match=f"^case_7 label: .*{words[fault]}"):
        read_submitted_label(path, head.volume, name="case_7 label")


def test_a_label_needs_only_the_grid_of_its_image(tmp_path: Path, build: Any, head: Any) -> None:
    path = build.write_nifti(tmp_path / "label.nii.gz", head.labels, head.volume.affine)
    grid = Volume(np.zeros((1, *head.labels.shape), dtype=np.uint8), head.volume.affine)
    np.testing.assert_array_equal(read_submitted_label(path, grid), head.labels)
    assert nib.load(path).shape == head.labels.shape


def test_rounding_of_a_viewer_is_no_other_grid(tmp_path: Path, build: Any, head: Any) -> None:
    path = build.write_nifti(tmp_path / "l.nii.gz", head.labels, head.volume.affine + np.eye(4, k=3) * 0.3)
    np.testing.assert_array_equal(read_submitted_label(path, head.volume), head.labels)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SLA"])
def test_written_label_has_equal_forms(tmp_path: Path, build: Any, axes: str) -> None:
    head = build.head(axes)
    write_label(head.labels, head.volume.affine, tmp_path / "deep" / "l.nii.gz")
    image: Any = nib.load(tmp_path / "deep" / "l.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), head.labels)
    np.testing.assert_allclose(image.get_sform(), head.volume.affine, atol=1e-5)
    assert corner_distance(image.get_qform(), image.get_sform(), image.shape) < 0.01
    assert image.header.get_xyzt_units()[0] == "mm"


def test_sheared_grid_is_stored_without_a_contradicting_qform(tmp_path: Path, head: Any) -> None:
    affine = head.volume.affine.copy()
    affine[0, 1] += 0.4
    write_label(head.labels, affine, tmp_path / "l.nii.gz")
    image: Any = nib.load(tmp_path / "l.nii.gz")
    np.testing.assert_allclose(image.affine, affine, atol=1e-5)
    assert int(image.header["qform_code"]) == 0


def test_many_writers_of_one_label_leave_a_whole_file_and_no_other(tmp_path: Path, head: Any) -> None:
    path = tmp_path / "l.nii.gz"
    faults: list[Exception] = []

    def write() -> None:
        try:
            write_label(head.labels, head.volume.affine, path)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test reports it
            faults.append(error)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert list(tmp_path.iterdir()) == [path]
    np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), head.labels)  # type: ignore[attr-defined]


def test_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, head: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "l.nii.gz"
    path.write_bytes(b"old")

    def full_disk(image: Any, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nib, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_label(head.labels, head.volume.affine, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
