"""One chain for both stores: what is altered, missing or cut off shows."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from medsynth_app.audit import GENESIS, AuditTrail, verify_file
from medsynth_app.audit.chain import Link, check_anchor, verify_links
from medsynth_app.errors import InvalidValueError


def chain(count: int) -> list[Link]:
    hashes = [GENESIS, *(f"{number:064x}" for number in range(1, count + 1))]
    return [Link(number, hashes[number - 1], hashes[number]) for number in range(1, count + 1)]


def test_a_whole_chain_holds_every_hash_it_ever_had() -> None:
    links = chain(5)
    for anchor in [None, GENESIS, *(link.digest for link in links)]:
        found = verify_links(links, anchor)
        assert (found.intact, found.length, found.broken_at, found.head) == (True, 5, None, links[-1].digest)
        assert found.anchor_found is (None if anchor is None else True)
    assert verify_links([]).head == GENESIS


def test_records_that_are_cut_off_show_against_a_hash_noted_elsewhere_only() -> None:
    links = chain(5)
    assert verify_links(links[:3]).intact
    found = verify_links(links[:3], links[4].digest)
    assert (found.intact, found.anchor_found, found.broken_at) == (False, False, None)
    assert "cut off" in found.reason


def test_a_missing_record_is_named_and_what_follows_is_still_looked_at() -> None:
    links = chain(6)
    found = verify_links([links[0], links[2], links[3], links[5]])
    assert (found.intact, found.broken, found.reason) == (False, (3, 6), "record 2 is missing")


@pytest.mark.parametrize("text", ["", "abc", "g" * 64, "0" * 63, "0" * 65])
def test_an_anchor_is_a_hash(text: str) -> None:
    with pytest.raises(InvalidValueError, match="anchor: .*64 hexadecimal digits"):
        check_anchor(text)
    assert check_anchor(" " + "AB" * 32 + "\n") == "ab" * 32


def test_the_newest_line_altered_shows_against_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trail = AuditTrail(tmp_path / "audit.jsonl")
    with caplog.at_level("INFO"):
        for name in "ab":
            trail.record("label.stored", case=name)
    logged = caplog.messages[-1].rsplit(" ", 1)[-1]
    assert logged == trail.head()
    assert "case" not in caplog.text, "the log holds no case"
    assert trail.verify(logged).intact
    trail.path.write_bytes(trail.path.read_bytes().replace(b'"case": "b"', b'"case": "c"'))
    assert trail.verify().intact, "nothing follows that would tell"
    assert not trail.verify(logged).intact


def test_a_line_that_meets_a_full_disk_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trail = AuditTrail(tmp_path / "audit.jsonl")
    trail.record("label.stored", case="a")
    before, write = trail.path.read_bytes(), os.write

    def half(handle: int, content: bytes) -> int:
        if len(content) > 40:
            return write(handle, content[:40])
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "write", lambda handle, content: half(handle, content[:60]))
    with pytest.raises(OSError, match="no room"):
        trail.record("label.stored", case="b")
    monkeypatch.undo()
    assert trail.path.read_bytes() == before
    trail.record("label.stored", case="c")
    assert verify_file(trail.path).intact


def test_a_clock_that_jumps_back_breaks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import datetime, timezone  # noqa: PLC0415

    import medsynth_app.audit.file_store as store  # noqa: PLC0415

    years = iter((2030, 2020, 2025))

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime(next(years), 1, 1, tzinfo=timezone.utc)

    trail = AuditTrail(tmp_path / "audit.jsonl")
    monkeypatch.setattr(store, "datetime", Clock)
    for name in "abc":
        trail.record("label.stored", case=name)
    assert trail.verify().intact
    assert [row["case"] for row in trail.last(3)] == ["c", "b", "a"], "the order is that of writing"


def test_facts_find_their_line(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path / "audit.jsonl")
    assert not trail.has(change="x")
    trail.record("label.stored", case="a", change="x")
    assert trail.has(change="x")
    assert not trail.has(change="y")
    assert not trail.has(change="x", case="b")
