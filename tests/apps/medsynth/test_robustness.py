"""What breaks a server: broken files, a full disk, a second server, SIGKILL. Nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import requests

from medsynth_app.audit import broken_lines
from medsynth_app.clinical.clinic import Clinic, ClinicConfiguration
from medsynth_app.clinical.intake.form import parse_intake
from tests.apps.medsynth.preloaded_server import ForkedProcess, Starter

KILLS = int(os.environ.get("MEDSYNTH_KILLS", "4"))
"""The full run has 50."""
DECISIONS_A_KILL = 60
CASES = ("case_1", "case_2", "case_3")
SHAPE = (16, 16, 12)


@dataclass
class Preloaded:
    """A server that starts quickly, because its imports are done; on the same folders each time."""

    root: Path
    port: int
    starter: Starter
    process: ForkedProcess | None = None
    conf: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def studies(self) -> Path:
        return self.root / "studies"

    def log(self) -> str:
        return (self.root / "log").read_text(errors="replace")

    def start(self, studies: Path | None = None) -> ForkedProcess:
        """Fork a server; does not wait until it answers."""
        pairs = [part for key, value in self.conf.items() for part in ("--conf", key, value)]
        arguments = [
            "start_server", "--app", str(Path(__file__).resolve().parents[3] / "apps" / "medsynth"), "--studies",
            str(studies or self.studies), "--host", "127.0.0.1", "--port", str(self.port), *pairs,
        ]  # fmt: skip
        environment = {"TMPDIR": str(self.root / "temporary"), "HOME": str(self.root)}
        return self.starter.start(arguments, str(self.root / "log"), environment)

    def start_and_wait(self) -> None:
        self.process = self.start()
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                if requests.get(f"{self.url}/info/", timeout=30).ok:
                    return
            except requests.RequestException:
                time.sleep(0.05)
        raise AssertionError(self.log()[-2000:])

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        assert self.process
        self.process.kill()
        self.process.wait()
        self.process = None


@pytest.fixture(scope="module")
def preloaded(build: Any, starter: Starter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    root = tmp_path_factory.mktemp("robust")
    for name in CASES:
        build.case(root / "studies", name, build.head(SHAPE, seed=len(name)))
    build.weights(root / "model" / f"{build.model}.safetensors")
    (root / "temporary").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Preloaded(root, port, starter, conf={"model_folder": str(root / "model")})
    yield server
    if server.process:
        server.kill()


# ---- a running server ----


@pytest.fixture
def running(preloaded: Preloaded) -> Preloaded:
    if not preloaded.process:
        preloaded.start_and_wait()
    return preloaded


def label_of(build: Any, path: Path, seed: int) -> np.ndarray:
    labels = np.random.default_rng(seed).integers(0, 4, SHAPE).astype(np.uint8)
    build.nifti(path, labels, build.affine(SHAPE))
    return labels


def put(url: str, case: str, path: Path, tag: str = "final") -> requests.Response:
    with open(path, "rb") as file:
        return requests.put(
            f"{url}/datastore/label", params={"image": case, "tag": tag}, files={"label": (path.name, file)}, timeout=60
        )


def stored(url: str, case: str, folder: Path, tag: str = "final") -> np.ndarray:
    answer = requests.get(f"{url}/datastore/label", params={"label": case, "tag": tag}, timeout=60)
    assert answer.status_code == 200, answer.text
    path = folder / f"stored-{case}.nii.gz"
    path.write_bytes(answer.content)
    return np.asarray(nib.load(path).dataobj)


def test_a_second_server_on_the_folder_is_refused_and_says_who_has_it(running: Preloaded) -> None:
    second = running.start()
    end = time.monotonic() + 60
    message = f"another server (process {running.process.pid})"
    while message not in running.log() and time.monotonic() < end:
        time.sleep(0.1)
    assert message in running.log()
    assert second.wait() != 0
    assert requests.get(f"{running.url}/info/", timeout=30).ok


def test_a_full_disk_costs_only_the_request_that_met_it(running: Preloaded, build: Any, tmp_path: Path) -> None:
    kept = label_of(build, tmp_path / "a.nii.gz", 1)
    assert put(running.url, "case_1", tmp_path / "a.nii.gz").status_code == 200
    label_of(build, tmp_path / "b.nii.gz", 2)
    # a process whose files may not grow past this sees what a full disk shows: a write that fails half-way
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (600, resource.RLIM_INFINITY))
    try:
        for path, name in (("datastore/label?image=case_1", "label"), ("datastore/image?image=new", "file")):
            with open(tmp_path / "b.nii.gz", "rb") as file:
                answer = requests.put(f"{running.url}/{path}", files={name: ("b.nii.gz", file)}, timeout=60)
            assert (answer.status_code, answer.json()["code"]) == (507, "storage_full"), answer.text
    finally:
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    np.testing.assert_array_equal(stored(running.url, "case_1", tmp_path), kept)
    assert requests.get(f"{running.url}/datastore/image/info?image=new", timeout=30).status_code == 404
    assert list((running.root / "temporary").rglob("medsynth-*")) == []
    assert list(running.studies.rglob(".*-*.case_1*")) == []
    assert put(running.url, "case_1", tmp_path / "b.nii.gz").status_code == 200


def test_a_case_deleted_while_it_is_used_is_an_answer_and_no_defect(running: Preloaded, build: Any) -> None:
    statuses: set[int] = set()
    stop = threading.Event()

    def use() -> None:
        session = requests.Session()
        while not stop.is_set():
            for path in ("image?image=fleeting", "image/info?image=fleeting", "?output=all"):
                statuses.add(session.get(f"{running.url}/datastore/{path}", timeout=60).status_code)
            query = {"image": "fleeting", "output": "json"}
            statuses.add(session.post(f"{running.url}/infer/{build.model}", params=query, timeout=60).status_code)

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        folder = build.case(running.studies, "fleeting", build.head(SHAPE))
        time.sleep(0.3)
        for path in sorted(folder.iterdir()):
            path.unlink()
        folder.rmdir()
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert max(statuses) < 500, statuses
    assert 200 in statuses


# ---- SIGKILL ----


@dataclass
class LabelWriter:
    """Puts labels until the server is gone.

    Attributes:
        allowed: what may be there: the last acknowledged label, or one that was on its way after it.
        known: labels that were acknowledged at least once.
    """

    url: str
    files: list[Path]
    allowed: dict[tuple[str, str], list[int]]
    known: set[tuple[str, str]] = field(default_factory=set)
    acknowledged: int = 0

    def write(self, keys: list[tuple[str, str]], seed: int) -> None:
        own = random.Random(seed)
        while True:
            key, number = own.choice(keys), own.randrange(len(self.files))
            self.allowed[key].append(number)
            try:
                if put(self.url, key[0], self.files[number], key[1]).status_code != 200:
                    return
            except requests.RequestException:
                return
            self.allowed[key] = [number]
            self.known.add(key)
            self.acknowledged += 1


@dataclass
class Decider:
    """Decides on one cross-check after the other until the server is gone."""

    url: str
    waiting: list[str]
    acknowledged: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def decide(self, seed: int) -> None:
        own, session = random.Random(seed), requests.Session()
        while self.waiting:
            identifier, action = self.waiting.pop(), own.choice(("accept", "reject"))
            self.asked.append(identifier)
            body = {"action": action, "user": "Dr. Kim", "reason": "seen"}
            try:
                answer = session.post(
                    f"{self.url}/medsynth/api/cross-check/{identifier}/decision", json=body, timeout=60
                )
            except requests.RequestException:
                return
            assert answer.status_code == 200, answer.text
            self.acknowledged[identifier] = action

    def check(self) -> None:
        """Every acknowledged decision is there, and no cross-check is left between decided and final."""
        for identifier in self.asked:
            record = requests.get(f"{self.url}/medsynth/api/cross-check/{identifier}", timeout=60).json()
            if identifier in self.acknowledged:
                assert (record["status"], record["decision"]["action"]) == ("final", self.acknowledged[identifier])
            else:
                assert record["status"] in ("proposed", "final")


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)


def proposed_cross_checks(studies: Path, count: int) -> list[str]:
    """Cross-checks that wait for a decision, put into the server's own database."""
    folder = studies / ".medsynth"
    clinic = Clinic(ClinicConfiguration(folder / "clinical.db", folder / "cross_checks"))
    intake = parse_intake({"symptoms": ["headache"]}, clinic.definitions)
    made = [
        clinic.repository.save_cross_check("case_1", "v1", intake, {"concordance": "indeterminate"}, {}).id
        for _ in range(count)
    ]
    clinic.close()
    return made


