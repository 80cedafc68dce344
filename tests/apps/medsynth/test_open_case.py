"""``POST /medsynth/api/cases``: files of one case, or a DICOM folder, become cases that can be worked on."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.imaging.dicom.study_writing import write_study
from medsynth_app.imaging.provenance.marking import SyntheticMark, synthetic_nifti
from medsynth_app.imaging.studies.cases import CaseFiles

MARK = SyntheticMark("tumor_case_synthesis", "1", 3, {})


@pytest.fixture(scope="module", autouse=True)
def _others_find_the_studies_as_they_were(served: Any) -> Iterator[None]:
    def cases() -> set[str]:
        return set(served.get("/datastore/", params={"output": "all"}).json()["objects"])

    before = cases()
    yield
    for name in cases() - before:
        assert served.request("DELETE", "/datastore/", params={"id": name}).status_code == 200


def post(served: Any, files: dict[str, Path], **fields: str) -> Any:
    sent = {key: (path.name, path.read_bytes()) for key, path in files.items()}
    return served.request("POST", "/medsynth/api/cases", data=fields, files=sent)


def sequences(folder: Path) -> dict[str, Path]:
    return {path.name.rsplit("_", 1)[1][:-7]: path for path in sorted(folder.glob("*.nii.gz"))}


def tar_of(folder: Path, target: Path) -> Path:
    with tarfile.open(target, "w") as archive:
        archive.add(folder, arcname="study")
    return target


def test_four_files_and_a_label_become_a_case(served: Any, build: Any, tmp_path: Path) -> None:
    head = build.head(seed=21)
    files = sequences(build.case(tmp_path, "brought", head, with_label=True))
    files["label"] = files.pop("seg")
    answer = post(served, files, name="opened_1")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "cases": [{"case": "opened_1", "sequences": ["flair", "t1", "t1ce", "t2"], "missing": [], "notes": []}],
        "left_out": {},
    }
    for modality in build.sequences:
        got = served.get("/datastore/image", params={"image": "opened_1", "modality": modality}).content
        assert got == files[modality].read_bytes(), "unchanged"
    label = served.get("/datastore/label", params={"label": "opened_1", "tag": "final"}).content
    (tmp_path / "label.nii.gz").write_bytes(label)
    stored: Any = nib.load(tmp_path / "label.nii.gz")
    assert np.array_equal(np.asarray(stored.dataobj), head.labels)
    rows = (served.studies / ".medsynth" / "audit.jsonl").read_text().splitlines()
    noted = [row for row in map(json.loads, rows) if row.get("case") == "opened_1"]
    assert [(row["action"], row["generated"]) for row in noted] == [("case.stored", False)]
    again = post(served, files, name="opened_1")
    assert (again.status_code, again.json()["code"]) == (409, "stale")


def test_the_name_is_what_the_files_have_in_common(served: Any, build: Any, tmp_path: Path) -> None:
    files = sequences(build.case(tmp_path, "opened_2", build.head(seed=22), leave_out=("t1", "t2")))
    answer = post(served, files)
    assert answer.json()["cases"][0]["case"] == "opened_2"
    assert answer.json()["cases"][0]["missing"] == ["t1", "t2"]


def test_a_dicom_folder_becomes_a_case(served: Any, build: Any, tmp_path: Path) -> None:
    head = build.head(seed=23)
    write_study(CaseFiles("x", sequences(build.case(tmp_path, "dicom", head))), tmp_path / "study")
    answer = post(served, {"dicom": tar_of(tmp_path / "study", tmp_path / "opened_3.tar")}, name="opened 3")
    assert answer.status_code == 200, answer.text
    assert answer.json()["cases"][0] == {
        "case": "opened_x20_3", "sequences": ["flair", "t1", "t1ce", "t2"], "missing": [], "notes": []
    }  # fmt: skip
    got = served.get("/datastore/image", params={"image": "opened_x20_3", "modality": "t1ce"}).content
    (tmp_path / "got.nii.gz").write_bytes(got)
    image: Any = nib.as_closest_canonical(nib.load(tmp_path / "got.nii.gz"))
    truth: Any = nib.as_closest_canonical(nib.load(tmp_path / "dicom" / "dicom_t1ce.nii.gz"))
    assert np.array_equal(image.get_fdata(), truth.get_fdata())
    assert np.allclose(image.affine, truth.affine, atol=1e-3)


def test_synthetic_dicom_stays_marked(served: Any, build: Any, tmp_path: Path) -> None:
    case = CaseFiles("x", sequences(build.case(tmp_path, "dicom", build.head(seed=24))))
    write_study(case, tmp_path / "study", synthetic=True)
    post(served, {"dicom": tar_of(tmp_path / "study", tmp_path / "opened_4.tar")})
    assert served.get("/datastore/image/info", params={"image": "opened_4"}).json()["synthetic"]


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_synthetic_files_stay_marked(served: Any, build: Any, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    nib.save(synthetic_nifti(build.head(seed=25).sequences[0], np.eye(4), MARK), path)
    name = f"marked{len(ending)}"
    assert post(served, {"t2": path}, name=name).status_code == 200
    info = served.get("/datastore/image/info", params={"image": name}).json()
    assert info["synthetic"]["generator"] == "tumor_case_synthesis"


def test_no_dicom_is_said_by_name(served: Any, tmp_path: Path, nothing_written: None) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        info = tarfile.TarInfo("notes.txt")
        info.size = 5
        archive.addfile(info, io.BytesIO(b"hello"))
    answer = post(served, {"dicom": tmp_path / "x.tar"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "dicom: the tar file holds no DICOM file")


@pytest.mark.parametrize("name", ["../x", ".ssh", "a/b", "a" * 300, "-x"])
def test_no_other_name(served: Any, build: Any, tmp_path: Path, name: str, nothing_written: None) -> None:
    path = build.nifti(tmp_path / "a.nii.gz", build.head().sequences[0], build.head().affine)
    answer = post(served, {"flair": path}, name=name)
    assert (answer.status_code, answer.json()["detail"].split(":")[0]) == (422, "name")


def test_unfit_files_are_refused_by_field(served: Any, build: Any, tmp_path: Path, nothing_written: None) -> None:
    head = build.head()
    flair = build.nifti(tmp_path / "a.nii.gz", head.sequences[0], head.affine)
    combined = build.four_dimensional(tmp_path / "b.nii.gz", head)
    label = build.nifti(tmp_path / "c.nii.gz", head.labels[:20], head.affine)
    broken = tmp_path / "d.nii.gz"
    broken.write_bytes(b"no image")
    for files, status, field in (
        ({"flair": flair, "t1": combined}, 422, "t1"), ({"flair": flair, "t2": broken}, 415, "t2"),
        ({"flair": flair, "label": label}, 422, "label"), ({"label": label}, 400, "files"), ({}, 400, "files"),
        ({"flair": flair, "dicom": flair}, 415, "dicom"),
    ):  # fmt: skip
        answer = post(served, files, name="unfit")
        assert (answer.status_code, answer.json()["detail"].split(":")[0]) == (status, field), answer.text
