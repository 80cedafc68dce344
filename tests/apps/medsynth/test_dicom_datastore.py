"""MedSynth on a real DICOMweb server: an Orthanc that the tests start, with studies that ``medsynth dicom`` makes."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import requests
from lib.audited_datastore import AuditedDicomCases
from lib.dicom_datastore import DicomCaseDatastore
from pydicom import dcmread
from pydicom.uid import generate_uid

from medsynth_app.audit import AuditTrail
from medsynth_app.errors import InvalidValueError, NotFoundError, OverloadedError
from medsynth_app.imaging.dicom.segmentation_object import EmptySegmentationError, read_segmentation
from medsynth_app.imaging.dicom.sequence_mapping import parse_sequence_mapping
from medsynth_app.imaging.dicom.study_writing import WrittenStudy, write_study
from medsynth_app.imaging.geometry import resample
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.studies.cases import CaseFiles, case_in_folder
from medsynth_app.segmentation.inference import segment
from medsynth_app.segmentation.weights import load_weights
from tests.apps.medsynth.orthanc import Orthanc, free_port, running_orthanc

OHIF_PARAMS = {
    "result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": False, "restore_label_idx": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc with the DICOMweb plugin on a free port of this machine."""
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


@pytest.fixture
def archive(orthanc: Orthanc) -> Iterator[Orthanc]:
    """An empty archive for one test."""
    orthanc.empty()
    yield orthanc
    orthanc.empty()


@pytest.fixture
def store(archive: Orthanc, tmp_path: Path) -> Any:
    """Builds a datastore on the archive with a fresh cache."""

    def open_store(mapping: str = "", url: str = archive.url) -> DicomCaseDatastore:
        return DicomCaseDatastore(url, parse_sequence_mapping(mapping), cache=tmp_path / "cache")

    return open_store


def small_case(build: Any, folder: Path, name: str = "small", seed: int = 1, **options: Any) -> CaseFiles:
    case = case_in_folder(build.case(folder, name, build.head((20, 22, 12), seed), **options))
    assert case is not None
    return case


def send(
    archive: Orthanc, case: CaseFiles, folder: Path, synthetic: bool = False, **changes: dict[str, Any]
) -> WrittenStudy:
    """Write and send a study; ``changes``: modality -> attributes set on all its images."""
    study = write_study(case, folder, synthetic=synthetic)
    for modality, values in changes.items():
        for path in folder.glob(f"{modality}_*.dcm"):
            image = dcmread(path)
            for key, value in values.items():
                setattr(image, key, value)
            image.save_as(path)
    archive.send(folder)
    return study


# ---- the datastore by itself -------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", ["flair", "t1ce"])
def test_one_series_is_enough(archive: Orthanc, store: Any, build: Any, tmp_path: Path, chosen: str) -> None:
    case = small_case(build, tmp_path)
    study = send(archive, case, tmp_path / "dicom")
    found = store().case(study.series_uids[chosen])
    expected = case.read()
    volume = found.read()
    np.testing.assert_array_equal(volume.array, expected.array)
    np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-4)
    assert found.notes == ()


def test_other_grids_are_interpolated_and_said(
    archive: Orthanc, store: Any, build: Any, tmp_path: Path
) -> None:
    case = small_case(build, tmp_path)
    coarse = read_volume(case.sequences["t2"])
    affine = coarse.affine @ np.diag([1, 1, 2, 1])
    build.nifti(case.sequences["t2"], coarse.array[0, :, :, ::2], affine)
    study = send(archive, case, tmp_path / "dicom")
    fine = store().case(study.series_uids["flair"])
    volume = fine.read()
    assert fine.notes == ("'T2' was interpolated onto the grid of 'FLAIR'",)
    assert volume.spatial_shape == (20, 22, 12)
    np.testing.assert_array_equal(volume.array[3][..., ::2], coarse.array[0][..., ::2])
    on_coarse = store().case(study.series_uids["t2"]).read()
    assert on_coarse.spatial_shape == (20, 22, 6)
    expected = resample(read_volume(case.sequences["flair"]), affine, (20, 22, 6))
    np.testing.assert_allclose(on_coarse.array[0], expected.array[0], atol=1.0)


