"""Rounds over REST: a case out, its label back, a better model, the next case; and nothing is lost on the way."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import requests
import uvicorn
from fastapi import FastAPI
from lib.catalogue import build_strategies
from lib.datastore import CaseDatastore
from lib.model_history import ModelHistory
from lib.rounds import AnnotationRounds
from lib.server.routes import activelearning as activelearning_routes
from lib.server.routes import datastore as datastore_routes
from lib.settings import Settings
from monailabel.client import MONAILabelClient

from medsynth_app.api.router import build_router as build_own_router
from medsynth_app.api.routes.rounds import get_rounds
from medsynth_app.segmentation.current_network import CurrentNetwork

MODEL = "brain_tumor_segmentation"
NAMES = ("necrotic_core", "edema", "enhancing_tumor")
TRAINING = {
    "max_epochs": 12, "patches_per_case": 4, "patch_size": "64,32,32", "val_split": 0.5, "learning_rate": 0.02,
}  # fmt: skip
PATIENCE_SECONDS = 800
FULL = "MEDSYNTH_FULL" in os.environ
"""The full run takes many minutes; without it the same tests run shortened."""
ROUNDS = 50 if FULL else 8
"""Cases of each of the two annotators."""
FORKED_KILLS = 30 if FULL else 5
"""How often the forked server is killed; the stock one, which takes long to start, is killed once."""
CASES_A_KILL = 60
"""More than two annotators label before the kill: a server without work left would be killed in vain."""

pytestmark = pytest.mark.timeout(1800)


def wait_for(what: Any, seconds: float = PATIENCE_SECONDS) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError("it did not happen in time")


@pytest.fixture(scope="module")
def rounds_server(start_server: Any, build: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two labelled cases, five without a label, one of them synthetic."""
    served = start_server(tmp_path_factory.mktemp("rounds"))
    for seed in range(7):
        build.case(served.studies, f"case_{seed}", build.head(seed=seed), with_label=seed < 2)
    with served.process:
        params = json.dumps({"save": True, "seed": 3, "result": "label", "spacing_mm": 3})
        made = served.request("POST", "/infer/tumor_case_synthesis", data={"params": params}, params={"image": "_"})
        assert made.status_code == 200, made.text
        yield served


def rounds_of(served: Any) -> dict[str, Any]:
    response = served.get("/medsynth/api/rounds")
    assert response.status_code == 200, response.text
    return response.json()


def background_done(served: Any) -> bool:
    work = rounds_of(served)["background"]
    return work["labels_to_score"] == 0 and work["assessed"] == work["cases"]


def correct_label(tmp_path: Path, build: Any, case: str) -> Path:
    """What an annotator would draw: the truth."""
    head = build.head(seed=int(case.rsplit("_", 1)[1]))
    return build.nifti(tmp_path / f"{case}.nii.gz", head.labels, head.affine)


