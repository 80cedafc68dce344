"""Cases of a studies folder by names alone, and the files of one when it is opened."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError, UnsupportedKindError
from medsynth_app.imaging.studies.case_listing import list_studies
from medsynth_app.imaging.studies.studies import (
    Study,
    case_name,
    check_case_name,
    display_file,
    open_study,
    scan_studies,
)
from medsynth_app.vocabulary import Modality

SEQUENCES = [m.value for m in Modality]


def write_stacked(path: Path, build: Any, head: Any) -> Path:
    return build.write_nifti(path, np.moveaxis(head.volume.array, 0, 3).astype(np.int16), head.volume.affine)


@pytest.mark.parametrize("name", ["a", "_", "BraTS-GLI-00001-000", "sub.001", "1.2.840.1", "x" * 128])
def test_case_names_pass(name: str) -> None:
    assert check_case_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".a", "-a", "a/b", "a\\b", "a b", "a\n", "ä", "x" * 129, None, 3, ["a"], b"a", "a\0"],
)
def test_other_names_are_refused(name: object) -> None:
    with pytest.raises(InvalidValueError, match="label: .* is not a case name; allowed are 1 to 128"):
        check_case_name(name, "label")


@pytest.mark.parametrize(
    ("file_name", "name"),
    [("a b.c", "a_x20_b.c"), ("Köpf", "K_xF6_pf"), (".x", "_x2E_x"), ("-x", "_x2D_x"), ("a_x5", "a_x5"),
     ("a_x5F_", "a_x5F_x5F_"), ("김", "_xAE40_")],
)
def test_file_names_become_case_names(file_name: str, name: str) -> None:
    assert case_name(file_name) == name
    assert check_case_name(name) == name


@pytest.mark.parametrize("naming", ["brats2021", "brats2023"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_case_folders_are_found(tmp_path: Path, build: Any, naming: str, ending: str) -> None:
    build.write_case(tmp_path, "one", naming=naming, ending=ending)
    studies = scan_studies(tmp_path)
    assert studies == {"one": Study("one", tmp_path / "one", True)}
    case = open_study(studies["one"])
    assert list(case.sequences) == sorted(case.sequences, key=lambda m: case.sequences[m].name)
    assert set(case.sequences) == set(SEQUENCES)
    assert case.label is not None


def test_scan_is_sorted_and_passes_over_what_is_no_case(tmp_path: Path, build: Any, head: Any) -> None:
    for name in ("b.nii.gz", "a.1.nii", "c_seg.nii.gz", ".d.nii.gz", "labels/e.nii.gz", "model/f_t1.nii.gz"):
        build.write_nifti(tmp_path / name, head.labels, head.volume.affine)
    (tmp_path / "picture.png").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "only_label").mkdir()
    (tmp_path / "only_label" / "only_label_seg.nii.gz").touch()
    assert list(scan_studies(tmp_path)) == ["a.1", "b", "picture"]


def test_folder_goes_before_a_file_of_the_same_name(
    tmp_path: Path, build: Any, head: Any, caplog: pytest.LogCaptureFixture
) -> None:
    build.write_case(tmp_path, "twice", head)
    write_stacked(tmp_path / "twice.nii.gz", build, head)
    assert scan_studies(tmp_path)["twice"].is_folder
    assert "passed over: twice.nii.gz: has the name 'twice' as twice has" in caplog.text


def test_stacked_file_holds_all_sequences(tmp_path: Path, build: Any, head: Any) -> None:
    write_stacked(tmp_path / "s.nii.gz", build, head)
    case = open_study(scan_studies(tmp_path)["s"])
    assert case.combined == tmp_path / "s.nii.gz"
    np.testing.assert_array_equal(case.read().array, head.volume.array.astype(np.int16))


@pytest.mark.parametrize("suffixes", [0, 1])
def test_flat_files_find_each_other(tmp_path: Path, build: Any, head: Any, suffixes: int) -> None:
    for modality, channel in zip(Modality, head.volume.array):
        name = f"X.1{modality.file_suffixes[suffixes]}.nii.gz"
        build.write_nifti(tmp_path / name, channel.astype(np.int16), head.volume.affine)
    studies = scan_studies(tmp_path)
    assert len(studies) == 4
    for study in studies.values():
        case = open_study(study, studies)
        assert set(case.sequences) == set(SEQUENCES)
        assert len(set(case.sequences.values())) == 4
    alone = open_study(next(iter(studies.values())))
    assert len(alone.sequences) == 1


def test_single_volume_has_no_sequence(tmp_path: Path, build: Any, head: Any) -> None:
    build.write_nifti(tmp_path / "v.nii.gz", head.volume.array[0], head.volume.affine)
    case = open_study(scan_studies(tmp_path)["v"])
    with pytest.raises(InvalidValueError, match="missing sequence flair, t1, t1ce, t2; .* found none"):
        case.read()


@pytest.mark.parametrize("kind", ["folder", "file", "emptied folder"])
def test_case_whose_files_are_gone_is_called_so(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "gone"
    if kind == "emptied folder":
        folder.mkdir()
    with pytest.raises(InvalidValueError, match="case gone: its f") as caught:
        open_study(Study("gone", folder, kind != "file"))
    assert caught.value.code == "case_gone"


def test_display_sequence_of_each_kind(tmp_path: Path, build: Any, head: Any) -> None:
    build.write_case(tmp_path, "folder", head, leave_out=("flair",))
    write_stacked(tmp_path / "stacked.nii.gz", build, head)
    build.write_nifti(tmp_path / "plain.nii.gz", head.volume.array[0], head.volume.affine)
    studies = scan_studies(tmp_path)

    def shown(name: str, modality: str | None) -> Path:
        return display_file(studies[name], open_study(studies[name]), modality, tmp_path / "cache")

    assert shown("folder", None).name == "folder_t1.nii.gz", "the first there is where FLAIR is missing"
    assert shown("folder", "t2").name == "folder_t2.nii.gz"
    with pytest.raises(InvalidValueError, match="case folder has no flair, it has t1, t1ce, t2"):
        shown("folder", "flair")
    assert shown("plain", None) == tmp_path / "plain.nii.gz"
    for index, modality in enumerate(SEQUENCES):
        image: Any = nib.load(shown("stacked", modality))
        np.testing.assert_array_equal(np.asarray(image.dataobj), head.volume.array[index].astype(np.int16))
    with pytest.raises(InvalidValueError, match="modality: 'pet' must be one of flair, t1, t1ce, t2"):
        shown("folder", "pet")


def test_cut_sequence_is_kept_and_renewed_with_its_file(tmp_path: Path, build: Any, head: Any) -> None:
    path = write_stacked(tmp_path / "s.nii.gz", build, head)
    study = Study("s", path, False)
    first = display_file(study, open_study(study), None, tmp_path / "cache")
    time_stamp = first.stat().st_mtime_ns
    assert display_file(study, open_study(study), None, tmp_path / "cache").stat().st_mtime_ns == time_stamp
    first.write_bytes(b"old")
    past = path.stat().st_mtime - 100
    os.utime(first, (past, past))
    again: Any = nib.load(display_file(study, open_study(study), None, tmp_path / "cache"))
    np.testing.assert_array_equal(np.asarray(again.dataobj), head.volume.array[0].astype(np.int16))


def test_many_cutters_at_once(tmp_path: Path, build: Any, head: Any) -> None:
    path = write_stacked(tmp_path / "s.nii.gz", build, head)
    study = Study("s", path, False)
    faults: list[Exception] = []

    def cut() -> None:
        try:
            nib.load(display_file(study, open_study(study), "t2", tmp_path / "cache")).get_fdata()  # type: ignore[attr-defined]
        except Exception as error:  # noqa: BLE001 - whatever it is, the test reports it
            faults.append(error)

    threads = [threading.Thread(target=cut) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["s_t2.nii.gz"]


def test_stacked_file_that_broke_meanwhile_is_called_unreadable(
    tmp_path: Path, build: Any, head: Any
) -> None:
    path = write_stacked(tmp_path / "s.nii.gz", build, head)
    study = Study("s", path, False)
    case = open_study(study)
    path.write_bytes(b"junk")
    with pytest.raises(UnsupportedKindError, match="s: not a readable NIfTI"):
        display_file(study, case, None, tmp_path / "cache")


def test_dicom_in_a_studies_folder_is_named_with_what_to_do(tmp_path: Path) -> None:
    series = tmp_path / "PATIENT" / "ST1" / "SE2"
    series.mkdir(parents=True)
    for name in ("IM1.dcm", "IM2.DCM"):
        (series / name).write_bytes(b"x")
    listing = list_studies(tmp_path)
    assert not listing.studies
    assert "holds DICOM files (IM1.dcm, IM2.DCM)" in listing.left_out["PATIENT/ST1/SE2"]
    assert "medsynth prepare" in listing.left_out["PATIENT/ST1/SE2"]
