"""Batch work: the same files whoever does it, a kill costs nothing, one bad input costs itself."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from medsynth_app.batch import ray_executor
from medsynth_app.batch.executors import LocalExecutor
from medsynth_app.batch.ray_executor import check_address
from medsynth_app.batch.results_file import ResultsFile, open_results
from medsynth_app.batch.tasks import BatchTask, TaskResult
from medsynth_app.cli import application
from medsynth_app.errors import BusyError, ForbiddenError, InvalidValueError
from medsynth_app.segmentation.network import NetworkConfiguration, build_network
from medsynth_app.segmentation.weights import save_weights


def call(*words: object) -> Any:
    return CliRunner().invoke(application, ["batch", *map(str, words)])


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text(encoding="utf-8").splitlines() if line]


def hashes(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*.nii.gz"))
    }


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    configuration = NetworkConfiguration("unet", width=4, dropout=0.0)
    save_weights(build_network(configuration), configuration, path)
    return path


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory, build: Any) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    for name, axes in (("a", "RAS"), ("b", "LPS"), ("c", "SAR")):
        build.write_case(folder, name, build.head(axes))
    (folder / "broken").mkdir()
    for name in ("flair", "t1", "t1ce", "t2"):
        (folder / "broken" / f"broken_{name}.nii.gz").write_bytes(b"no image")
    return folder


def test_one_by_one_goes_on_and_names_what_failed(studies: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("segment", studies, "--out", out, "--weights", weights, "--device", "cpu", "--no-cache", "--workers", 1)
    first = call(*options)
    assert first.exit_code == 1
    assert "failed: broken" in first.output
    rows = {row["name"]: row for row in lines(out)}
    assert sorted(rows) == ["a", "b", "broken", "c"]
    assert [rows[name]["status"] for name in "abc"] == ["done"] * 3
    assert rows["a"]["files"] == ["a_seg.nii.gz"]
    assert rows["a"]["volumes_ml"].keys() == {"necrotic_core", "edema", "enhancing_tumor"}
    before = hashes(out)
    (out / "b_seg.nii.gz").unlink()
    again = call(*options)
    assert "4 tasks, 2 done before" in again.output
    assert hashes(out) == before, "what was missing is made again, bit for bit"
    assert len(lines(out)) == 6


@pytest.mark.slow
def test_two_processes_make_the_same_files(studies: Path, weights: Path, tmp_path: Path) -> None:
    found = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        options = ("--weights", weights, "--device", "cpu", "--no-cache", "--workers", workers)
        call("segment", studies, "--out", out, *options)
        found.append(hashes(out))
    assert len(found[0]) == 3
    assert found[0] == found[1]


def test_generate_and_evaluate(studies: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    words = ("generate", "image_synthesis", "--out", out, "--count", 3, "--seed", 5)
    assert call(*words, "--condition", "modality=chest_xray", "--workers", 1).exit_code == 0
    rows = lines(out)
    assert [row["record"]["seed"] for row in rows] == [5, 6, 7]
    assert all((out / row["files"][0]).is_file() for row in rows)
    figures = tmp_path / "figures"
    found = call("evaluate", studies, "--out", figures, "--weights", weights, "--device", "cpu", "--workers", 1)
    assert found.exit_code == 1, "broken is left out by name"
    means = json.loads((figures / "evaluation.json").read_text())
    assert set(means["cases"]) == {"a", "b", "c"}
    assert 0 <= means["mean"]["WT"]["dice"] <= 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("segment", ".", "--executor", "slurm"), "executor: 'slurm' must be one of local, ray"),
        (("segment", ".", "--address", "127.0.0.1:6379"), "address: is of --executor ray"),
        (("segment", ".", "--preparation", "some"), "preparation: 'some' must be one of auto, none"),
        (("segment", ".", "--weights", "nothing.safetensors"), "weights: 'nothing.safetensors' cannot be read"),
        (("generate", "cats"), "known are tumor_case_synthesis"),
        (("generate", "image_synthesis", "--condition", "colour=3"), "colour: image_synthesis"),
    ],
)
def test_wrong_use_is_named(words: tuple[str, ...], message: str, studies: Path, tmp_path: Path) -> None:
    given = [str(studies) if word == "." else word for word in words]
    outcome = call(*given, "--out", tmp_path / "out")
    assert message in str(outcome.exception) + outcome.output


def test_only_one_run_writes_to_a_folder(tmp_path: Path) -> None:
    with open_results(tmp_path), pytest.raises(BusyError, match="another batch run"), open_results(tmp_path):
        pass


def test_a_line_that_was_cut_short_costs_itself(tmp_path: Path) -> None:
    task = BatchTask("segment", "a", None, "1")
    results = ResultsFile(tmp_path)
    results.add(TaskResult(task.key, "a"))
    path = tmp_path / "results.jsonl"
    path.write_bytes(path.read_bytes() + b'{"key": "b", "sta')
    again = ResultsFile(tmp_path)
    again.add(TaskResult("c", "c", "why"))
    assert set(ResultsFile(tmp_path).rows) == {task.key, "c"}
    assert again.is_done(task)
    assert not again.is_done(BatchTask("segment", "a", None, "2")), "other images"
    assert not again.is_done(BatchTask("segment", "a", None, "1", {"uncertainty": True})), "another question"


@pytest.mark.parametrize(
    ("address", "mode", "error", "words"),
    [
        ("10.0.0.7:6379", "", ForbiddenError, "RAY_AUTH_MODE: must be token"),
        ("8.8.8.8:6379", "token", ForbiddenError, "is public"),
        ("0.0.0.0:6379", "token", ForbiddenError, "is public"),
        ("head.example.org:6379", "token", InvalidValueError, "numeric host"),
        ("nonsense", "token", InvalidValueError, "numeric host"),
    ],
)
def test_ray_is_reached_with_a_token_on_a_private_address_only(
    monkeypatch: pytest.MonkeyPatch, address: str, mode: str, error: type[Exception], words: str
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with pytest.raises(error, match=words):
        check_address(address)


@pytest.mark.parametrize("address", ["", "127.0.0.1:6379", "ray://192.168.3.4:10001", "[::1]:6379", "localhost:1"])
def test_private_addresses_with_a_token_pass(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    check_address(address)


def test_without_an_address_no_cluster_of_the_environment_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    class Ray:
        is_initialized = staticmethod(lambda: False)
        init = staticmethod(lambda **options: asked.update(options))
        cluster_resources = staticmethod(dict)

    monkeypatch.setenv("RAY_ADDRESS", "8.8.8.8:6379")
    monkeypatch.setattr(ray_executor, "load_ray", lambda: Ray)
    ray_executor.RayExecutor()
    assert asked["address"] == "local"


def test_nothing_imports_ray() -> None:
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "import medsynth_app.commands.batch\n"
        "from medsynth_app.batch.ray_executor import RayExecutor\n"
        "try:\n    RayExecutor()\nexcept Exception as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert 'pip install "medsynth[ray]"' in done.stdout


@pytest.mark.slow
def test_a_killed_worker_and_a_killed_run_cost_nothing(tmp_path: Path) -> None:
    """SIGKILL a worker, then the whole run, then go on: every seed once, whole files."""
    out = tmp_path / "out"
    words = [
        sys.executable, "-m", "medsynth_app.cli", "batch", "generate", "tumor_case_synthesis", "--out", str(out),
        "--count", "4", "--workers", "2",
    ]  # fmt: skip
    run = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    worker_killed = False
    for _ in range(2400):
        time.sleep(0.1)
        children = [p for p in psutil.Process(run.pid).children() if "spawn_main" in " ".join(p.cmdline())]
        if not worker_killed and len(children) == 2 and children[0].memory_info().rss > 400e6:
            children[0].send_signal(signal.SIGKILL)
            worker_killed = True
        if worker_killed and (out / "results.jsonl").is_file():
            break
    else:
        run.kill()
        pytest.fail("no result came after a worker was killed")
    run.kill()
    run.wait()
    subprocess.run(words, check=True, timeout=500, stdout=subprocess.DEVNULL)
    rows = lines(out)
    assert sorted(row["name"] for row in rows if row["status"] == "done") == [
        f"synthetic-tumor_case_synthesis-{seed}" for seed in range(4)
    ]
    assert len(hashes(out)) == 4 * 5



def test_a_task_that_ends_its_worker_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONFAULTHANDLER", "0")
    good = BatchTask("generate", "good", "image_synthesis", "", {
        "generator": "", "weights": "", "conditions": {"modality": "chest_xray"}, "seed": 1})  # fmt: skip
    bad = BatchTask("generate", "bad", _EndsItsProcess(), "", good.options)
    found = {result.name: result.error for result in LocalExecutor(2).run([bad, good], tmp_path)}
    assert found["good"] == ""
    assert "its worker was killed 2 times" in found["bad"]


class _EndsItsProcess:
    """What a file that crashes a library does."""

    def __str__(self) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return ""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra medsynth[ray] is not installed")
def test_ray_makes_the_same_files(studies: Path, weights: Path, tmp_path: Path) -> None:
    for executor in ("local", "ray"):
        call(
            "segment", studies, "--out", tmp_path / executor, "--weights", weights, "--device", "cpu", "--no-cache",
            "--workers", 2, "--executor", executor,
        )  # fmt: skip
    assert len(hashes(tmp_path / "ray")) == 3
    assert hashes(tmp_path / "ray") == hashes(tmp_path / "local")
    assert [row["name"] for row in lines(tmp_path / "ray") if row["status"] == "failed"] == ["broken"]
