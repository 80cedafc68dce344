"""Training over REST: a new model without a restart, and no process that outlives its reason."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

MODEL = "brain_tumor_segmentation"
OPTIONS = {
    "max_epochs": 2, "patches_per_case": 1, "patch_size": "64,32,32", "val_split": 0, "learning_rate": 0.01,
    "seed": "0.0",
}  # fmt: skip
LONG = {**OPTIONS, "max_epochs": 10000, "patch_size": "64,64,64"}
PATIENCE_SECONDS = 800

pytestmark = pytest.mark.timeout(1200)  # a starved machine needs minutes to import torch in a new process


def training_processes(served: Any) -> list[psutil.Process]:
    """Processes that the server started."""
    try:
        return psutil.Process(served.process.process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def wait_for(what: Any, seconds: float = PATIENCE_SECONDS) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError("it did not happen in time")


def start_training(served: Any, options: dict[str, Any]) -> dict[str, Any]:
    response = served.request("POST", f"/train/{MODEL}", json=options)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture(autouse=True)
def _nothing_goes_on(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that fails leaves no training for the next one."""
    yield
    if "served" in request.fixturenames:
        request.getfixturevalue("served").request("DELETE", "/train/")


@pytest.fixture
def weights_put_back(served: Any) -> Iterator[None]:
    """Other tests count on what the first weights find."""
    path = served.model_folder / f"{MODEL}.safetensors"
    kept = path.read_bytes()
    yield
    path.write_bytes(kept)


@pytest.mark.usefixtures("weights_put_back")
def test_training_ends_and_the_new_model_is_served_without_restart(served: Any, repository: Path) -> None:
    before = served.get(f"/model/info/{MODEL}").json()["checksum"]
    facts = served.infer("case_1", output="json").json()
    task = start_training(served, OPTIONS)
    assert task["status"] in ("SUBMITTED", "RUNNING")
    assert "bundle_path" not in task["request"]

    running = wait_for(lambda: served.get("/train/", params={"check_if_running": "true"}).status_code == 200)
    assert running
    second = served.request("POST", f"/train/{MODEL}", json=OPTIONS)
    assert (second.status_code, second.json()["code"]) == (429, "busy")
    assert int(second.headers["Retry-After"]) > 0

    status = wait_for(lambda: _ended(served))
    assert status["status"] == "DONE", status["details"]
    assert str(served.model_folder) not in json.dumps(status)
    assert str(repository) not in json.dumps(status)

    stats = served.get("/info/").json()["train_stats"][MODEL]
    assert (stats["epoch"], stats["total_epochs"], stats["published"]) == (2, 2, True)
    assert {"total_time", "best_metric", "start_ts"} <= set(stats)
    assert served.get(f"/model/info/{MODEL}").json()["checksum"] != before
    after = served.infer("case_1", output="json").json()
    assert after["model_step"] == 4
    assert after["model_step"] != facts["model_step"]
    assert list((served.model_folder / MODEL / "runs").iterdir()) == []
    assert training_processes(served) == []


def _ended(served: Any, path: str = "/train/") -> dict[str, Any] | None:
    status = served.get(path).json()
    return status if status["status"] not in ("SUBMITTED", "RUNNING") else None


def test_stopping_leaves_no_process(served: Any) -> None:
    start_training(served, LONG)
    wait_for(lambda: training_processes(served))
    stopped = served.request("DELETE", "/train/")
    assert stopped.json()["status"] == "STOPPED"
    wait_for(lambda: not training_processes(served), 20)
    assert served.get("/train/", params={"check_if_running": "true"}).status_code == 404
    assert served.get("/train/").json()["status"] == "STOPPED"
    assert served.request("DELETE", "/train/").json() is None
    assert served.infer("case_1", output="json").status_code == 200


def test_batch_inference_keeps_a_label_of_every_case(served: Any) -> None:
    options = {"label_tag": "batch", "max_workers": "1", "device": "cuda", "bundle_path": "x", "gpus": "0; x"}
    task = served.request(
        "POST", f"/batch/infer/{MODEL}", params={"images": "unlabeled"}, json=options
    ).json()
    assert "bundle_path" not in task["request"]
    status = wait_for(lambda: _ended(served, "/batch/infer"))
    assert status["status"] == "DONE", status["details"]
    for case in ("case_1", "volume"):
        query = {"label": case, "tag": "batch"}
        wait_for(lambda: served.get("/datastore/label", params=query).status_code == 200, 10)  # noqa: B023
        info = served.get("/datastore/label/info", params={"label": case, "tag": "batch"}).json()
        assert info["model"] == MODEL
        assert served.request("DELETE", f"/datastore/label?id={case}&tag=batch").status_code == 200
    assert served.get("/datastore/label?label=case_2&tag=batch").status_code == 404


STATS = [
    '{"epoch": NaN, "eval": {"WT": Infinity}, "list": [NaN]}',
    '{"epoch": 3, "tot',
    "",
    "[1, 2]",
    "null",
    "\x00\x01",
    '{"epoch": 1e999}',
]


@pytest.mark.parametrize("content", STATS)
def test_broken_statistics_never_break_info(served: Any, content: str) -> None:
    path = served.model_folder / MODEL / "train_stats.json"
    path.parent.mkdir(exist_ok=True)
    kept = path.read_bytes() if path.exists() else None
    path.write_text(content)
    try:
        response = served.get("/info/")
        assert response.status_code == 200
        json.loads(response.text, parse_constant=pytest.fail)
        assert served.get(f"/model/info/{MODEL}").status_code == 200
        assert served.infer("case_1", output="json").status_code == 200
    finally:
        path.unlink()
        if kept is not None:
            path.write_bytes(kept)


@pytest.mark.usefixtures("weights_put_back")
def test_broken_published_weights_are_passed_over(served: Any) -> None:
    path = served.model_folder / f"{MODEL}.safetensors"
    path.write_bytes(path.read_bytes()[:2000])
    response = served.infer("case_1", output="json")
    assert response.status_code in (200, 404), "the shipped weights, or a clear word that there are none"
    assert served.get("/info/").status_code == 200


def test_killed_server_takes_its_training_along(start_server: Any, tmp_path: Path, build: Any) -> None:
    served = start_server(tmp_path)
    for seed, name in enumerate(("a", "b")):
        build.case(served.studies, name, build.head(seed=seed), with_label=True)
    with served.process:
        start_training(served, LONG)
        children = wait_for(lambda: training_processes(served))
        # Only once it trains has the process asked to die with its server.
        wait_for(lambda: (served.model_folder / MODEL / "train_stats.json").exists())
        os.kill(served.process.process.pid, signal.SIGKILL)
        gone, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert len(gone) == len(children)
    again = start_server(tmp_path)
    with again.process:
        status = again.get("/train/").json()
        assert (status["status"], status["broken_off"], status["request"]["model"]) == ("ERROR", True, MODEL)
        assert "broken off" in status["details"][0]
        assert [run["model"] for run in again.get("/medsynth/api/rounds").json()["broken_off"]] == [MODEL]
        actions = [row["action"] for row in again.get("/medsynth/api/audit").json()["changes"]]
        assert actions.count("training.broken_off") == 1
        assert again.get("/train/", params={"check_if_running": "true"}).status_code == 404
