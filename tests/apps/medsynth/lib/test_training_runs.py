"""A training that was killed is not forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest
from lib.publication import note_unknown_weights, noting_publication
from lib.training_runs import RUN, TrainingRuns

from medsynth_app.audit import AuditTrail


@pytest.fixture
def runs(tmp_path: Path) -> TrainingRuns:
    return TrainingRuns(tmp_path / "trainings")


def test_a_training_that_ends_leaves_nothing(runs: TrainingRuns) -> None:
    run = runs.begin("segmentation", "kim")
    with runs.running({RUN: run}):
        assert runs.broken_off() == []
    with runs.running({}):
        pass
    assert runs.notice_broken_off() == []


def test_one_that_fails_is_not_broken_off(runs: TrainingRuns) -> None:
    run = runs.begin("segmentation", "kim")
    with pytest.raises(ValueError, match="wrong"), runs.running({RUN: run}):
        raise ValueError("wrong")
    assert runs.notice_broken_off() == []


def test_one_that_was_killed_is_noticed_once_and_told_until_it_is_started_again(runs: TrainingRuns) -> None:
    runs.begin("segmentation", "kim")
    assert runs.broken_off() == [], "it may still run"
    (found,) = runs.notice_broken_off()
    assert (found.model, found.user) == ("segmentation", "kim")
    assert runs.notice_broken_off() == []
    (told,) = TrainingRuns(runs.folder).broken_off()
    assert told.noticed >= told.began
    task = told.as_task()
    assert (task["status"], task["broken_off"], task["request"]) == ("ERROR", True, {"model": "segmentation"})
    runs.begin("other", "kim")
    assert len(runs.broken_off()) == 1
    runs.begin("segmentation", "kim")
    assert runs.broken_off() == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run": 1}'])
def test_a_broken_note_is_passed_over(runs: TrainingRuns, content: str) -> None:
    runs.begin("segmentation", "kim")
    (runs.folder / "x.json").write_text(content)
    assert len(runs.notice_broken_off()) == 1


def test_a_path_in_the_request_removes_nothing(runs: TrainingRuns, tmp_path: Path) -> None:
    (tmp_path / "victim.json").write_text("{}")
    with runs.running({RUN: "../victim"}):
        pass
    assert (tmp_path / "victim.json").exists()


def test_a_model_published_by_a_training_that_was_killed_is_noted_at_the_start(tmp_path: Path) -> None:
    audit, weights = AuditTrail(tmp_path / "audit.jsonl"), tmp_path / "m.safetensors"
    note_unknown_weights(audit, weights, "m")
    assert audit.last(5) == []
    with noting_publication(audit, weights, "m"):
        weights.write_bytes(b"first")
    note_unknown_weights(audit, weights, "m")
    assert [row["action"] for row in audit.last(5)] == ["model.published"]
    weights.write_bytes(b"second")  # and killed
    for _ in range(2):
        note_unknown_weights(audit, weights, "m")
    assert [row["action"] for row in audit.last(5)] == ["model.found", "model.published"]
