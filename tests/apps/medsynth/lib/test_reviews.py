"""Reviews: the queue, decisions that hold for one version, and what they mean for rounds and trainings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from lib.audited_datastore import AuditedCases
from lib.datastore import CaseDatastore
from lib.reviews import LabelReviews

from medsynth_app.api.error_handlers import add_error_handlers
from medsynth_app.api.routes.reviews import get_reviews, router


@pytest.fixture
def head(build: Any) -> Any:
    return build.head(seed=1)


@pytest.fixture
def store(tmp_path: Path, build: Any, head: Any) -> CaseDatastore:
    for case in ("first", "second", "third"):
        build.case(tmp_path / "studies", case, head)
    return AuditedCases(tmp_path / "studies")


@pytest.fixture
def submit(store: CaseDatastore, build: Any, head: Any, tmp_path: Path) -> Any:
    def save(case: str, author: str, **changed: int) -> None:
        labels = head.labels.copy()
        labels[0, 0, 0] = changed.get("corner", 0)
        file = build.nifti(tmp_path / "label.nii.gz", labels, head.affine)
        store.save_label(case, str(file), "final", {"author": author})

    return save


@pytest.fixture
def client(store: CaseDatastore) -> TestClient:
    server = FastAPI()
    server.include_router(router)
    server.dependency_overrides[get_reviews] = lambda: LabelReviews(store)
    add_error_handlers(server)
    return TestClient(server, raise_server_exceptions=False)


def states(client: TestClient, query: str = "") -> list[tuple[str, int, str]]:
    rows = client.get(f"/reviews{query}").json()["reviews"]
    return [(row["case"], row["version"], row["status"]) for row in rows]


def test_queue_decisions_and_filters(client: TestClient, submit: Any) -> None:
    assert states(client) == []
    submit("first", "kim")
    submit("second", "lee")
    assert states(client) == [("first", 1, "waiting"), ("second", 1, "waiting")]
    done = client.post("/reviews/first/1", json={"decision": "accept"})
    assert done.status_code == 200
    assert done.json()["status"] == "accepted"
    assert states(client) == [("second", 1, "waiting"), ("first", 1, "accepted")], "what waits comes first"
    assert states(client, "?status=accepted") == [("first", 1, "accepted")]
    assert states(client, "?author=lee") == [("second", 1, "waiting")]


def test_sent_back_is_to_be_annotated_again_until_the_next_version(
    client: TestClient, store: CaseDatastore, submit: Any
) -> None:
    submit("first", "kim")
    assert store.get_labeled_images() == ["first"]
    body = {"decision": "send_back", "note": "the rim is missing"}
    assert client.post("/reviews/first/1", json=body).json()["status"] == "sent_back"
    again = CaseDatastore(store.root)
    for each in (store, again):
        assert each.get_labeled_images() == []
        assert "first" in each.get_unlabeled_images()
        assert each.datalist() == []
    assert client.get("/reviews").json()["reviews"][0]["note"] == "the rim is missing"
    submit("first", "kim", corner=1)
    assert states(client) == [("first", 2, "waiting")]
    assert store.get_labeled_images() == ["first"]
    versions = client.get("/reviews/first").json()["versions"]
    assert [len(version["reviews"]) for version in versions] == [1, 0]


def test_what_was_sent_back_stays_so_when_the_index_is_lost(
    client: TestClient, store: CaseDatastore, submit: Any
) -> None:
    submit("first", "kim")
    client.post("/reviews/first/1", json={"decision": "send_back", "note": "again"})
    Path(store._datastore_config_path).unlink()
    again = CaseDatastore(store.root)
    assert again.get_labeled_images() == []
    assert LabelReviews(again).queue(None, "")[0]["status"] == "sent_back"


def test_a_decision_is_audited_with_its_version(client: TestClient, store: CaseDatastore, submit: Any) -> None:
    submit("first", "kim")
    client.post("/reviews/first/1", json={"decision": "accept"})
    line = json.loads((store.root / ".medsynth" / "audit.jsonl").read_text().splitlines()[-1])
    assert (line["action"], line["case"], line["version"], line["status"]) == ("label.reviewed", "first", 1, "accepted")


def test_versions_side_by_side(client: TestClient, submit: Any, tmp_path: Path) -> None:
    submit("first", "kim")
    submit("first", "lee", corner=3)
    found = client.get("/reviews/first/compare?first=1&second=2").json()
    assert found["voxels_changed"] == 1
    assert found["regions"]["WT"]["dice"] < 1
    same = client.get("/reviews/first/compare?first=2&second=2").json()
    assert same["regions"]["ET"] == {"dice": 1.0, "hd95_mm": 0.0}
    answer = client.get("/reviews/first/difference?first=1&second=2")
    (tmp_path / "d.nii.gz").write_bytes(answer.content)
    difference = np.asarray(nib.load(tmp_path / "d.nii.gz").dataobj)
    assert difference[0, 0, 0] == found["difference_names"]["only_second"]
    assert np.count_nonzero(difference) == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("first/1", {"decision": "accept"}, 409, "is not the newest, which is 2"),
        ("first/7", {"decision": "accept"}, 404, "no label version 7, there are 1, 2"),
        ("nobody/1", {"decision": "accept"}, 404, "nobody"),
        ("third/1", {"decision": "accept"}, 404, "there are none"),
        ("first/2", {"decision": "burn"}, 422, "decision: 'burn' must be one of accept, send_back"),
        ("first/2", {"decision": "send_back"}, 422, "note: is empty"),
        ("first/2", {"decision": "accept", "note": "x" * 2001}, 422, "at most 2000 characters"),
        ("first/2", {"decision": ["accept"], "note": 3}, 422, "decision"),
    ],
)
def test_unfit_decisions_are_named_and_change_nothing(
    client: TestClient, submit: Any, path: str, body: dict[str, Any], status: int, words: str
) -> None:
    submit("first", "kim")
    submit("first", "kim", corner=1)
    answer = client.post(f"/reviews/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert states(client) == [("first", 2, "waiting")]


@pytest.mark.parametrize(
    "query", ["?status=done", "/first/compare?first=1&second=9", "/first/compare?first=0&second=1"]
)
def test_unfit_questions_are_named(client: TestClient, submit: Any, query: str) -> None:
    submit("first", "kim")
    assert client.get(f"/reviews{query}").status_code in (404, 422)


def test_a_removed_label_leaves_the_queue(client: TestClient, store: CaseDatastore, submit: Any) -> None:
    submit("first", "kim")
    store.remove_label("first", "final")
    assert states(client) == []
    assert client.post("/reviews/first/1", json={"decision": "accept"}).status_code == 409
