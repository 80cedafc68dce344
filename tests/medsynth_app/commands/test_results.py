"""Results of commands as files that appear whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medsynth_app.commands.results import TrainingDisplay, store_json


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
    assert [line.split(":")[0] for line in lines if line.startswith("step")] == [
        "step 10 of 100",
        "step 30 of 100",
        "step 30",
    ]
    assert "loss 0.5, 2 min left" in lines[0]
