"""``medsynth segment`` and ``medsynth prepare`` on small prepared cases: files, tables, exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from typer.testing import CliRunner

import medsynth_app as ms
from medsynth_app.cli import application
from medsynth_app.imaging.dicom.segmentation_object import read_segmentation
from medsynth_app.imaging.dicom.series_reading import read_series
from medsynth_app.imaging.dicom.study_writing import write_study
from medsynth_app.imaging.studies.cases import case_in_folder
from medsynth_app.segmentation.current_network import CurrentNetwork
from medsynth_app.segmentation.inference import segment
from medsynth_app.segmentation.network import NetworkConfiguration, build_network
from medsynth_app.segmentation.weights import save_weights

RUN = CliRunner()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: Any) -> Path:
    """A tiny network of chance: its masks mean nothing, but are the same by every way."""
    import torch  # noqa: PLC0415 - seeded here alone

    torch.manual_seed(3)
    configuration = NetworkConfiguration(width=4)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(build_network(configuration).eval(), configuration, path)
    return path


@pytest.fixture
def case(build: Any, tmp_path: Path) -> Path:
    return build.write_case(tmp_path / "cases", "anna")


def call(*arguments: object) -> Any:
    return RUN.invoke(application, [str(a) for a in arguments])


def test_a_prepared_case_gives_the_network_s_mask(case: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = call("segment", case, "--out", out, "--weights", weights, "--device", "cpu", "--uncertainty", "--preview",
                   "--json", out / "figures.json", "--report", out / "report.json")  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    network, shape, _ = CurrentNetwork([weights], "cpu").get()
    found = case_in_folder(case)
    assert found is not None
    wanted = segment(found.read(shape.modalities), network).labels
    image: Any = nib.load(out / "anna_seg.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), wanted)
    figures = json.loads((out / "figures.json").read_text())["inputs"]["anna"]
    assert figures["kind"] == "prepared"
    assert figures["files"] == ["anna_seg.nii.gz", "anna_uncertainty.nii.gz", "anna_preview.png"]
    assert all((out / name).is_file() for name in figures["files"])
    report = json.loads((out / "report.json").read_text())["inputs"]["anna"]
    assert report["weights"]["name"] == "tiny.safetensors"
    assert set(report["inputs"]) == {"flair", "t1", "t1ce", "t2"}
    assert len(report["inputs"]["t1"]["sha256"]) == 64
    assert str(tmp_path) not in json.dumps(report)


def test_one_bad_input_does_not_stop_the_others(case: Path, weights: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("flair", "t1", "t1ce", "t2"):
        (broken / f"broken_{name}.nii.gz").write_bytes(b"no image")
    outcome = call("segment", broken, tmp_path / "absent", case, "--out", tmp_path / "out", "--weights", weights,
                   "--json", tmp_path / "out.json")  # fmt: skip
    assert outcome.exit_code == 1
    result = json.loads((tmp_path / "out.json").read_text())
    assert set(result["inputs"]) == {"anna"}
    assert set(result["failed"]) == {"broken", "absent"}
    assert "not a readable NIfTI" in result["failed"]["broken"]


@pytest.mark.parametrize(("options", "message"), [
    ((), "give INPUT"), (("--preparation", "maybe"), "preparation: 'maybe' must be one of auto, none"),
    (("--reference", "dwi"), "reference: 'dwi' must be one of flair, t1, t1ce, t2"),
    (("--missing-sequence", "guess"), "missing_sequence: 'guess' must be one of refuse, blank"),
])  # fmt: skip
def test_wrong_use_is_told(case: Path, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    inputs = (case,) if options else ()
    outcome = call("segment", *inputs, "--out", tmp_path / "out", *options)
    assert message in str(outcome.exception)  # ``main`` turns it into one line and exit status 2


def test_a_missing_sequence_is_named_and_may_be_blank(build: Any, weights: Path, tmp_path: Path) -> None:
    case = build.write_case(tmp_path / "cases", "bert", leave_out=("t1ce",))
    outcome = call("segment", case, "--out", tmp_path / "out", "--weights", weights)
    assert outcome.exit_code == 1
    assert "missing sequence t1ce" in outcome.output
    outcome = call("segment", case, "--out", tmp_path / "out", "--weights", weights, "--missing-sequence", "blank")
    assert outcome.exit_code == 0
    assert "t1ce is missing and was taken as blank" in outcome.output


def test_dicom_in_dicom_out_round_trips(case: Path, weights: Path, tmp_path: Path) -> None:
    found = case_in_folder(case)
    assert found is not None
    write_study(found, tmp_path / "study")
    out = tmp_path / "out"
    outcome = call("segment", tmp_path / "study", "--out", out, "--weights", weights, "--dicom-seg", "--rtstruct")
    assert outcome.exit_code == 0, outcome.output
    series = read_series(sorted((tmp_path / "study").glob("flair_*.dcm")))
    labels = np.asarray(nib.load(out / "study_seg.nii.gz").dataobj)  # type: ignore[attr-defined]
    assert labels.any(), "the tiny network finds something"
    np.testing.assert_array_equal(read_segmentation(out / "study_seg.dcm", series), labels)
    contours = dcmread(out / "study_rtstruct.dcm")
    sources = {str(dcmread(p).SOPInstanceUID) for p in (tmp_path / "study").glob("flair_*.dcm")}
    drawn = {
        str(contour.ContourImageSequence[0].ReferencedSOPInstanceUID)
        for region in contours.ROIContourSequence
        for contour in region.ContourSequence
    }
    assert drawn
    assert drawn <= sources


def test_dicom_objects_need_dicom_input(case: Path, weights: Path, tmp_path: Path) -> None:
    outcome = call("segment", case, "--out", tmp_path / "out", "--weights", weights, "--dicom-seg")
    assert outcome.exit_code == 0
    assert "--dicom-seg needs DICOM input" in outcome.output


def test_prepare_leaves_a_prepared_case_as_it_is(case: Path, tmp_path: Path) -> None:
    outcome = call("prepare", case, tmp_path / "out")
    assert outcome.exit_code == 0, outcome.output
    before, after = case_in_folder(case), case_in_folder(tmp_path / "out" / "anna")
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.read().array, after.read().array)
    assert json.loads((tmp_path / "out" / "anna" / "preparation.json").read_text())["kind"] == "prepared"


def test_the_library_call_gives_the_same(case: Path, weights: Path) -> None:
    answer = ms.segment(case, weights=weights, device="cpu")
    network, shape, _ = CurrentNetwork([weights], "cpu").get()
    found = case_in_folder(case)
    assert found is not None
    np.testing.assert_array_equal(answer.labels, segment(found.read(shape.modalities), network).labels)
    assert set(answer.volumes_ml) == {"necrotic_core", "edema", "enhancing_tumor"}
