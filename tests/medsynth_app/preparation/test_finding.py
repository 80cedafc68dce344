"""What was given -> studies."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from medsynth_app.errors import InvalidValueError, NotFoundError
from medsynth_app.imaging.dicom.study_writing import write_study
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.imaging.volume import Volume
from medsynth_app.preparation.finding import find_studies, loose_sequence_of, named_apart, study_of_files
from medsynth_app.preparation.study_input import StudyInput

SMALL = Volume(np.arange(12 * 14 * 16, dtype=np.float32).reshape(1, 12, 14, 16), np.diag([4.0, 4.0, 4.0, 1.0]))
MODALITIES = ("flair", "t1", "t1ce", "t2")


@pytest.mark.parametrize(("name", "role"), [
    ("TCGA-DU-7294_fla.nii.gz", "flair"), ("TCGA-DU-7294_t1c.nii.gz", "t1ce"), ("study1_T1W.nii.gz", "t1"),
    ("study1_FLAIR.nii.gz", "flair"), ("sub-01_ce-gadolinium_T1w.nii.gz", "t1ce"), ("sub-01_T2w.nii.gz", "t2"),
    ("5_AX_T1_POST.nii.gz", "t1ce"), ("case-t2f.nii", "flair"), ("case_seg.nii.gz", None),
    ("brainmask_common_space.nii.gz", None), ("t1_brain_mask.nii.gz", None), ("AX_DWI_b1000.nii.gz", None),
    ("notes.nii.gz", None),
])  # fmt: skip
def test_a_files_name_tells_its_sequence(name: str, role: str | None) -> None:
    assert loose_sequence_of(name) == role


def dicom(folder: Path, scanner: Any, name: str, modalities: tuple[str, ...] = MODALITIES, **tags: Any) -> Path:
    """A DICOM study of small images, its tags as wanted."""
    source = folder.parent / f"{folder.name}-files"
    files = {m: scanner.write(source / f"{name}_{m}.nii.gz", SMALL) for m in modalities}
    write_study(CaseFiles(name, files), folder)
    for path in folder.iterdir():
        image = dcmread(path)
        image.ImageType = ["ORIGINAL", "PRIMARY"]
        for key, value in tags.items():
            setattr(image, key, value)
        image.save_as(path)
    shutil.rmtree(source)
    return folder


def change(folder: Path, pattern: str, **tags: Any) -> None:
    for path in folder.glob(pattern):
        image = dcmread(path)
        for key, value in tags.items():
            setattr(image, key, value)
        image.save_as(path)


def test_a_nested_folder_of_two_patients_gives_two_studies(tmp_path: Path, scanner: Any) -> None:
    root = tmp_path / "export"
    root.mkdir()
    dicom(tmp_path / "a", scanner, "anna", StudyDate="20250102").rename(root / "x")
    (root / "deep").mkdir()
    dicom(tmp_path / "b", scanner, "bert").rename(root / "deep" / "y")
    (root / "x" / "notes.txt").write_text("no image")
    found = find_studies(root)
    assert sorted(s.name for s in found.studies) == ["anna_20250102", "bert"]
    assert all(set(s.series) == set(MODALITIES) for s in found.studies)


def test_localisers_and_captures_are_passed_over_and_named(tmp_path: Path, scanner: Any) -> None:
    folder = dicom(tmp_path / "a", scanner, "anna")
    change(folder, "t2_*", SeriesDescription="3-plane localizer", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    change(folder, "t1_*", SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    study = find_studies(folder).studies[0]
    assert set(study.series) == {"flair", "t1ce"}
    reasons = {entry["series"]: entry["reason"] for entry in study.passed_over}
    assert reasons == {"3-plane localizer": "a localiser", "T1": "a secondary capture"}
    with pytest.raises(InvalidValueError, match="missing sequence t1: .*t2: no series is it"):
        study.check_complete(MODALITIES, 0)


def test_the_thinner_original_series_is_taken_and_the_other_named(tmp_path: Path, scanner: Any) -> None:
    folder = dicom(tmp_path / "a", scanner, "anna")
    other = dicom(tmp_path / "b", scanner, "anna2", ("flair",))
    first = dcmread(next(folder.glob("flair_*")))
    change(other, "*", StudyInstanceUID=first.StudyInstanceUID, PatientID=first.PatientID, SeriesNumber=9,
           ImageType=["DERIVED", "SECONDARY", "REFORMATTED"], SeriesDescription="FLAIR mpr")  # fmt: skip
    shutil.move(str(other), str(folder / "more"))
    study = find_studies(folder).studies[0]
    assert study.series["flair"].title == "FLAIR"
    assert study.passed_over == ({"series": "FLAIR mpr", "reason": "flair: derived, 'FLAIR' is original"},)
    assert study.notes == ("flair: took 'FLAIR' (series 1) of 2 candidates",)


def test_of_two_t1_with_the_agents_tag_the_earlier_is_before_contrast(tmp_path: Path, scanner: Any) -> None:
    folder = dicom(tmp_path / "a", scanner, "anna", ContrastBolusAgent="Gadovist")
    change(folder, "t1_*", SeriesDescription="T1 tra", AcquisitionTime="101500")
    change(folder, "t1ce_*", SeriesDescription="T1 tra", AcquisitionTime="104500")
    study = find_studies(folder).studies[0]
    times = {m: dcmread(study.series[m].files[0]).AcquisitionTime for m in ("t1", "t1ce")}
    assert times == {"t1": "101500", "t1ce": "104500"}
    assert any("taken as before contrast" in note for note in study.notes)


def test_a_ct_is_refused_by_name(tmp_path: Path, scanner: Any) -> None:
    folder = dicom(tmp_path / "ct", scanner, "anna", ("t1",), Modality="CT", SeriesDescription="Head native")
    found = find_studies(folder)
    assert found.studies == ()
    assert found.failures == {
        "ct": "ct: no series is one of FLAIR, T1, T1ce, T2; the study holds CT: 'Head native'"
    }


def test_missing_slices_are_told(tmp_path: Path, scanner: Any) -> None:
    folder = dicom(tmp_path / "a", scanner, "anna")
    (folder / "t2_0007.dcm").unlink()
    study = find_studies(folder).studies[0]
    assert "t2" not in study.series
    assert "slices are missing" in study.problems["t2"]


def test_loose_names_below_a_folder_are_a_case(tmp_path: Path, scanner: Any) -> None:
    for name in ("sub-01_FLAIR", "sub-01_T1w", "sub-01_ce-gadolinium_T1w", "sub-01_T2w"):
        scanner.write(tmp_path / "sub-01" / "anat" / f"{name}.nii.gz", SMALL)
    study = find_studies(tmp_path / "sub-01").studies[0]
    assert {m: s.files[0].name for m, s in study.series.items()} == {
        "flair": "sub-01_FLAIR.nii.gz", "t1": "sub-01_T1w.nii.gz", "t1ce": "sub-01_ce-gadolinium_T1w.nii.gz",
        "t2": "sub-01_T2w.nii.gz",
    }  # fmt: skip


def test_what_is_no_study_is_refused_by_name(tmp_path: Path, scanner: Any) -> None:
    with pytest.raises(NotFoundError, match="no file or folder 'nothing'"):
        find_studies(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidValueError, match="'empty' holds no study"):
        find_studies(tmp_path / "empty")
    one = scanner.write(tmp_path / "one_t1.nii.gz", SMALL)
    with pytest.raises(InvalidValueError, match="it is t1 alone"):
        find_studies(one)
    with pytest.raises(InvalidValueError, match="must be different files"):
        study_of_files({"t1": one, "t2": one})


def test_files_named_one_by_one_are_a_study(tmp_path: Path, scanner: Any) -> None:
    files = {
        m: scanner.write(tmp_path / f"x_{n}.nii.gz", Volume(SMALL.array + n, SMALL.affine))
        for n, m in enumerate(MODALITIES)
    }
    study = study_of_files(files)
    assert (study.name, set(study.series)) == ("x", set(MODALITIES))
    assert study.digest() != study_of_files({**files, "t1": files["t2"], "t2": files["t1"]}).digest()


def test_numbered_names_never_meet_a_name_that_is_there() -> None:
    studies = [StudyInput(name, {}) for name in ("case", "case_2", "case", "case")]
    assert [study.name for study in named_apart(studies)] == ["case", "case_2", "case_3", "case_4"]