def test_other_frames_of_reference_are_refused(
    archive: Orthanc, store: Any, build: Any, tmp_path: Path
) -> None:
    case = small_case(build, tmp_path)
    moved = read_volume(case.sequences["t2"])
    affine = moved.affine.copy()
    affine[:3, 3] += 4
    build.nifti(case.sequences["t2"], moved.array[0], affine)
    study = send(archive, case, tmp_path / "dicom", t2={"FrameOfReferenceUID": generate_uid()})
    found = store().case(study.series_uids["flair"])
    with pytest.raises(InvalidValueError, match="t2: 'T2' and 'FLAIR' have different frames of reference"):
        found.read()
    assert found.read(["flair", "t1", "t1ce"]).array.shape[0] == 3


def test_missing_sequences_are_explained(archive: Orthanc, store: Any, build: Any, tmp_path: Path) -> None:
    case = small_case(build, tmp_path)
    study = send(
        archive, case, tmp_path / "dicom", t1ce={"SeriesDescription": "Kopf 3", "ContrastBolusAgent": ""}
    )
    uid = study.series_uids["t1"]
    with pytest.raises(
        InvalidValueError, match="t1ce: no series is it; the study holds .*'Kopf 3'.*sequence_map"
    ):
        store().case(uid).read()
    assert store("t1ce=^kopf 3$").case(uid).read().array.shape[0] == 4


def test_labels_are_segmentation_objects_on_the_server(
    archive: Orthanc, store: Any, build: Any, tmp_path: Path
) -> None:
    first = send(archive, small_case(build, tmp_path, "one"), tmp_path / "a").series_uids
    second = send(archive, small_case(build, tmp_path, "two", 2), tmp_path / "b").series_uids
    datastore = store()
    assert datastore.status()["completed"] == 0
    label = build.nifti(
        tmp_path / "label.nii.gz", build.head((20, 22, 12), 1).labels, build.affine((20, 22, 12))
    )
    datastore.save_label(first["t1ce"], str(label), "final", {"client_id": "me"})
    assert len(archive.series(Modality="SEG")) == 1
    assert datastore.status()["completed"] == 1
    assert datastore.get_label_info(first["t1ce"], "final")["client_id"] == "me"
    # No series of the labelled study is offered again.
    assert sorted(datastore.get_unlabeled_images()) == sorted(second.values())
    # Another machine finds the label on the server, and the newest one wins.
    shutil.rmtree(tmp_path / "cache")
    other = store()
    found = nib.load(other.get_label_uri(first["t1ce"], "final")).get_fdata()
    np.testing.assert_array_equal(found, build.head((20, 22, 12), 1).labels)
    assert other.labelled_case(first["t1ce"]).label is not None
    corrected = np.minimum(build.head((20, 22, 12), 1).labels, 2).astype(np.uint8)
    time.sleep(1.1)
    label = build.nifti(tmp_path / "label.nii.gz", corrected, build.affine((20, 22, 12)))
    other.save_label(first["t1ce"], str(label), "final", {})
    np.testing.assert_array_equal(
        nib.load(other.get_label_uri(first["t1ce"], "final")).get_fdata(), corrected
    )
    with pytest.raises(InvalidValueError, match="DICOM SEG on the DICOMweb server; delete it there"):
        other.remove_label(first["t1ce"], "final")


def audited(archive: Orthanc, folder: Path) -> AuditedDicomCases:
    return AuditedDicomCases(archive.url, parse_sequence_mapping(""), cache=folder / "cache")


