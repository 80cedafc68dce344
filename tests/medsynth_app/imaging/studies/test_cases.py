"""Which file of a case folder is which sequence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError, UnsupportedKindError
from medsynth_app.imaging.studies.cases import CaseFiles, case_in_folder, find_cases, image_stem, sequence_of

ALL = ("flair", "t1", "t1ce", "t2")


@pytest.mark.parametrize(
    ("file_name", "stem"),
    [
        ("a.nii.gz", "a"), ("a.NII.GZ", "a"), ("a.nii", "a"), ("a.nrrd", "a"), ("a.seg.nrrd", "a"),
        ("patient.1.2.nii.gz", "patient.1.2"), ("patient.1.2.nii", "patient.1.2"),
    ],
)  # fmt: skip
def test_only_the_image_ending_leaves_a_name(file_name: str, stem: str) -> None:
    assert image_stem(file_name) == stem


@pytest.mark.parametrize(
    ("file_name", "kind"),
    [
        ("X_flair.nii.gz", "flair"), ("X_t1.nii.gz", "t1"), ("X_t1ce.nii.gz", "t1ce"), ("X_t2.nii", "t2"),
        ("X-t2f.nii.gz", "flair"), ("X-t1n.nii.gz", "t1"), ("X-t1c.nii.gz", "t1ce"), ("X-t2w.nii.gz", "t2"),
        ("X_seg.nii.gz", "label"), ("X-seg.nii.gz", "label"), ("X_FLAIR.NII.GZ", "flair"),
        ("flair.nii.gz", "flair"), ("X_t1c.nii.gz", "t1ce"), ("X_dwi.nii.gz", None), ("X.nii.gz", None),
        ("X_T1GD.nii.gz", "t1ce"), ("X_t2_flair.nii.gz", "flair"), ("X.seg.nrrd", "label"), ("X_0001.nii.gz", None),
        ("W39_1998.09.19_Segm.nii", "label"), ("brain_mask.nii.gz", None), ("X_CT1.nii.gz", None),
        ("sub-01_ses-1_T1w.nii.gz", "t1"), ("sub-01_ce-GADOLINIUM_T1w.nii.gz", "t1ce"),
        ("sub-01_ce-GADOLINIUM_FLAIR.nii.gz", None), ("sub-01_ce-none_T1w.nii.gz", "t1"),
        ("A_t1_B.nii.gz", None), ("a.b_t1ce.nii.gz", "t1ce"),
    ],
)  # fmt: skip
def test_a_file_name_tells_its_sequence(file_name: str, kind: str | None) -> None:
    assert sequence_of(file_name) == kind


@pytest.mark.parametrize("naming", ["brats2021", "brats2023"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_case_folder_is_read_in_channel_order(
    tmp_path: Path, build: Any, head: Any, naming: str, ending: str
) -> None:
    case = case_in_folder(build.write_case(tmp_path, "A.b_1", naming=naming, ending=ending))
    assert case is not None
    assert (case.name, set(case.sequences), case.missing(ALL)) == ("A.b_1", set(ALL), [])
    assert case.label is not None
    volume = case.read()
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, head.volume.array.astype(np.int16))
    np.testing.assert_allclose(volume.affine, head.volume.affine)
    np.testing.assert_array_equal(case.read(["t2", "flair"]).array, volume.array[[3, 0]])


@pytest.mark.parametrize(
    ("left_out", "wanted", "message"),
    [
        (("t1",), ALL, "case_1: missing sequence t1; needed are flair, t1, t1ce, t2, found flair, t1ce, t2"),
        (("t1", "t2"), ALL, "missing sequence t1, t2; "),
        (("t1ce",), ("flair", "t1ce"), "missing sequence t1ce; needed are flair, t1ce"),
    ],
)
def test_a_missing_sequence_is_named(
    tmp_path: Path, build: Any, left_out: tuple[str, ...], wanted: tuple[str, ...], message: str
) -> None:
    case = case_in_folder(build.write_case(tmp_path, leave_out=left_out))
    assert case is not None
    with pytest.raises(InvalidValueError, match=message) as caught:
        case.read(wanted)
    assert caught.value.code == "missing_sequence"


def test_one_missing_sequence_may_be_blank(tmp_path: Path, build: Any) -> None:
    whole = case_in_folder(build.write_case(tmp_path / "whole"))
    lacking = case_in_folder(build.write_case(tmp_path / "lacking", leave_out=("t1",)))
    assert whole is not None
    assert lacking is not None
    expected = whole.read(ALL).array.copy()
    expected[1] = 0
    np.testing.assert_array_equal(lacking.read(ALL, blanks=1).array, expected)


@pytest.mark.parametrize(("left_out", "wanted"), [(("t1", "t2"), ALL), (("t1",), ("t1",))])
def test_more_blanks_than_allowed_or_nothing_but_blanks_are_refused(
    tmp_path: Path, build: Any, left_out: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    case = case_in_folder(build.write_case(tmp_path, leave_out=left_out))
    assert case is not None
    with pytest.raises(InvalidValueError, match="missing sequence t1"):
        case.read(wanted, blanks=1)


def test_a_sequence_nobody_needs_may_be_missing(tmp_path: Path, build: Any) -> None:
    case = case_in_folder(build.write_case(tmp_path, leave_out=("t1",)))
    assert case is not None
    assert case.read(["flair", "t1ce", "t2"]).array.shape[0] == 3


def test_an_empty_case_names_what_is_missing() -> None:
    with pytest.raises(InvalidValueError, match="found none"):
        CaseFiles("ghost").read()


def test_files_of_two_heads_do_not_make_a_case(tmp_path: Path, build: Any) -> None:
    folder = build.write_case(tmp_path)
    other = build.head("LPS")
    build.write_nifti(folder / "case_1_t2.nii.gz", other.volume.array[3], other.volume.affine)
    case = case_in_folder(folder)
    assert case is not None
    with pytest.raises(InvalidValueError, match="case_1 t2: its grid .* differs from case_1 flair"):
        case.read()


def test_a_broken_file_is_named_by_case_and_sequence(tmp_path: Path, build: Any) -> None:
    folder = build.write_case(tmp_path)
    (folder / "case_1_t1ce.nii.gz").write_bytes(b"garbage")
    case = case_in_folder(folder)
    assert case is not None
    with pytest.raises(UnsupportedKindError, match="^case_1 t1ce: not a readable NIfTI file"):
        case.read()


def test_a_4d_file_is_a_case(tmp_path: Path, build: Any, head: Any) -> None:
    path = build.write_nifti(tmp_path / "m.nii.gz", np.moveaxis(head.volume.array, 0, -1), head.volume.affine)
    case = CaseFiles("m", combined=path)
    assert case.missing(ALL) == []
    np.testing.assert_array_equal(case.read().array, head.volume.array)
    np.testing.assert_array_equal(case.read(["t1ce"]).array, head.volume.array[2:3])


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_a_4d_file_with_another_number_of_channels_is_refused(
    tmp_path: Path, build: Any, channels: int
) -> None:
    path = build.write_nifti(tmp_path / "m.nii.gz", np.ones((8, 8, 8, channels), dtype=np.int16), np.eye(4))
    with pytest.raises(InvalidValueError, match=rf"m: must have 4 channels .* has {channels}"):
        CaseFiles("m", combined=path).read()


def test_an_unknown_sequence_of_a_4d_file_is_missing(tmp_path: Path) -> None:
    case = CaseFiles("m", combined=tmp_path / "m.nii.gz")
    with pytest.raises(InvalidValueError, match="missing sequence dwi"):
        case.read(["flair", "dwi"])


def test_only_files_that_can_be_images_count(tmp_path: Path, build: Any) -> None:
    folder = build.write_case(tmp_path, leave_out=("t2",), with_label=False)
    (folder / "case_1_t2.nii.gz").mkdir()
    (folder / "._case_1_t2.nii.gz").write_bytes(b"resource fork")
    (folder / "case_1_t2.txt").write_text("notes")
    case = case_in_folder(folder)
    assert case is not None
    assert case.missing(ALL) == ["t2"]
    assert case.label is None


@pytest.mark.parametrize("names", [[], ["notes.txt"], ["scan.nii.gz"], ["only_seg.nii.gz"]])
def test_a_folder_without_a_sequence_is_no_case(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    assert case_in_folder(tmp_path) is None


def test_cases_are_found_sorted_and_others_passed_over(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden", "empty"):
        (tmp_path / name).mkdir()
        if name != "empty":
            (tmp_path / name / f"{name}_flair.nii.gz").write_bytes(b"x")
    assert [case.name for case in find_cases(tmp_path)] == ["a", "b"]


def test_the_folder_itself_may_be_the_case(tmp_path: Path, build: Any) -> None:
    folder = build.write_case(tmp_path)
    assert [case.name for case in find_cases(folder)] == ["case_1"]


def test_many_case_folders_are_listed_quickly(tmp_path: Path) -> None:
    for number in range(300):
        folder = tmp_path / f"case_{number:03d}"
        folder.mkdir()
        for suffix in ("_flair", "_t1", "_t1ce", "_t2", "_seg"):
            (folder / f"case_{number:03d}{suffix}.nii.gz").touch()
    cases = find_cases(tmp_path)
    assert len(cases) == 300
    assert all(not case.missing(ALL) and case.label for case in cases)


@pytest.mark.parametrize("name", ["absent", "file"])
def test_what_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidValueError, match=rf"^cases: '{name}' is not a folder$"):
        find_cases(tmp_path / name)


def test_a_folder_without_cases_is_refused_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidValueError, match="no BraTS-style case .*expected CASE/CASE_flair.nii.gz"
    ) as caught:
        find_cases(tmp_path)
    assert str(tmp_path.parent) not in caught.value.message


def test_the_files_that_are_used_are_named_with_a_reason(tmp_path: Path, build: Any) -> None:
    case = case_in_folder(build.write_case(tmp_path, "A", leave_out=("t2",)))
    assert case is not None
    assert case.series_used() == {
        name: {"file": f"A_{name}.nii.gz", "why": "name of the file"} for name in ("flair", "t1", "t1ce")
    }
    assert list(case.series_used(["t1ce", "t2"])) == ["t1ce"]
    whole = CaseFiles("B", combined=tmp_path / "B.nii.gz")
    assert whole.series_used(["t1"]) == {
        "t1": {"file": "B.nii.gz", "why": "channel 2 of 4 (flair, t1, t1ce, t2)"}
    }
    named = CaseFiles("C", {"t1": tmp_path / "x.nii.gz"}, origins={"t1": {"series": 4, "why": "protocol 'T1'"}})
    assert named.series_used() == {"t1": {"series": 4, "why": "protocol 'T1'"}}
