"""``GET /info/``: the same bytes until something in them changes, and no waiting for who writes a label."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from lib.datastore import CaseDatastore
from lib.server.routes import info


@dataclass
class Trainer:
    progress: dict[str, Any] = field(default_factory=dict)

    def stats(self) -> dict[str, Any]:
        return self.progress


@dataclass
class Model:
    ready: bool = True

    def is_valid(self) -> bool:
        return self.ready


class App:
    """Describes itself and counts how often it had to."""

    def __init__(self, store: CaseDatastore) -> None:
        self.store, self.described = store, 0
        self.trainer, self.model = Trainer(), Model()

    def info(self) -> dict[str, Any]:
        self.described += 1
        return {"train_stats": {"m": self.trainer.stats()}, "models": ["m"] * self.model.ready,
                "datastore": self.store.status()}  # fmt: skip

    def infers(self) -> dict[str, Any]:
        return {"m": self.model}

    def trainers(self) -> dict[str, Any]:
        return {"m": self.trainer}

    def datastore(self) -> CaseDatastore:
        return self.store


@pytest.fixture
def app(build: Any, tmp_path: Path) -> App:
    build.case(tmp_path / "studies", "case_1", build.head((12, 12, 8)))
    return App(CaseDatastore(tmp_path / "studies"))


@pytest.fixture
def client(app: App) -> TestClient:
    server = FastAPI()
    server.include_router(info.build_router(app))
    return TestClient(server)


def test_described_once_while_nothing_changes(client: TestClient, app: App) -> None:
    first = client.get("/info/")
    assert first.json()["datastore"] == {"total": 1, "completed": 0, "label_tags": {}}
    assert client.get("/info/").content == first.content
    assert app.described == 1


def test_each_change_is_seen(client: TestClient, app: App, build: Any, tmp_path: Path) -> None:
    client.get("/info/")
    app.trainer.progress = {"epoch": 2, "loss": float("nan")}
    assert client.get("/info/").json()["train_stats"] == {"m": {"epoch": 2, "loss": None}}
    app.model.ready = False
    assert client.get("/info/").json()["models"] == []
    head = build.head((12, 12, 8))
    label = build.nifti(tmp_path / "l.nii.gz", head.labels, head.affine)
    app.store.save_label("case_1", str(label), "final", {})
    counts = {"total": 1, "completed": 1, "label_tags": {"final": 1}}
    assert client.get("/info/").json()["datastore"] == counts
    build.case(tmp_path / "studies", "case_2", head)
    app.store._last_look = 0.0
    assert client.get("/info/").json()["datastore"]["total"] == 2


def test_it_does_not_wait_for_who_changes_the_index(client: TestClient, app: App) -> None:
    client.get("/info/")
    holding, end = threading.Event(), threading.Event()

    def change() -> None:
        with app.store._changing():
            holding.set()
            end.wait(20)

    thread = threading.Thread(target=change)
    thread.start()
    assert holding.wait(20)
    begin = time.perf_counter()
    try:
        assert client.get("/info/").status_code == 200
        assert time.perf_counter() - begin < 5
    finally:
        end.set()
        thread.join()