@pytest.mark.parametrize("line", ["label.sending", "label.stored"])
def test_a_label_that_meets_a_full_disk_is_on_both_sides_or_on_none(
    archive: Orthanc, build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    uid = send(archive, small_case(build, tmp_path), tmp_path / "a").series_uids["flair"]
    label = build.nifti(tmp_path / "l.nii.gz", build.head((20, 22, 12), 1).labels, build.affine((20, 22, 12)))
    datastore, record = audited(archive, tmp_path), AuditTrail.record

    def full(trail: AuditTrail, action: str, **facts: Any) -> None:
        if action == line:
            raise OSError(errno.ENOSPC, "no room")
        record(trail, action, **facts)

    monkeypatch.setattr(AuditTrail, "record", full)
    if line == "label.sending":
        with pytest.raises(OSError, match="no room"):
            datastore.save_label(uid, str(label), "final", {"client_id": "me"})
    else:
        datastore.save_label(uid, str(label), "final", {"client_id": "me"})
    monkeypatch.undo()
    expected = 0 if line == "label.sending" else 1
    for store in (datastore, audited(archive, tmp_path)):
        store.refresh()
        assert len(archive.series(Modality="SEG")) == store.status()["completed"] == expected
        assert len(store.label_versions(uid)) == len(store.audit.find(action="label.sending")) == expected


@pytest.mark.parametrize(("killed_at", "expected"), [("store", 0), ("_note", 1)])
def test_a_server_killed_while_it_sends_a_label_knows_afterwards_whether_it_arrived(
    archive: Orthanc, build: Any, tmp_path: Path, killed_at: str, expected: int
) -> None:
    uid = send(archive, small_case(build, tmp_path), tmp_path / "a").series_uids["flair"]
    label = build.nifti(tmp_path / "l.nii.gz", build.head((20, 22, 12), 1).labels, build.affine((20, 22, 12)))
    datastore = audited(archive, tmp_path)

    def killed(*_: Any) -> None:
        os._exit(9)

    def work() -> None:
        note = datastore._note
        if killed_at == "store":
            datastore._archive.store = killed  # type: ignore[method-assign]
        else:
            datastore._note = lambda action, *rest: killed() if action == "label.stored" else note(action, *rest)
        datastore.save_label(uid, str(label), "final", {"client_id": "me"})

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == 9
    again = audited(archive, tmp_path)
    again.refresh()
    assert again._journal.left() == []
    assert len(archive.series(Modality="SEG")) == again.status()["completed"] == expected
    assert len(again.label_versions(uid)) == expected


def test_a_label_without_tumour_is_kept_without_segmentation_object(
    archive: Orthanc, store: Any, build: Any, tmp_path: Path
) -> None:
    uid = send(archive, small_case(build, tmp_path), tmp_path / "a").series_uids["flair"]
    label = build.nifti(tmp_path / "l.nii.gz", np.zeros((20, 22, 12), np.uint8), build.affine((20, 22, 12)))
    datastore = store()
    datastore.save_label(uid, str(label), "final", {})
    assert (archive.series(Modality="SEG"), datastore.status()["completed"]) == ([], 1)
    assert datastore.get_unlabeled_images() == []


def test_an_empty_prediction_is_no_defect_of_the_server(
    archive: Orthanc, store: Any, build: Any, tmp_path: Path
) -> None:
    uid = send(archive, small_case(build, tmp_path), tmp_path / "a").series_uids["flair"]
    label = build.nifti(tmp_path / "l.nii.gz", np.zeros((20, 22, 12), np.uint8), build.affine((20, 22, 12)))
    with pytest.raises(EmptySegmentationError, match="no tumour voxel was found") as caught:
        store().segmentation_object(uid, label)
    assert (caught.value.status, caught.value.code) == (422, "empty_segmentation")


def test_a_label_on_another_grid_changes_nothing(
    archive: Orthanc, store: Any, build: Any, tmp_path: Path
) -> None:
    uid = send(archive, small_case(build, tmp_path), tmp_path / "a").series_uids["flair"]
    label = build.nifti(tmp_path / "l.nii.gz", np.ones((20, 22, 11), np.uint8), build.affine((20, 22, 12)))
    with pytest.raises(InvalidValueError, match="another grid than its image"):
        store().save_label(uid, str(label), "final", {})
    assert archive.series(Modality="SEG") == []


def test_synthetic_studies_are_not_offered(archive: Orthanc, store: Any, build: Any, tmp_path: Path) -> None:
    send(archive, small_case(build, tmp_path), tmp_path / "a", synthetic=True)
    datastore = store()
    assert (len(datastore.list_images()), datastore.get_unlabeled_images()) == (4, [])


def test_a_generated_case_becomes_a_study(archive: Orthanc, store: Any, build: Any, tmp_path: Path) -> None:
    case = small_case(build, tmp_path, with_label=True)
    datastore = store()
    uid = datastore.add_case("made", case.sequences, case.label, {"seed": 5})
    assert datastore.is_synthetic(uid)
    assert datastore.get_image_info(uid)["seed"] == 5
    np.testing.assert_array_equal(datastore.labelled_case(uid).read().array, case.read().array)
    assert len(archive.series(Modality="SEG")) == 1


def test_images_that_arrive_later_are_fetched(
    archive: Orthanc, store: Any, build: Any, tmp_path: Path
) -> None:
    study = write_study(small_case(build, tmp_path), tmp_path / "dicom")
    late = sorted((tmp_path / "dicom").glob("flair_*.dcm"))[8:]
    (tmp_path / "late").mkdir()
    for path in late:
        path.rename(tmp_path / "late" / path.name)
    archive.send(tmp_path / "dicom")
    datastore = store()
    uid = study.series_uids["flair"]
    assert nib.load(datastore.display_file(uid)).shape == (20, 22, 8)
    archive.send(tmp_path / "late")
    datastore.refresh()
    assert nib.load(datastore.display_file(uid)).shape == (20, 22, 12)


@pytest.mark.parametrize("image_id", ["1.2.3", "../../etc/passwd", ""])
def test_unknown_images(archive: Orthanc, store: Any, image_id: str) -> None:
    with pytest.raises((NotFoundError, InvalidValueError), match="image: "):
        store().case(image_id)


def test_a_server_that_is_away(store: Any, tmp_path: Path) -> None:
    datastore = store(url=f"http://127.0.0.1:{free_port()}/dicom-web")
    assert datastore.list_images() == []
    with pytest.raises(OverloadedError, match="the DICOMweb server did not answer") as caught:
        datastore._archive.series({})
    assert (caught.value.status, caught.value.code) == (503, "archive_unavailable")


# ---- the whole way over REST -------------------------------------------------------------------------


@dataclass(frozen=True)
class Served:
    """A MONAI Label server on the archive, and the study that is in it."""

    url: str
    archive: Orthanc
    case: CaseFiles
    study: WrittenStudy
    weights: Path

    def infer(self, image: str, params: dict[str, Any], output: str) -> requests.Response:
        return requests.post(
            f"{self.url}/infer/brain_tumor_segmentation", params={"image": image, "output": output},
            data={"params": json.dumps(params)}, timeout=300,
        )  # fmt: skip

    def expected(self) -> np.ndarray:
        """The mask of the NIfTI case, which is stored in the axes of the DICOM images."""
        return segment(self.case.read(), load_weights(self.weights)[0]).labels


@pytest.fixture(scope="module")
def served(
    orthanc: Orthanc, build: Any, start_server: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    orthanc.empty()
    root = tmp_path_factory.mktemp("dicom")
    case = case_in_folder(build.case(root, "head", build.head((48, 52, 44), 3)))
    assert case is not None
    study = send(orthanc, case, root / "study")
    server = start_server(root / "server")
    server.process.studies = orthanc.url
    with server.process:
        weights = server.model_folder / f"{build.model}.safetensors"
        yield Served(server.url, orthanc, case, study, weights)


def test_the_server_lists_the_four_series(served: Served) -> None:
    info = requests.get(f"{served.url}/info/", timeout=60).json()
    assert info["datastore"]["total"] == 4
    assert isinstance(info["labels"], list)
    listed = requests.get(f"{served.url}/datastore/", params={"output": "all"}, timeout=60).json()
    assert sorted(listed["objects"]) == sorted(served.study.series_uids.values())


@pytest.mark.parametrize("chosen", ["flair", "t1ce"])
def test_ohif_gets_the_mask_in_the_voxel_order_of_its_series(served: Served, chosen: str) -> None:
    answer = served.infer(served.study.series_uids[chosen], OHIF_PARAMS, "image")
    assert answer.status_code == 200, answer.text[:500]
    header, body = answer.content.split(b"\n\n", 1)
    fields = dict(line.split(": ", 1) for line in header.decode().splitlines()[1:])
    assert fields["type"] in ("unsigned char", "uint8")
    assert (fields["encoding"], fields["sizes"]) == ("raw", "48 52 44")
    labels = np.frombuffer(body, np.uint8).reshape(48, 52, 44, order="F")
    expected = served.expected()
    assert expected.any()
    assert (labels == expected).mean() > 0.999


def test_a_prediction_as_dicom_segmentation(served: Served, tmp_path: Path) -> None:
    uid = served.study.series_uids["t2"]
    answer = served.infer(uid, {}, "dicom_seg")
    assert answer.status_code == 200, answer.text[:500]
    assert answer.headers["content-type"] == "application/dicom"
    (tmp_path / "seg.dcm").write_bytes(answer.content)
    dataset = dcmread(tmp_path / "seg.dcm")
    assert dataset.ReferencedSeriesSequence[0].SeriesInstanceUID == uid
    labels = read_segmentation(tmp_path / "seg.dcm", served.case.read(["t2"]))
    assert (labels == served.expected()).mean() > 0.999


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/infer/brain_tumor_segmentation?image=1.2.3.4", 404),
        ("/infer/brain_tumor_segmentation?image=..", 422),
    ],
)
def test_unknown_series_over_rest(served: Served, path: str, status: int) -> None:
    answer = requests.post(served.url + path, timeout=60)
    assert (answer.status_code, set(answer.json())) == (status, {"detail", "code"})


