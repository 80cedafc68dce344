"""One task serves every generator: what is asked, what is answered, what is stored, what is refused."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from lib.datastore import CaseDatastore
from lib.infers import generator as infers
from lib.infers.generator import GeneratorInferTask
from monailabel.interfaces.tasks.infer_v2 import InferType

from medsynth_app.errors import InvalidValueError, NotFoundError
from medsynth_app.imaging.marking import is_marked_synthetic, read_mark
from medsynth_app.synthesis.privacy import MemorisationAudit
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
