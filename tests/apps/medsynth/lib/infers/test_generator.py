"""One task serves every generator: what is asked, what is answered, what is stored, what is refused."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from lib.audited_datastore import AuditedCases
from lib.datastore import CaseDatastore
from lib.infers import generator as infers
from lib.infers.generator import GeneratorInferTask
from lib.memorisation_gate import is_flagged
from lib.server.routes.datastore import build_router
from lib.settings import Settings
from monailabel.interfaces.tasks.infer_v2 import InferType

from medsynth_app.accounts import Role
from medsynth_app.api.error_handlers import add_error_handlers
from medsynth_app.errors import ForbiddenError, InvalidValueError, NotFoundError
from medsynth_app.imaging.provenance.marking import is_marked_synthetic, read_mark
from medsynth_app.request_context import acting_role
from medsynth_app.synthesis.measures.privacy import MemorisationAudit
from medsynth_app.synthesis.tumor.generator import generate_tumor_case
from medsynth_app.synthesis.tumor.request import TumorCaseRequest
from medsynth_app.synthesis.tumor.saving import save_tumor_case
from medsynth_app.synthesis.weights import WeightsStore

COARSE = {"volume_type": "mri_heart", "spacing_mm": "8,8,8"}


@pytest.fixture(scope="module")
def task() -> GeneratorInferTask:
    return GeneratorInferTask("volume_synthesis", WeightsStore(()))


@pytest.fixture
def store(tmp_path: Path) -> CaseDatastore:
    return CaseDatastore(tmp_path)


def ask(task: GeneratorInferTask, store: Any = None, **params: Any) -> tuple[Path, dict[str, Any]]:
    file, facts = task({"params": {**COARSE, **params}, "ignored": ("client_id",), "datastore": store, "image": "_"})
    return Path(file), facts


def test_viewers_take_it_for_no_segmentation(task: GeneratorInferTask) -> None:
    info = task.info()
    assert info["type"] == InferType.OTHERS
    assert not info["labels"]
    assert info["config"]["generator"] == ["phantom", "vae_gan", "diffusion"]
    assert info["config"]["seed"] == 0
    assert all(isinstance(value, (bool, int, float, str, list)) for value in info["config"].values())


def test_an_answer_is_marked_and_repeatable(task: GeneratorInferTask) -> None:
    (first, facts), (second, _) = ask(task, seed=5, client_id="me"), ask(task, seed="5")
    assert first.read_bytes() == second.read_bytes()
    image: Any = nib.load(first)
    mark = read_mark(image)
    assert mark is not None
    assert (mark["generator"], mark["seed"]) == ("volume_synthesis.phantom", 5)
    assert image.header.get_zooms() == pytest.approx((8, 8, 8))
    assert (facts["task"], facts["generator"], facts["seed"]) == ("volume_synthesis", "phantom", 5)
    assert facts["conditions"]["volume_type"] == "mri_heart"
    assert facts["memorisation"]["status"] == "not_applicable"
    assert "Not a medical device" in facts["notice"]
    for file in (first, second):
        file.unlink()


def test_without_a_seed_one_is_drawn_and_answered(task: GeneratorInferTask) -> None:
    (first, drawn), (second, other) = ask(task), ask(task)
    assert drawn["seed"] != other["seed"]
    again, _ = ask(task, seed=drawn["seed"])
    assert again.read_bytes() == first.read_bytes()
    for file in (first, second, again):
        file.unlink()


def test_label_and_preview_on_request(task: GeneratorInferTask) -> None:
    file, facts = ask(task, seed=1, result="label", preview="true", result_extension=".nrrd")
    assert file.read_bytes()[:4] == b"NRRD"
    assert is_marked_synthetic(file)
    assert base64.b64decode(facts["preview"].split(",")[1])[:4] == b"\x89PNG"
    assert facts["label_names"]["myocardium"] == 2
    file.unlink()


def test_saved_it_is_a_synthetic_case(task: GeneratorInferTask, store: CaseDatastore) -> None:
    file, facts = ask(task, store, seed=2, save=True)
    file.unlink()
    assert store.list_images() == [facts["image"]]
    assert store.is_synthetic(facts["image"])
    assert store.get_unlabeled_images() == [], "never proposed for annotation"
    assert store.get_image_info(facts["image"])["synthetic"]["seed"] == 2
    kept: Any = nib.load(store.get_image_uri(facts["image"]))
    assert kept.header.get_zooms() == pytest.approx((8, 8, 8))
    assert CaseDatastore(Path(store.root)).is_synthetic(facts["image"])


@pytest.mark.parametrize("status", ["flagged", "unavailable"])
def test_copies_are_stored_only_if_that_is_allowed(
    task: GeneratorInferTask, store: CaseDatastore, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    found = MemorisationAudit(status, 0.1, 0.4, 0.0)
    monkeypatch.setattr(infers, "audit_with_store", lambda *arguments: found)
    with pytest.raises(InvalidValueError, match="allow_flagged=true") as error:
        ask(task, store, seed=1, save=True)
    assert error.value.code == "memorisation_flagged"
    assert store.list_images() == []
    file, facts = ask(task, store, seed=1, save=True, allow_flagged=True)
    file.unlink()
    assert facts["memorisation"]["status"] == status
    assert store.list_images() == [facts["image"]]


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image is found too near to a training image."""
    found = MemorisationAudit("flagged", 0.1, 0.4, 0.0)
    monkeypatch.setattr(infers, "audit_with_store", lambda *arguments: found)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.usefixtures("copies")
