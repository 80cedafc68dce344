"""The audit: appended, chained, whole after a crash."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from medsynth_app.audit import AuditTrail, broken_lines
from medsynth_app.request_context import acting_user


@pytest.fixture
def trail(tmp_path: Path) -> AuditTrail:
    return AuditTrail(tmp_path / "own" / "audit.jsonl")


def test_a_change_is_noted_with_who_and_when(trail: AuditTrail) -> None:
    before = acting_user.set("kim")
    trail.record("label.stored", case="a", tag="final")
    acting_user.reset(before)
    (row,) = trail.last(5)
    assert (row["user"], row["action"], row["case"], row["tag"]) == ("kim", "label.stored", "a", "final")
    assert row["time"].endswith("+00:00")
    assert trail.path.stat().st_mode & 0o777 == 0o600


def test_many_threads_and_objects_make_one_unbroken_chain(trail: AuditTrail) -> None:
    trails = [AuditTrail(trail.path) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: trails[n % 4].record("label.stored", number=n), range(40)))
    assert broken_lines(trail.path) == []
    assert sorted(row["number"] for row in trail.last(100)) == list(range(40))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_altered_or_missing_line_shows(trail: AuditTrail, number: int) -> None:
    for name in "abcd":
        trail.record("label.stored", case=name)
    lines = trail.path.read_bytes().splitlines()
    altered = [line if n != number else line.replace(b"label.stored", b"label.removed") for n, line in enumerate(lines)]
    trail.path.write_bytes(b"\n".join(altered) + b"\n")
    assert broken_lines(trail.path) == [number + 2]
    trail.path.write_bytes(b"\n".join(lines[:number] + lines[number + 1 :]) + b"\n")
    assert broken_lines(trail.path) == [number + 1]


def test_a_line_that_a_crash_cut_off_costs_only_itself(trail: AuditTrail) -> None:
    trail.record("label.stored", case="a")
    with open(trail.path, "ab") as file:
        file.write(b'{"time": "2026')
    trail.record("label.stored", case="b")
    assert [row["case"] for row in trail.last(5)] == ["b", "a"]
    assert broken_lines(trail.path) == [2]


def test_a_long_line_does_not_break_the_chain(trail: AuditTrail) -> None:
    trail.record("label.stored", case="x" * 200_000)
    trail.record("label.stored", case="b")
    assert broken_lines(trail.path) == []
    assert json.loads(trail.path.read_bytes().splitlines()[-1])["case"] == "b"