def test_a_whole_round_in_the_order_of_slicers_calls(rounds_server: Any, build: Any, tmp_path: Path) -> None:
    served = rounds_server
    client = MONAILabelClient(served.url, tmpdir=str(tmp_path), client_id="slicer")
    assert client.auth_enabled() is False
    info = client.info()
    assert info["scoring"] == {"agreement": {"description": info["scoring"]["agreement"]["description"]}}
    strategy = next(iter(info["strategies"]))
    assert strategy == "uncertain_and_diverse"
    config = info["strategies"][strategy]["config"]
    assert all(isinstance(value, str) or all(isinstance(v, str) for v in value) for value in config.values())
    rounds_of(served)  # somebody looks: the background work starts
    wait_for(lambda: background_done(served), 300)

    # Next sample, as the plugin sends a strategy's table: texts, and a choice as its first entry.
    table = {key: value[0] if isinstance(value, list) else value for key, value in config.items()}
    sample = client.next_sample(strategy, table)
    case = sample["id"]
    assert case in {f"case_{seed}" for seed in range(2, 7)}, "neither labelled nor generated cases"
    assert sample["cases"][0]["uncertainty"] > 0
    assert sample["cases"][0]["distance"] > 0
    assert served.get("/datastore/image", params={"image": case}).status_code == 200
    client.datastore()
    client.info()
    assert served.get("/datastore/label", params={"label": case, "tag": "original"}).status_code == 404
    file, _ = client.infer(MODEL, case, {"result_extension": ".nrrd", "result_dtype": "uint8", "client_id": "slicer"})
    assert Path(file).stat().st_size > 0

    # Submit, with the segments in the annotator's own order.
    head = build.head(seed=int(case.rsplit("_", 1)[1]))
    swapped = np.array([0, 3, 1, 2], dtype=np.uint8)[head.labels]
    label = build.nifti(tmp_path / "label.nii.gz", swapped, head.affine)
    rows = [{"name": name, "idx": 5 + i} for i, name in enumerate((NAMES[1], NAMES[2], NAMES[0]))]
    client.save_label(case, str(label), params={"label_info": rows, "model": MODEL, "client_id": "slicer"})
    client.info()
    stored = served.get("/datastore/label", params={"label": case}).content
    (tmp_path / "back.nii.gz").write_bytes(stored)
    assert np.array_equal(np.asarray(nib.load(tmp_path / "back.nii.gz").dataobj), head.labels)  # type: ignore[attr-defined]
    wait_for(lambda: background_done(served), 300)
    open_round = rounds_of(served)["rounds"][-1]
    assert (open_round["cases"], open_round["annotators"], open_round["open"]) == ([case], ["slicer"], True)
    assert set(open_round["agreement"]) == set(NAMES)
    assert 0 <= open_round["dice_before"] < 0.5, "the first weights know nothing"
    assert open_round["minutes_per_case"] is not None

    # Train, polled as the plugin polls it.
    started = served.request("POST", f"/train/{MODEL}", json={**TRAINING, "model": MODEL, "client_id": "slicer"})
    assert started.status_code == 200, started.text
    seen: list[dict[str, Any]] = []
    wait_for(lambda: _polled(served, seen))
    status = served.get("/train/").json()
    assert status["status"] == "DONE", status["details"]
    assert {"epoch", "total_epochs", "eta_seconds"} <= set(status["progress"])
    stats = client.info()["train_stats"][MODEL]
    assert stats["published"] is True, stats
    assert stats["after"] > stats["before"], "the new model is better on the validation case"
    view = rounds_of(served)
    done = view["rounds"][0]
    assert done["open"] is False
    assert done["labelled"] == 3
    assert done["model_dice"]["mean"] > done["model_dice_before"]["mean"]
    assert done["dice_after"] is not None
    assert done["model"] == view["model"] == stats["model"]

    following = client.next_sample(strategy, table)
    assert following["id"] not in ("", case)
    assert {row["case"] for row in view["leases"]} == set()

    # One call goes back to the earlier model, one more comes back.
    earlier = next(row["id"] for row in view["models"] if row["id"] != view["model"])
    response = served.request("POST", f"/medsynth/api/rounds/models/{earlier}")
    assert (response.status_code, response.json()["before"]) == (200, view["model"])
    assert rounds_of(served)["model"] == earlier
    assert served.infer("case_0", output="json").json()["model_step"] == 0
    assert served.request("POST", f"/medsynth/api/rounds/models/{view['model']}").status_code == 200
    assert rounds_of(served)["model"] == view["model"]
    unknown = served.request("POST", "/medsynth/api/rounds/models/..%2Fx")
    assert unknown.status_code in (400, 404)


def _polled(served: Any, seen: list[dict[str, Any]]) -> bool:
    answer = served.get("/train/", params={"check_if_running": "true"})
    if answer.status_code == 200:
        seen.append(answer.json())
    status = served.get("/train/").json()["status"]
    return status not in ("SUBMITTED", "RUNNING")


# ---- many at once, and the server killed -----------------------------------------------------------------