def test_sigkill_at_random_moments_loses_nothing_acknowledged(
    running: Preloaded, build: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(5)
    files = [tmp_path / f"{n}.nii.gz" for n in range(6)]
    arrays = [label_of(build, path, seed) for seed, path in enumerate(files)]
    keys = [(case, tag) for case in CASES for tag in ("final", "second")]
    labels = LabelWriter(running.url, files, {key: [] for key in keys})
    decisions = Decider(running.url, proposed_cross_checks(running.studies, DECISIONS_A_KILL * KILLS))
    for turn in range(KILLS):
        threads = [threading.Thread(target=labels.write, args=(keys[n::3], 100 * turn + n)) for n in range(3)]
        threads.append(threading.Thread(target=decisions.decide, args=(turn,)))
        for thread in threads:
            thread.start()
        if turn % 2:  # on a busy machine a server that was just started may not have written anything yet
            wait_until(lambda before=labels.acknowledged: labels.acknowledged > before)
        time.sleep(chance.uniform(0.05, 1.5))
        running.kill()
        for thread in threads:
            thread.join()
        running.start_and_wait()
        for case, tag in labels.known:
            found = stored(running.url, case, tmp_path, tag)
            assert any(np.array_equal(found, arrays[n]) for n in labels.allowed[case, tag]), (turn, case, tag)
        decisions.check()
        decisions.asked.clear()
    decisions.asked.extend(decisions.acknowledged)
    decisions.check()
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{KILLS} kills: {labels.acknowledged} labels and {len(decisions.acknowledged)} decisions acknowledged"
        )
    assert labels.acknowledged >= KILLS // 2
    assert len(decisions.acknowledged) >= KILLS // 2
    assert list(running.studies.rglob(".*-????????.*")) == [], "half-written files are swept"
    audit = running.studies / ".medsynth" / "audit.jsonl"
    whole = [line for line in audit.read_bytes().splitlines() if line.startswith(b"{") and line.endswith(b"}")]
    assert len(whole) >= labels.acknowledged
    assert len(broken_lines(audit)) <= 2 * KILLS, "at most the line that a kill cut off, and the one after it"