def test_only_a_reviewer_keeps_a_copy_and_the_audit_says_so(
    task: GeneratorInferTask, tmp_path: Path, role: Role
) -> None:
    store = AuditedCases(tmp_path / "audited")
    token = acting_role.set(role.value)
    try:
        if not role.includes(Role.REVIEWER):
            with pytest.raises(ForbiddenError, match="needed is 'reviewer'"):
                ask(task, store, seed=1, save=True, allow_flagged=True)
            assert store.list_images() == []
            return
        file, facts = ask(task, store, seed=1, save=True, allow_flagged=True)
        file.unlink()
    finally:
        acting_role.reset(token)
    noted = [row for row in store.audit.last(9) if row["action"] == "memorisation.overridden"]
    assert [(row["case"], row["status"]) for row in noted] == [(facts["image"], "flagged")]


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd"])
@pytest.mark.usefixtures("copies")
def test_a_copy_that_is_fetched_says_so_in_its_mark(task: GeneratorInferTask, ending: str) -> None:
    file, facts = ask(task, seed=1, result_extension=ending)
    assert is_flagged(file)
    assert facts["synthetic"]["memorisation"] == "flagged"
    file.unlink()


def test_what_is_news_has_no_flag(task: GeneratorInferTask) -> None:
    file, facts = ask(task, seed=1)
    assert not is_flagged(file)
    assert "memorisation" not in facts["synthetic"]
    file.unlink()


@pytest.mark.usefixtures("copies")
def test_a_copy_that_is_uploaded_is_flagged_again(task: GeneratorInferTask, tmp_path: Path) -> None:
    """An annotator fetched it without ``save`` and uploaded it: stored, and no trace in the audit."""
    file, _ = ask(task, seed=1)
    store = AuditedCases(tmp_path / "audited")
    server = FastAPI()
    server.include_router(build_router(store, Settings(tmp_path), lambda *names: None))
    add_error_handlers(server)
    client = TestClient(server)

    def put(role: str, params: str = "{}") -> Response:
        token = acting_role.set(role)
        try:
            files = {"file": ("a.nii.gz", file.read_bytes())}
            return client.put("/datastore/image?image=copy", files=files, data={"params": params})
        finally:
            acting_role.reset(token)

    assert put("annotator").json()["code"] == "memorisation_flagged"
    assert put("annotator", '{"allow_flagged": true}').status_code == 403
    assert store.list_images() == []
    assert put("reviewer", '{"allow_flagged": true}').status_code == 200
    assert [row["action"] for row in store.audit.last(2)] == ["memorisation.overridden", "case.stored"]
    file.unlink()


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"generator": "gan"}, "generator: 'gan' must be one of phantom, vae_gan, diffusion"),
        ({"generator": "vae_gan", "age": 51}, "age: is no condition of this generator, known are volume_type"),
        ({"seed": "seven"}, "seed: 'seven' must be a whole number"),
        ({"seed": None}, "seed: None must be a whole number"),
        ({"spacing_mm": "0,0,0"}, "spacing_mm: 0 must be between"),
        ({"pathology": "nodule"}, "pathology: 'nodule' is impossible in mri_heart"),
        ({"colour": 1}, "colour: is no condition of this generator"),
        ({"result": "both"}, "result: 'both' must be one of image, label"),
        ({"result_extension": ".exe"}, "result_extension: '.exe' must be one of"),
        ({"save": "perhaps"}, "save: 'perhaps' must be true or false"),
    ],
)
def test_wrong_requests_are_refused_by_name(
    task: GeneratorInferTask, params: dict[str, Any], complaint: str
) -> None:
    given = {k: v for k, v in {**COARSE, **params}.items() if params.get("generator") is None or k != "spacing_mm"}
    with pytest.raises(InvalidValueError, match=complaint):
        task({"params": given, "datastore": None, "image": "_"})