@dataclass
class Annotator:
    """Asks for cases and submits labels until told to stop; remembers what the server acknowledged."""

    served: Any
    name: str
    files: dict[int, Path]
    strategy: str = "random"
    taken: list[str] = field(default_factory=list)
    acknowledged: dict[tuple[str, int], int] = field(default_factory=dict)

    def work(self, rounds: int, should_stop: threading.Event) -> None:
        """Each label has one voxel that says which of three it is."""
        session = requests.Session()
        for number in range(rounds):
            if should_stop.is_set():
                return
            try:
                case = self._next(session)
                if not case:
                    return
                self._submit(session, case, number % 3 + 1)
            except requests.RequestException:
                return  # the server was killed; what it had not answered was not acknowledged

    def _next(self, session: requests.Session) -> str:
        answer = session.post(
            f"{self.served.url}/activelearning/{self.strategy}", json={"client_id": self.name}, timeout=120
        )
        assert answer.status_code == 200, answer.text
        case = str(answer.json().get("id", ""))
        self.taken += [case] if case else []
        return case

    def _submit(self, session: requests.Session, case: str, value: int) -> None:
        with open(self.files[value], "rb") as file:
            answer = session.put(
                f"{self.served.url}/datastore/label", params={"image": case}, timeout=120,
                data={"params": json.dumps({"client_id": self.name})}, files={"label": ("label.nii.gz", file)},
            )  # fmt: skip
        assert answer.status_code == 200, answer.text
        self.acknowledged[case, answer.json()["version"]] = value


def marked_labels(build: Any, folder: Path, head: Any) -> dict[int, Path]:
    files = {}
    for value in (1, 2, 3):
        labels = head.labels.copy()
        labels[0, 0, 0] = value
        files[value] = build.nifti(folder / f"{value}.nii.gz", labels, head.affine)
    return files


def assert_all_readable(served: Any, folder: Path, acknowledged: dict[tuple[str, int], int]) -> None:
    for (case, version), value in acknowledged.items():
        answer = served.get("/datastore/label", params={"label": case, "version": version})
        assert answer.status_code == 200, (case, version, answer.text)
        (folder / "read.nii.gz").write_bytes(answer.content)
        stored: Any = nib.load(folder / "read.nii.gz")
        assert int(np.asarray(stored.dataobj)[0, 0, 0]) == value


def run_annotators(annotators: list[Annotator], rounds: int, stop: threading.Event) -> list[threading.Thread]:
    threads = [threading.Thread(target=a.work, args=(rounds, stop)) for a in annotators]
    for thread in threads:
        thread.start()
    return threads


def test_two_annotators_never_share_a_case_and_no_label_is_lost(start_server: Any, build: Any, tmp_path: Path) -> None:
    served = start_server(tmp_path)
    head = build.head((32, 32, 32))
    for number in range(2 * ROUNDS + 1):
        build.four_dimensional(served.studies / f"case_{number:03d}.nii.gz", head)
    files = marked_labels(build, tmp_path, head)
    with served.process:
        annotators = [
            Annotator(served, "ann", files), Annotator(served, "bob", files, strategy="uncertain_and_diverse")
        ]  # fmt: skip
        for thread in run_annotators(annotators, ROUNDS, threading.Event()):
            thread.join(PATIENCE_SECONDS)
        taken = [case for annotator in annotators for case in annotator.taken]
        assert len(taken) == len(set(taken)) == 2 * ROUNDS
        for annotator in annotators:
            assert_all_readable(served, tmp_path, annotator.acknowledged)
            assert len(annotator.acknowledged) == ROUNDS
        view = rounds_of(served)
        assert sorted(view["rounds"][0]["cases"]) == sorted(taken)
        assert view["rounds"][0]["annotators"] == ["ann", "bob"]
        assert view["leases"] == []


def kill_while_they_work(annotators: list[Annotator], process: int, seconds: float) -> dict[tuple[str, int], int]:
    """SIGKILL some seconds after the first acknowledged label; answers what was acknowledged until then."""
    stop = threading.Event()
    threads = run_annotators(annotators, 40, stop)
    limit = time.monotonic() + 30
    while not any(annotator.acknowledged for annotator in annotators) and time.monotonic() < limit:
        time.sleep(0.005)
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    stop.set()
    for thread in threads:
        thread.join(120)
    return {key: value for annotator in annotators for key, value in annotator.acknowledged.items()}


