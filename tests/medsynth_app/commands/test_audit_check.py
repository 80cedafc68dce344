"""``medsynth doctor --audit``: both audits of a served folder, without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from medsynth_app.audit import AuditTrail
from medsynth_app.cli import application
from medsynth_app.clinical.repository import Repository
from medsynth_app.clinical.seeding import open_seeded_database


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A folder as a server leaves it."""
    own = tmp_path / "studies" / ".medsynth"
    for name in "abc":
        AuditTrail(own / "audit.jsonl").record("label.stored", case=name)
    repository = Repository(open_seeded_database(own / "clinical.db"))
    for number in range(3):
        repository.append_audit("system", "test", "s", {"number": number})
    repository.database.close()
    return tmp_path / "studies"


def doctor(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(application, ["doctor", "--audit", *arguments])
    return result.exit_code, " ".join(result.output.split())


def test_whole_audits(served: Path, tmp_path: Path) -> None:
    status, output = doctor("--studies", str(served), "--json", str(tmp_path / "found.json"))
    assert status == 0, output
    audits = json.loads((tmp_path / "found.json").read_text())["audits"]
    assert {name: (row["intact"], row["length"]) for name, row in audits.items()} == {
        "server": (True, 3), "clinic": (True, 3),
    }  # fmt: skip
    heads = [argument for row in audits.values() for argument in ("--anchor", row["head"])]
    assert doctor("--studies", str(served), *heads)[0] == 0


def test_a_line_altered(served: Path) -> None:
    file = served / ".medsynth" / "audit.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"case": "a"', b'"case": "x"'))
    status, output = doctor("--studies", str(served))
    assert status == 1
    assert "server: record 2: it does not continue the record before" in output


def test_a_row_altered(served: Path) -> None:
    repository = Repository(open_seeded_database(served / ".medsynth" / "clinical.db"))
    with repository.database.writing() as session:
        session.execute(text("DROP TRIGGER audit_refuses_update"))
        session.execute(text("UPDATE audit SET actor = 'Dr Who' WHERE sequence = 2"))
    repository.database.close()
    status, output = doctor("--studies", str(served))
    assert status == 1
    assert "clinic: record 2: its content does not fit its hash" in output


def test_the_end_cut_off_shows_against_a_noted_hash(served: Path) -> None:
    file = served / ".medsynth" / "audit.jsonl"
    noted = AuditTrail(file).head()
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:2]))
    assert doctor("--studies", str(served))[0] == 0
    status, output = doctor("--studies", str(served), "--anchor", noted)
    assert status == 1
    assert f"no audit holds {noted}" in output


def test_a_database_full_of_garbage_is_one_fault(served: Path) -> None:
    (served / ".medsynth" / "clinical.db").write_bytes(b"garbage " * 1000)
    status, output = doctor("--studies", str(served))
    assert status == 1
    assert "server whole, 3 records" in output
    assert "clinic: record None: it cannot be read: OverloadedError" in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--studies", "nowhere"], "'nowhere' is no folder"), (["--studies", "."], "nothing is kept there yet")],
)
def test_nothing_to_verify_is_said(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(application, ["doctor", "--audit", *arguments])
    assert result.exit_code != 0
    assert words in str(result.exception) + result.output
