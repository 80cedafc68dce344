"""``POST /infer/{model}`` around a stand-in application: queue, files, answers."""

from __future__ import annotations

import gzip
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from lib.server.routes import infer
from lib.settings import Settings

from medsynth_app.api.error_handlers import add_error_handlers
from medsynth_app.api.metrics import Metrics
from medsynth_app.errors import InvalidValueError

PACKED = gzip.compress(b"an image")


class App:
    """Answers a small file; waits before that while ``gate`` is closed."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(folder / "model", inference_slots=1, inference_queue=2)
        self.gate = threading.Event()
        self.gate.set()
        self.requests: list[dict[str, Any]] = []
        self.fault: Exception | None = None

    def infer(self, request: dict[str, Any], datastore: Any = None) -> dict[str, Any]:
        self.requests.append({**request, "existed": Path(request.get("upload", "/")).exists()})
        assert self.gate.wait(20)
        if self.fault:
            raise self.fault
        with tempfile.NamedTemporaryFile(suffix=".nii.gz", delete=False) as file:
            file.write(b"mask")
        return {"file": file.name, "params": {"a": 1}}

    def infers(self) -> dict[str, Any]:
        return dict.fromkeys(("generator", "m", "needs_image"))

    def datastore(self) -> Any:
        return None

    def requires_image(self, model: str) -> bool:
        return model == "needs_image"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return App(tmp_path)


@pytest.fixture
def client(app: App) -> Iterator[TestClient]:
    with served(app) as client:
        yield client


def served(app: App) -> TestClient:
    """Enter it: then all requests share one event loop, as on a server."""
    server = FastAPI()
    server.include_router(infer.build_router(app, Metrics()))
    add_error_handlers(server)
    return TestClient(server, raise_server_exceptions=False)


def left_files(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "temporary").iterdir())


def test_model_without_need_of_an_image_runs_on_none(client: TestClient, app: App) -> None:
    response = client.post("/infer/generator?image=_&output=json", data={"params": '{"seed": 3}'})
    assert response.json() == {"a": 1}
    assert app.requests[0]["params"] == {"seed": 3}


def test_upload_and_label_are_there_while_it_runs_only(client: TestClient, app: App, tmp_path: Path) -> None:
    files = {"file": ("a.nii.gz", PACKED), "label": ("b.nii.gz", PACKED)}
    for output, content in (("image", b"mask"), ("all", b"mask"), ("json", b'"a"')):
        response = client.post(f"/infer/m?output={output}", files=files)
        assert response.status_code == 200
        assert content in response.content
    assert all(request["existed"] for request in app.requests)
    assert left_files(tmp_path) == []


@pytest.mark.parametrize(
    "fault", [InvalidValueError("image: wrong"), RuntimeError("defect in /srv/app/x.py")]
)
def test_nothing_stays_after_an_error(client: TestClient, app: App, tmp_path: Path, fault: Exception) -> None:
    app.fault = fault
    response = client.post("/infer/m", files={"file": ("a.nii.gz", PACKED)})
    assert response.status_code == (422 if isinstance(fault, InvalidValueError) else 500)
    assert set(response.json()) == {"detail", "code"}
    assert "/srv" not in response.text
    assert left_files(tmp_path) == []


def test_file_answer_is_removed_after_it_was_sent(client: TestClient, tmp_path: Path) -> None:
    assert client.post("/infer/m?output=image").content == b"mask"
    assert left_files(tmp_path) == []


def test_more_requests_than_slots_and_places_are_told_to_come_again(client: TestClient, app: App) -> None:
    app.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(client.post, "/infer/m?output=json") for _ in range(8)]
        refused = [job for job in jobs if _is_refused_soon(job)]
        app.gate.set()
        answers = [job.result() for job in jobs]
    counts = Counter(answer.status_code for answer in answers)
    assert counts == {200: 3, 503: 5}
    assert len(refused) == 5
    for answer in answers:
        if answer.status_code == 503:
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.json()["code"] == "overloaded"


def _is_refused_soon(job: Any) -> bool:
    """Refusals come while the running one still runs; three never come before the gate opens."""
    try:
        return job.result(timeout=1.0).status_code == 503
    except futures.TimeoutError:  # another than the built-in one before Python 3.11
        return False


def test_waiting_too_long_is_a_503(tmp_path: Path) -> None:
    app = App(tmp_path)
    app.settings = Settings(tmp_path, inference_slots=1, inference_queue=5, inference_timeout_seconds=1)
    app.gate.clear()
    with served(app) as client, ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.post, "/infer/m?output=json")
        while not app.requests:
            pass
        second = pool.submit(client.post, "/infer/m?output=json").result()
        app.gate.set()
        assert first.result().status_code == 200
    assert second.status_code == 503
    assert "within 1 seconds" in second.json()["detail"]


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/infer/needs_image", 400, "image: name a case"),
        ("/infer/m?session_id=x", 422, "session_id"),
        ("/infer/m?output=dicom_seg", 422, "output: dicom_seg"),
        ("/infer/m?output=x", 422, "output"),
    ],
)
def test_requests_that_cannot_be_served_never_reach_the_model(
    client: TestClient, app: App, path: str, status: int, word: str
) -> None:
    response = client.post(path)
    assert response.status_code == status
    assert word in response.json()["detail"]
    assert app.requests == []


def test_an_unknown_model_never_waits(client: TestClient, app: App) -> None:
    app.gate.clear()
    response = client.post("/infer/nobody?output=json")
    assert (response.status_code, response.json()["code"]) == (404, "unknown_model")
