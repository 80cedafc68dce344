"""Results of commands as files that appear whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medsynth_app.commands.support.results import TrainingDisplay, progress_bar, store_json


def test_result_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    store_json({"dice": 0.5}, path)
    assert json.loads(path.read_text()) == {"dice": 0.5}
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_written_without_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store_json({"dice": 0.5}, None)
    assert list(tmp_path.iterdir()) == []


def test_values_that_json_cannot_hold_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(ValueError, match="not JSON compliant"):
        store_json({"dice": float("nan")}, path)
    assert path.read_text() == "old"


def test_a_training_without_a_terminal_leaves_lines_for_a_log(capfd: pytest.CaptureFixture[str]) -> None:
    with TrainingDisplay(interval=1000.0) as display:
        display.show(10, 100, "loss 0.5", 120.0)
        display.show(20, 100, "loss 0.4", 110.0)
        display.show(30, 100, "loss 0.3", 100.0, "WT 0.9")
    lines = capfd.readouterr().err.splitlines()
    assert lines[:2] == ["10 of 100: loss 0.5, 2 min left", "step 30: WT 0.9"]


def test_every_long_job_without_a_terminal_does(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar(interval=0.0) as bar:
        task = bar.add_task("cases", total=3)
        bar.advance(task)
        bar.update(task, completed=3, description="the last case")
        other = bar.add_task("rounds", total=None)
        bar.advance(other, 0.5)
    lines = capfd.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines if " of " in line] == [
        "1 of 3: cases",
        "3 of 3: the last case",
        "0.5 of ?: rounds",
    ]


def test_few_lines_are_written(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar(interval=1000.0) as bar:
        task = bar.add_task("cases", total=50)
        for _ in range(50):
            bar.advance(task)
    assert sum(" of 50: cases" in line for line in capfd.readouterr().err.splitlines()) == 1