def test_killed_server_loses_no_acknowledged_label(start_server: Any, build: Any, tmp_path: Path) -> None:
    served = start_server(tmp_path)
    head = build.head((32, 32, 32))
    for number in range(40):
        build.four_dimensional(served.studies / f"case_{number:04d}.nii.gz", head)
    files = marked_labels(build, tmp_path, head)
    with served.process:
        annotators = [Annotator(served, name, files) for name in ("ann", "bob")]
        acknowledged = kill_while_they_work(annotators, served.process.process.pid, 3.0)
    assert acknowledged, "nothing was submitted before the server was killed"
    with served.process:
        assert_all_readable(served, tmp_path, acknowledged)
        assert served.get("/datastore/").json()["completed"] >= len(acknowledged)
        assert {case for case, _ in acknowledged} <= set(rounds_of(served)["rounds"][0]["cases"])


@dataclass
class ForkedServer:
    """Our routes on a datastore in a forked process: starts in a moment, so that it can be killed often."""

    studies: Path
    url: str = ""
    process: Any = None

    def __enter__(self) -> ForkedServer:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        context = multiprocessing.get_context("fork")
        self.process = context.Process(target=_serve, args=(self.studies, port), daemon=True)
        self.process.start()
        wait_for(self._answers, 60)
        return self

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/datastore/", timeout=10).status_code == 200
        except requests.RequestException:
            return False

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.join(30)

    def get(self, path: str, **arguments: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=60, **arguments)


def _serve(studies: Path, port: int) -> None:
    store = CaseDatastore(studies)
    rounds = AnnotationRounds(lambda: store, ModelHistory(studies / "model", CurrentNetwork([], "cpu")))
    server = FastAPI()
    settings = Settings(model_folder=studies / "model")
    server.include_router(
        datastore_routes.build_router(store, settings, lambda image, label: rounds.submitted(image))
    )
    strategies = build_strategies(rounds.assessment, lambda names: {})
    server.include_router(activelearning_routes.build_router(strategies, store, rounds))
    server.include_router(build_own_router())
    server.dependency_overrides[get_rounds] = lambda: rounds
    uvicorn.run(server, host="127.0.0.1", port=port, log_level="error")


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork and SIGKILL")
def test_server_killed_at_random_again_and_again_loses_no_acknowledged_label(build: Any, tmp_path: Path) -> None:
    studies = tmp_path / "studies"
    head = build.head((32, 32, 32))
    for number in range(CASES_A_KILL * FORKED_KILLS):
        build.four_dimensional(studies / f"case_{number:03d}.nii.gz", head)
    files = marked_labels(build, tmp_path, head)
    generator = np.random.default_rng(1)
    acknowledged: dict[tuple[str, int], int] = {}
    idle = 0
    for _ in range(FORKED_KILLS):
        with ForkedServer(studies) as server:
            # Read back by the server that was started after the kill, before it is killed itself.
            assert_all_readable(server, tmp_path, dict(list(acknowledged.items())[-20:]))
            assert server.get("/datastore/").json()["completed"] >= len(acknowledged)
            rounds_of(server)  # the first look at new files takes seconds; the kill is to hit the work
            annotators = [Annotator(server, name, files) for name in ("ann", "bob")]
            found = kill_while_they_work(annotators, server.process.pid, float(generator.uniform(0.0, 1.5)))
        idle += not found
        acknowledged |= found
    assert idle < FORKED_KILLS / 2, "most servers were killed before they did anything"
    with ForkedServer(studies) as server:
        assert_all_readable(server, tmp_path, acknowledged)
        cases = rounds_of(server)["rounds"][0]["cases"]
        assert {case for case, _ in acknowledged} <= set(cases), "every acknowledged label is in the record"
