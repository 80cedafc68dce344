"""A case in somebody's hands is nobody else's."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from medsynth_app.active_learning.leases import Leases
from medsynth_app.active_learning.storage import Storage


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    return Leases(Storage(tmp_path / "leases.db"))


def wanted(*names: str) -> list[tuple[str, str]]:
    return [(name, name) for name in names]


def take(leases: Leases, annotator: str, names: list[tuple[str, str]], count: int = 1, now: float = 0.0) -> list[str]:
    return [lease.case for lease in leases.take(names, annotator, count, now, now + 100)]


def test_another_annotator_gets_the_next_case(leases: Leases) -> None:
    assert take(leases, "ann", wanted("a", "b", "c")) == ["a"]
    assert take(leases, "bob", wanted("a", "b", "c")) == ["b"]
    assert take(leases, "cy", wanted("a", "b")) == []


def test_one_of_a_study_is_enough(leases: Leases) -> None:
    assert take(leases, "ann", [("series 1", "study"), ("series 2", "study")], 1) == ["series 1"]
    assert take(leases, "bob", [("series 2", "study")]) == []


def test_lease_ends_with_its_time_or_when_the_case_comes_back(leases: Leases) -> None:
    take(leases, "ann", wanted("a", "b"), 2, now=0.0)
    assert take(leases, "bob", wanted("a"), now=99.0) == []
    assert take(leases, "bob", wanted("a"), now=100.0) == ["a"]
    returned = leases.give_back("b")
    assert returned is None, "it had ended"
    take(leases, "ann", wanted("b"), now=100.0)
    assert leases.give_back("b").annotator == "ann"  # type: ignore[union-attr]
    assert take(leases, "bob", wanted("b"), now=101.0) == ["b"]


def test_own_case_again_keeps_its_beginning_and_gets_a_new_end(leases: Leases) -> None:
    take(leases, "ann", wanted("a"), now=0.0)
    (again,) = leases.take(wanted("a"), "ann", 1, 50.0, 150.0)
    assert (again.since, again.until) == (0.0, 150.0)
    (kept,) = Leases(leases.storage).current(100.0).values()
    assert (kept.since, kept.until, kept.annotator) == (0.0, 150.0, "ann")


def test_many_at_once_never_share_a_case(leases: Leases) -> None:
    names = wanted(*(f"case_{i}" for i in range(40)))
    taken: dict[str, list[str]] = {}

    def ask(annotator: str) -> None:
        taken[annotator] = [case for _ in range(10) for case in take(leases, annotator, names_without(annotator))]

    def names_without(annotator: str) -> list[tuple[str, str]]:
        own = {lease.case for lease in leases.current(0.0).values() if lease.annotator == annotator}
        return [pair for pair in names if pair[0] not in own]

    threads = [threading.Thread(target=ask, args=(f"annotator {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    everything = [case for cases in taken.values() for case in cases]
    assert len(everything) == len(set(everything)) == 40