def test_an_uploaded_nifti_file_is_refused(served: Served) -> None:
    with open(served.case.sequences["t1"], "rb") as file:
        answer = requests.put(f"{served.url}/datastore/image", files={"file": ("x.nii.gz", file)}, timeout=60)
    assert answer.status_code == 422
    assert "send DICOM images there" in answer.json()["detail"]


def test_a_submitted_label_goes_to_the_archive(served: Served, build: Any, tmp_path: Path) -> None:
    uid = served.study.series_uids["flair"]
    assert requests.post(f"{served.url}/activelearning/random", json={}, timeout=60).json()["id"]
    head = build.head((48, 52, 44), 3)
    label = build.nifti(tmp_path / "label.nii.gz", head.labels, head.affine)
    with open(label, "rb") as file:
        answer = requests.put(
            f"{served.url}/datastore/label", params={"image": uid, "tag": "final"},
            data={"params": json.dumps({"client_id": "test"})}, files={"label": ("label.nii.gz", file)}, timeout=120,
        )  # fmt: skip
    assert answer.status_code == 200, answer.text
    stored = served.archive.series(Modality="SEG", StudyInstanceUID=served.study.study_uid)
    assert len(stored) == 1
    info = requests.get(f"{served.url}/info/", timeout=60).json()
    assert info["datastore"]["completed"] == 1
    # The only study is labelled: Next Sample has nothing to offer.
    assert requests.post(f"{served.url}/activelearning/random", json={}, timeout=60).json() == {}
    fetched = requests.get(f"{served.url}/datastore/label", params={"label": uid, "tag": "final"}, timeout=60)
    (tmp_path / "fetched.nii.gz").write_bytes(fetched.content)
    np.testing.assert_array_equal(nib.load(tmp_path / "fetched.nii.gz").get_fdata(), head.labels)
