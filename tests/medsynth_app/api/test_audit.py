"""``/medsynth/api/audit/verify`` and the anchors in ``/medsynth/api/health``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from medsynth_app.accounts import Account, Role
from medsynth_app.api.dependencies import get_audit
from medsynth_app.audit import GENESIS, AuditTrail
from medsynth_app.clinical.clinic import Clinic
from medsynth_app.clinical.repository import Repository
from medsynth_app.errors import OverloadedError

VERIFY = "/medsynth/api/audit/verify"
HEALTH = "/medsynth/api/health"


@pytest.fixture
def trail(client: TestClient, tmp_path: Path) -> AuditTrail:
    made = AuditTrail(tmp_path / "audit.jsonl")
    client.app.dependency_overrides[get_audit] = lambda: made  # type: ignore[attr-defined]
    return made


def test_both_chains_are_verified(client: TestClient, trail: AuditTrail, session_clinic: Clinic) -> None:
    trail.record("label.stored", case="a")
    record = session_clinic.repository.append_audit("system", "test", "s", {})
    found = client.get(VERIFY, params={"server_anchor": trail.head(), "clinic_anchor": record.hash}).json()
    assert found["intact"] is True
    assert (found["server"]["length"], found["server"]["head"]) == (1, trail.head())
    assert (found["clinic"]["head"], found["clinic"]["anchor_found"]) == (record.hash, True)
    assert client.get(HEALTH).json()["audit"] == {"server": trail.head(), "clinic": record.hash}


def test_an_altered_line_is_named(client: TestClient, trail: AuditTrail) -> None:
    for name in "abc":
        trail.record("label.stored", case=name)
    trail.path.write_bytes(trail.path.read_bytes().replace(b'"case": "a"', b'"case": "x"'))
    found = client.get(VERIFY).json()
    assert (found["intact"], found["server"]["intact"], found["server"]["broken_at"]) == (False, False, 2)
    assert found["clinic"]["intact"] is True


def test_a_hash_noted_elsewhere_that_is_gone_shows(client: TestClient, trail: AuditTrail) -> None:
    for name in "ab":
        trail.record("label.stored", case=name)
    noted = trail.head()
    trail.path.write_bytes(trail.path.read_bytes().splitlines(keepends=True)[0])
    assert client.get(VERIFY).json()["server"]["intact"] is True
    found = client.get(VERIFY, params={"server_anchor": noted}).json()
    assert (found["intact"], found["server"]["anchor_found"]) == (False, False)


@pytest.mark.parametrize("name", ["server_anchor", "clinic_anchor"])
def test_an_anchor_that_is_no_hash_is_refused(client: TestClient, name: str) -> None:
    answer = client.get(VERIFY, params={name: "zz"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_value")


def test_a_database_that_is_away_is_said(
    client: TestClient, trail: AuditTrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OverloadedError("away", code="database_unavailable")

    monkeypatch.setattr(Repository, "verify_audit", away)
    found = client.get(VERIFY).json()
    assert (found["intact"], found["server"]["intact"]) == (False, True)
    assert found["clinic"]["reason"] == "its database does not answer"


@pytest.mark.parametrize("role", list(Role))
def test_only_an_admin_sees_the_newest_hashes(client: TestClient, trail: AuditTrail, role: Role) -> None:
    inner = client.app

    async def logged_in(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {})["account"] = Account("kim", role, "")
        await inner(scope, receive, send)

    shown = TestClient(logged_in).get(HEALTH).json()["audit"]
    assert (shown is not None) == (role is Role.ADMIN)
    if shown:
        assert shown["server"] == GENESIS
