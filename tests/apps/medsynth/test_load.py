"""Many clients at once: ``/info/`` answers while models run, and one request too many is told to come again."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import requests

MODEL = "brain_tumor_segmentation"
LONGEST_STALL_SECONDS = 1.0
CLIENTS = 32
LOAD_SECONDS = float(os.environ.get("MEDSYNTH_LOAD_SECONDS", "8"))
"""The full run has 120."""


@pytest.fixture
def large_case(served: Any, build: Any) -> Any:
    """A case whose inference takes long enough to be measured beside."""
    build.case(served.studies, "large", build.head((128, 128, 96), seed=11), ending=".nii")
    yield "large"
    served.request("DELETE", "/datastore/image", params={"id": "large"})


def post(url: str, case: str) -> requests.Response:
    query = {"image": case, "output": "json"}
    return requests.post(f"{url}/infer/{MODEL}", params=query, timeout=120)


def test_info_answers_while_two_inferences_run(
    served: Any, large_case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = threading.Event()
    statuses: list[int] = []

    def keep_inferring() -> None:
        while not stop.is_set():
            statuses.append(post(served.url, large_case).status_code)

    threads = [threading.Thread(target=keep_inferring) for _ in range(2)]
    for thread in threads:
        thread.start()
    seconds = []
    end = time.monotonic() + 6
    while time.monotonic() < end:
        begin = time.perf_counter()
        assert served.get("/info/").status_code == 200
        seconds.append(time.perf_counter() - begin)
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join()
    with capsys.disabled():
        print(  # noqa: T201
            f"\n/info/ during two inferences: p50 {1000 * np.percentile(seconds, 50):.0f} ms, "
            f"p95 {1000 * np.percentile(seconds, 95):.0f} ms, longest {1000 * max(seconds):.0f} ms, "
            f"{len(seconds)} answers, {len(statuses)} inferences"
        )
    assert set(statuses) == {200}
    assert np.percentile(seconds, 95) < LONGEST_STALL_SECONDS


def test_one_request_too_many_is_told_to_come_again(served: Any, large_case: str) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: post(served.url, large_case), range(16)))
    counts = Counter(answer.status_code for answer in answers)
    assert set(counts) == {200, 503}, counts
    assert counts[200] >= 4, "two run and two wait"
    for answer in answers:
        if answer.status_code == 503:
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.json()["code"] == "overloaded"
    assert post(served.url, large_case).status_code == 200


@pytest.mark.usefixtures("nothing_written")
def test_clients_that_hang_up_leave_nothing(served: Any) -> None:
    for _ in range(3):
        with pytest.raises(requests.RequestException):
            requests.post(
                f"{served.url}/infer/{MODEL}", params={"image": "case_1", "output": "image"}, timeout=0.01
            )
    end = time.monotonic() + 30
    while time.monotonic() < end and list(served.temporary.rglob("medsynth-*")):
        time.sleep(0.1)
    assert served.get("/info/").status_code == 200


def test_an_inference_whose_client_left_while_it_waited_is_never_begun(served: Any, large_case: str) -> None:
    def count(name: str) -> float:
        lines = served.get("/medsynth/api/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    begun, gone = count("medsynth_inference_seconds_count"), count('medsynth_inferences_total{model="' + MODEL)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(post, served.url, large_case) for _ in range(2)]
        while count("medsynth_inferences_running") < 2:
            time.sleep(0.01)
        with pytest.raises(requests.RequestException):
            requests.post(f"{served.url}/infer/{MODEL}", params={"image": "case_1"}, timeout=0.05)
        assert [job.result().status_code for job in jobs] == [200, 200]
    end = time.monotonic() + 10
    while count("medsynth_inferences_waiting") and time.monotonic() < end:
        time.sleep(0.05)
    assert count("medsynth_inferences_waiting") == 0
    assert count("medsynth_inference_seconds_count") == begun + 2
    assert count('medsynth_inferences_total{model="' + MODEL) == gone + 3


def test_thirty_two_clients_at_once(
    served: Any, build: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [f"load_{n}" for n in range(8)]
    heads = [build.head((32, 32, 24), seed=n) for n in range(len(cases))]
    labels = [build.nifti(tmp_path / f"{c}.nii.gz", h.labels, h.affine) for c, h in zip(cases, heads)]
    for case, head in zip(cases, heads):
        build.case(served.studies, case, head)
    taken: dict[str, list[float]] = {}
    statuses: Counter[int] = Counter()
    server = psutil.Process(served.process.process.pid)

    def client(seed: int, end: float) -> None:
        chance, session = random.Random(seed), requests.Session()
        while time.monotonic() < end:
            number = chance.randrange(len(cases))
            case = cases[number]
            kind = chance.choices(("info", "next", "download", "label", "infer"), (30, 20, 25, 15, 10))[0]
            begin = time.perf_counter()
            if kind == "info":
                answer = session.get(f"{served.url}/info/", timeout=120)
            elif kind == "next":
                answer = session.post(f"{served.url}/activelearning/random", json={"client_id": str(seed)}, timeout=120)
            elif kind == "download":
                answer = session.get(f"{served.url}/datastore/image", params={"image": case}, timeout=120)
            elif kind == "label":
                with open(labels[number], "rb") as file:
                    answer = session.put(
                        f"{served.url}/datastore/label", params={"image": case, "tag": f"reader{seed % 4}"},
                        files={"label": ("l.nii.gz", file)}, timeout=120,
                    )  # fmt: skip
            else:
                query = {"image": case, "output": "image"}
                answer = session.post(f"{served.url}/infer/{MODEL}", params=query, timeout=120)
            taken.setdefault(kind, []).append(time.perf_counter() - begin)
            statuses[answer.status_code] += 1
            time.sleep(chance.uniform(0, 0.4))  # a person looks at what came

    def run(seconds: float) -> None:
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=client, args=(n, end)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    run(3)  # what is allocated once is allocated now
    before = server.memory_info().rss
    taken.clear()
    statuses.clear()
    run(LOAD_SECONDS)
    end = time.monotonic() + 20
    while list(served.temporary.rglob("medsynth-*")) and time.monotonic() < end:
        time.sleep(0.1)
    after = server.memory_info().rss
    for case in cases:
        served.request("DELETE", "/datastore/image", params={"id": case})
    with capsys.disabled():
        times = ", ".join(
            f"{kind} {len(seconds)} (p50 {1000 * np.percentile(seconds, 50):.0f}, "
            f"p95 {1000 * np.percentile(seconds, 95):.0f} ms)" for kind, seconds in sorted(taken.items())
        )
        print(f"\n{CLIENTS} clients, {LOAD_SECONDS:g} s: {dict(statuses)}; {times}; "  # noqa: T201
              f"memory {before >> 20} -> {after >> 20} MB")
    assert set(statuses) <= {200, 429, 503}
    assert statuses[200] > CLIENTS
    assert list(served.temporary.rglob("medsynth-*")) == []
    assert after < 1.1 * before + (64 << 20)
    assert np.percentile(taken["info"], 95) < 5 * LONGEST_STALL_SECONDS, "32 clients share these cores with the server"