# ---- broken files at start ----


def test_a_server_starts_on_broken_state_files_and_keeps_the_labels(
    preloaded: Preloaded, build: Any, tmp_path: Path
) -> None:
    if not preloaded.process:
        preloaded.start_and_wait()
    kept = label_of(build, tmp_path / "a.nii.gz", 9)
    assert put(preloaded.url, "case_2", tmp_path / "a.nii.gz").status_code == 200
    preloaded.kill()
    own = preloaded.studies / ".medsynth"
    index = preloaded.studies / "datastore_v2.json"
    index.write_bytes(index.read_bytes()[:100])
    audit = own / "audit.jsonl"
    audit.write_bytes(audit.read_bytes()[:-20])
    for name in ("rounds", "display", "labels"):
        for path in (own / name).rglob("*") if (own / name).is_dir() else ():
            if path.is_file():
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (preloaded.root / "model" / f"{build.model}").mkdir(exist_ok=True)
    (preloaded.root / "model" / f"{build.model}" / "train_stats.json").write_text('{"epoch": NaN, "x')
    # a clock that jumped: everything is from tomorrow
    for path in (index, *preloaded.studies.rglob("*.nii.gz")):
        os.utime(path, (time.time() + 86400,) * 2)
    preloaded.start_and_wait()
    np.testing.assert_array_equal(stored(preloaded.url, "case_2", tmp_path), kept)
    for path in ("info/", "datastore/?output=all", "datastore/image?image=case_1", "medsynth/api/audit"):
        assert requests.get(f"{preloaded.url}/{path}", timeout=60).status_code == 200, path
    assert put(preloaded.url, "case_1", tmp_path / "a.nii.gz").status_code == 200
    assert "datastore_v2.json is broken" in preloaded.log()