def test_missing_weights_name_the_generator_and_a_way_out(task: GeneratorInferTask) -> None:
    with pytest.raises(InvalidValueError, match="diffusion of ct_chest has no weights .*generator=phantom"):
        task({"params": {"generator": "diffusion", "volume_type": "ct_chest"}, "datastore": None, "image": "_"})


def test_a_mask_for_a_task_that_takes_none_is_refused(task: GeneratorInferTask, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="label: this generator takes no such upload"):
        task({"params": dict(COARSE), "label": tmp_path / "mask.nii.gz", "datastore": None, "image": "_"})


@pytest.mark.parametrize("volume_ml", [0, 2000])
def test_impossible_tumours_are_refused(volume_ml: float) -> None:
    tumor = GeneratorInferTask("tumor_case_synthesis", WeightsStore(()))
    with pytest.raises(InvalidValueError, match=f"volume_ml: {volume_ml} must be a number between 0.5 and 350"):
        tumor({"params": {"volume_ml": volume_ml}, "datastore": None, "image": "_"})


def test_a_mask_on_a_foreign_grid_is_refused(tmp_path: Path) -> None:
    tumor = GeneratorInferTask("tumor_case_synthesis", WeightsStore(()))
    nib.save(nib.Nifti1Image(np.ones((20, 20, 20), np.uint8), np.eye(4)), tmp_path / "mask.nii.gz")
    with pytest.raises(InvalidValueError, match="label: its grid .* is foreign"):
        tumor({"params": {"spacing_mm": 3}, "label": tmp_path / "mask.nii.gz", "datastore": None, "image": "_"})


def test_an_unknown_task_lists_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match="there is no 'dreams', known are tumor_case_synthesis, volume_synthesis"):
        GeneratorInferTask("dreams", WeightsStore(()))


def test_a_host_is_a_case_of_the_datastore(tmp_path: Path) -> None:
    """Named by its id alone: a path names no case, and its final label goes on in the new one."""
    case = generate_tumor_case(TumorCaseRequest(seed=3, side="left", volume_ml=15.0, spacing_mm=3.0))
    save_tumor_case(case, tmp_path, "head")
    store = CaseDatastore(tmp_path)
    tumor = GeneratorInferTask("tumor_case_synthesis", WeightsStore(()))
    asked = {"host": "head", "side": "right", "volume_ml": 8, "seed": 2, "save": True, "result": "label"}
    file, facts = tumor({"params": asked, "ignored": (), "datastore": store, "image": "_"})
    Path(file).unlink()
    assert facts["host"] == "head"
    assert facts["synthetic"]["conditions"]["host_digest"]
    kept = store.labelled_case(facts["image"])
    label = np.asarray(nib.load(kept.label).dataobj)
    assert (label[case.label > 0] > 0).all()
    assert store.is_synthetic(facts["image"])
    for wrong in ("nobody", str(tmp_path / "head"), "../head"):
        with pytest.raises(NotFoundError, match="host: there is no case"):
            tumor({"params": {"host": wrong}, "ignored": (), "datastore": store, "image": "_"})
    with pytest.raises(InvalidValueError, match="host: a DICOMweb server"):
        tumor({"params": {"host": "head"}, "ignored": (), "datastore": None, "image": "_"})
