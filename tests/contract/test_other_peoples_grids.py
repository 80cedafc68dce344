"""Images as other programs write them: other backgrounds, other headers. One row each, through every door.

An answer is right, or says what is doubtful, or is refused by name; and every door does the same.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from medsynth_app.cli import application
from medsynth_app.errors import MedSynthError
from medsynth_app.imaging.studies.cases import find_cases
from medsynth_app.segmentation.current_network import CurrentNetwork
from medsynth_app.segmentation.inference import segment
from tests.apps.medsynth.conftest import (
    APP,
    SEQUENCES,
    make_head,
    write_case,
    write_nifti,
    write_tiny_weights,
)

if str(APP) not in sys.path:
    sys.path.insert(0, str(APP))

from lib.datastore import CaseDatastore  # noqa: E402 - found from the application's folder only
from lib.inference import find_case, run_inference  # noqa: E402
from lib.infers.segmentation import BrainTumorSegmentationInferTask  # noqa: E402

Door = Callable[[Path, Path], tuple[np.ndarray, list[str]]]
"""(studies folder with one case ``P1``, weights) -> labels and warnings; raises what the door answers as an error."""


def library(studies: Path, weights: Path) -> tuple[np.ndarray, list[str]]:
    network, configuration, _ = CurrentNetwork([weights], "cpu").get()
    result = segment(find_cases(studies)[0].read(), network, modalities=configuration.modalities)
    return result.labels, list(result.warnings)


def studies_folder(studies: Path, weights: Path) -> tuple[np.ndarray, list[str]]:
    return _served(studies, weights, {"image": "P1"})


def upload(studies: Path, weights: Path) -> tuple[np.ndarray, list[str]]:
    return _served(studies, weights, {"upload": str(_sent(studies))})


def _sent(studies: Path) -> Path:
    """The same case as one 4-D file that a client sends."""
    images = [nib.load(studies / "P1" / f"P1_{name}.nii.gz") for name in SEQUENCES]
    voxels = np.stack([np.asarray(image.dataobj) for image in images], axis=3)
    one = nib.Nifti1Image(voxels, None, images[0].header)
    one.header["pixdim"], one.header["xyzt_units"] = images[0].header["pixdim"], images[0].header["xyzt_units"]
    sent = studies.parent / "sent.nii.gz"
    nib.save(one, sent)
    return sent


def _served(studies: Path, weights: Path, request: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    task = BrainTumorSegmentationInferTask(CurrentNetwork([weights], "cpu"))
    answer = run_inference({"m": task}, CaseDatastore(studies), {"model": "m", **request})
    labels = np.asarray(nib.load(answer["file"]).dataobj)
    Path(answer["file"]).unlink()
    return labels, answer["params"]["warnings"]


DOORS: dict[str, Door] = {"library": library, "studies folder": studies_folder, "upload": upload}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


def evaluated(studies: Path, weights: Path) -> Any:
    """``medsynth evaluate``: its exit status and what it wrote."""
    target = studies.parent / "figures.json"
    outcome = CliRunner().invoke(
        application, ["evaluate", str(studies), "--weights", str(weights), "--device", "cpu", "--json", str(target)]
    )
    return outcome, json.loads(target.read_text(encoding="utf-8")) if target.is_file() else None


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * float(((first > 0) & (second > 0)).sum()) / max(1.0, float((first > 0).sum() + (second > 0).sum()))


def changed_case(studies: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    head = make_head()
    write_case(studies, "P1", head, with_label=True)
    for name, channel in zip(SEQUENCES, head.sequences):
        values = change(channel.astype(np.float64)).astype(np.float32)
        write_nifti(studies / "P1" / f"P1_{name}.nii.gz", values, head.affine)
    return studies


BACKGROUNDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "intercept 10": lambda a: a + 10,
    "whole-image z-score": lambda a: (a - a.mean()) / a.std(),
    "-1..1": lambda a: 2 * a / a.max() - 1,
    "noise of 1e-4": lambda a: a + np.random.default_rng(1).normal(0, 1e-4, a.shape),
}


@pytest.mark.parametrize("change", BACKGROUNDS.values(), ids=BACKGROUNDS)
def test_other_backgrounds_give_the_same_mask(
    tmp_path: Path, weights: Path, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    expected, _ = library(changed_case(tmp_path / "plain", lambda a: a), weights)
    assert (expected > 0).any()
    studies = changed_case(tmp_path / "studies", change)
    for name, door in DOORS.items():
        labels, warnings = door(studies, weights)
        assert dice(labels, expected) > 0.98, name
        assert not any("still show the skull" in w or "no background was found" in w for w in warnings), name
    outcome, figures = evaluated(studies, weights)
    assert outcome.exit_code == 0
    plain = evaluated(tmp_path / "plain", weights)[1]["cases"]["P1"]["regions"]["WT"]["dice"]
    assert figures["cases"]["P1"]["regions"]["WT"]["dice"] == pytest.approx(plain, abs=0.02)


def edit_headers(studies: Path, **fields: Any) -> None:
    for path in studies.glob("P1/*.nii.gz"):
        image = nib.load(path)
        stored = nib.Nifti1Image(np.asarray(image.dataobj), None, image.header)
        for field, value in fields.items():
            stored.header[field] = value
        nib.save(stored, path)


HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "microns that are mm": ({"xyzt_units": 3}, "implausible_spacing"),
    "metres that are mm": ({"xyzt_units": 1}, "implausible_spacing"),
    "voxels of 40 mm": ({"sform_code": 0, "pixdim": [1, 40, 40, 40, 1, 1, 1, 1]}, "implausible_spacing"),
    "voxels of 12 mm": ({"sform_code": 0, "pixdim": [1, 12, 12, 12, 1, 1, 1, 1]}, "grid_too_large"),
    "voxels of 8 mm": ({"sform_code": 0, "pixdim": [1, 8, 8, 8, 1, 1, 1, 1]}, "implausible_extent"),
    "forms that disagree": ({"qoffset_x": 300}, "invalid_value"),
}


@pytest.mark.parametrize(("fields", "code"), HEADERS.values(), ids=HEADERS)
def test_header_that_cannot_be_is_refused_by_name_at_every_door(
    tmp_path: Path, weights: Path, fields: dict[str, Any], code: str
) -> None:
    studies = tmp_path / "studies"
    write_case(studies, "P1", make_head(), with_label=True)
    edit_headers(studies, **fields)
    for name, door in DOORS.items():
        with pytest.raises(MedSynthError) as refusal:
            door(studies, weights)
        assert (refusal.value.status, refusal.value.code) == (422, code), name
        assert str(tmp_path) not in refusal.value.message
    outcome, figures = evaluated(studies, weights)
    assert outcome.exit_code != 0
    assert figures is None or "P1" not in figures["cases"]


def test_label_without_form_codes_lies_where_the_viewer_shows_the_image(tmp_path: Path, weights: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    studies = tmp_path / "studies"
    write_case(studies, "P1", make_head())
    edit_headers(studies, sform_code=0, qform_code=0)
    case = find_case(CaseDatastore(studies), {"image": "P1"})
    task = BrainTumorSegmentationInferTask(CurrentNetwork([weights], "cpu"))
    path, _ = task({"case": case, "params": {}})
    image, label = sitk.ReadImage(str(studies / "P1" / "P1_flair.nii.gz")), sitk.ReadImage(path)
    Path(path).unlink()
    assert label.GetSize() == image.GetSize()
    for kind in ("GetOrigin", "GetDirection", "GetSpacing"):
        np.testing.assert_allclose(getattr(label, kind)(), getattr(image, kind)(), atol=1e-4)


def test_head_with_its_skull_is_refused_where_it_is_not_to_be_prepared(tmp_path: Path, weights: Path) -> None:
    """Nested spheres: scalp, bone, brain, in 3 mm voxels; larger than any brain."""
    grid = np.indices((76, 76, 76)) - 37.5
    radius = 3.0 * np.sqrt((grid**2).sum(axis=0))
    chance = np.random.default_rng(0)
    affine = np.diag([-3.0, -3.0, 3.0, 1.0])
    for name, (brain, scalp) in zip(SEQUENCES, ((600, 500), (700, 900), (720, 900), (500, 450))):
        head = np.select([radius < 72, radius < 82, radius < 92], [brain, 40, scalp], 0.0)
        values = np.abs(head + chance.normal(0, 8, head.shape)).astype(np.float32)
        write_nifti(tmp_path / "studies" / "P1" / f"P1_{name}.nii.gz", values, affine)
    as_it_is: dict[str, Door] = {
        "library": library,
        "studies folder": lambda s, w: _served(s, w, {"image": "P1", "preparation": "none"}),
        "upload": lambda s, w: _served(s, w, {"upload": str(_sent(s)), "preparation": "none"}),
    }
    for name, door in as_it_is.items():
        with pytest.raises(MedSynthError, match="shows a head with its skull") as refusal:
            door(tmp_path / "studies", weights)
        assert (refusal.value.status, refusal.value.code) == (422, "skull_present"), name
