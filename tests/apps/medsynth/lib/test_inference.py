"""Which keys of a client count, and which case a request means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lib.datastore import CaseDatastore
from lib.inference import SERVER_KEYS, VIEWER_KEYS, find_case, parse_params, run_inference

from medsynth_app.errors import MalformedRequestError, NotFoundError, UnsupportedKindError


class Recorder:
    """A task that remembers its request."""

    requires_image = True

    def __init__(self, result: Path) -> None:
        self.result = result
        self.request: dict[str, Any] = {}

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        self.request = request
        return str(self.result), {"fact": 1}


@pytest.fixture
def store(tmp_path: Path, build: Any) -> CaseDatastore:
    build.case(tmp_path / "studies", "one", build.head(seed=1))
    return CaseDatastore(tmp_path / "studies")


@pytest.fixture
def task(tmp_path: Path, build: Any) -> Recorder:
    head = build.head(seed=1)
    return Recorder(build.nifti(tmp_path / "result.nii.gz", head.labels, head.affine))


@pytest.mark.parametrize("text", ["", "  ", "{}"])
def test_empty_params_are_no_params(text: str) -> None:
    assert parse_params(text) == {}


DEEP = '{"a": ' + "[" * 300 + "]" * 300 + "}"
MALFORMED = ["{", "[]", "3", "null", '"x"', "nan", "{'a': 1}", "[" * 50_000, '"\\ud800"', '{"a": "\\ud800"}', DEEP]


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_params_are_a_400(text: str) -> None:
    with pytest.raises(MalformedRequestError, match="params: ") as caught:
        parse_params(text)
    assert (caught.value.status, caught.value.code) == (400, "malformed")


def test_server_keys_of_a_client_never_reach_the_task(store: CaseDatastore, task: Recorder) -> None:
    client = {**dict.fromkeys(SERVER_KEYS, "evil"), "precision": "fp32"}
    run_inference({"m": task}, store, {"model": "m", "image": "one", "params": client})
    assert task.request["params"] == {"precision": "fp32"}
    assert task.request["ignored"] == VIEWER_KEYS
    assert task.request["case"].name == "one"


def test_label_is_saved_where_the_server_asks_for_it(store: CaseDatastore, task: Recorder) -> None:
    request = {"model": "m", "image": "one", "save_label": True, "label_tag": "batch"}
    result = run_inference({"m": task}, store, request)
    assert (result["label"], result["tag"]) == ("one", "batch")
    assert store.label_file("one", "batch").is_file()
    assert store.get_label_info("one", "batch")["params"] == {"fact": 1}


def test_nothing_is_saved_otherwise(store: CaseDatastore, task: Recorder) -> None:
    params = {"save_label": True, "label_tag": "final"}
    result = run_inference({"m": task}, store, {"model": "m", "image": "one", "params": params})
    assert result["label"] == result["file"] == str(task.result)
    assert store.get_labeled_images() == []


def test_unknown_model_lists_the_known_ones(store: CaseDatastore, task: Recorder) -> None:
    with pytest.raises(NotFoundError, match="no 'liver', known are m") as caught:
        run_inference({"m": task}, store, {"model": "liver", "image": "one"})
    assert caught.value.code == "unknown_model"


def test_upload_is_a_case_of_its_own(store: CaseDatastore, build: Any, tmp_path: Path) -> None:
    path = build.four_dimensional(tmp_path / "u.nii.gz")
    case = find_case(store, {"upload": str(path), "image": "one"})
    assert (case.name, case.combined) == ("upload", path)


def test_upload_that_is_no_image_is_called_so(store: CaseDatastore, tmp_path: Path) -> None:
    (tmp_path / "u.nii.gz").write_bytes(b"junk" * 100)
    with pytest.raises(UnsupportedKindError, match="file: not a readable NIfTI"):
        find_case(store, {"upload": str(tmp_path / "u.nii.gz")})
