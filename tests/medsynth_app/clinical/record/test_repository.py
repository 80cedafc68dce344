"""Cross-checks, decisions, and an audit chain in which tampering shows."""

from __future__ import annotations

import logging
import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from medsynth_app.clinical.intake.form import parse_intake
from medsynth_app.clinical.knowledge.symptom_model import SymptomDefinition
from medsynth_app.clinical.record import repository as cross_check_repository
from medsynth_app.clinical.record.audit import GENESIS, canonical_json
from medsynth_app.clinical.record.decision import CrossCheckStatus, Decision, DecisionAction
from medsynth_app.clinical.record.repository import StoredCrossCheck
from medsynth_app.clinical.repository import Repository
from medsynth_app.errors import InvalidValueError, NotFoundError, StaleError

OWN_WORDS = "홍길동 1970-01-02, my left arm is weak"


@pytest.fixture
def proposed(clinic: Repository, definitions: dict[str, SymptomDefinition]) -> StoredCrossCheck:
    intake = parse_intake(
        {"symptoms": [{"symptom": "arm_weakness", "side": "left"}], "free_text": OWN_WORDS}, definitions
    )
    return clinic.save_cross_check(
        "case-1", "original", intake, {"concordance": "concordant"}, {"scorer": "1"}
    )


def accept(actor: str = "Dr Kim") -> Decision:
    return Decision(DecisionAction.ACCEPT, actor, "fits the examination")


def allow_tampering(clinic: Repository) -> None:
    """What somebody with the rights of the owner could do."""
    with clinic.database.writing() as session:
        if clinic.database.dialect == "postgresql":
            session.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        else:
            for verb in ("update", "delete"):
                session.execute(text(f"DROP TRIGGER audit_refuses_{verb}"))


def test_saved_is_loaded(clinic: Repository, proposed: StoredCrossCheck) -> None:
    assert clinic.cross_check(proposed.id) == proposed
    assert clinic.cross_checks("case-1") == (proposed,)
    assert proposed.status is CrossCheckStatus.PROPOSED
    assert proposed.decision is None


def test_own_words_are_kept_apart_and_can_be_deleted(clinic: Repository, proposed: StoredCrossCheck) -> None:
    assert OWN_WORDS not in str(vars(proposed))
    assert clinic.free_text(proposed.id) == OWN_WORDS
    assert clinic.delete_free_text(proposed.id, "Dr Kim")
    assert clinic.free_text(proposed.id) == ""
    assert clinic.cross_check(proposed.id) == proposed
    assert not clinic.delete_free_text(proposed.id, "Dr Kim")


@pytest.mark.parametrize(
    ("decision", "status"),
    [
        (accept(), CrossCheckStatus.ACCEPTED),
        (Decision(DecisionAction.REJECT, "Dr Kim", "motion artefact"), CrossCheckStatus.REJECTED),
        (Decision(DecisionAction.AMEND, "Dr Kim", "oedema missed", "amended-1"), CrossCheckStatus.AMENDED),
    ],
)
def test_proposed_to_final(
    clinic: Repository, proposed: StoredCrossCheck, decision: Decision, status: CrossCheckStatus
) -> None:
    decided = clinic.decide(proposed.id, decision, expected_label_version="original")
    assert decided.status is status
    assert decided.decision is not None
    assert (decided.decision.actor, decided.decision.reason) == (decision.actor, decision.reason)
    assert decided.decision.amended_label_version == decision.amended_label_version
    assert clinic.finalise(proposed.id, "Dr Lee").status is CrossCheckStatus.FINAL
    assert [each.action for each in clinic.audit_records(proposed.id)] == [
        "cross_check.proposed", "cross_check.decided", "cross_check.final",
    ]  # fmt: skip


def test_decided_and_final_in_one_transaction(clinic: Repository, proposed: StoredCrossCheck) -> None:
    final = clinic.decide(proposed.id, accept(), final=True)
    assert final.status is CrossCheckStatus.FINAL
    assert final.decision is not None
    assert final.decision.actor == "Dr Kim"
    assert [each.action for each in clinic.audit_records(proposed.id)] == [
        "cross_check.proposed", "cross_check.decided", "cross_check.final",
    ]  # fmt: skip
    assert clinic.verify_audit().intact


def test_a_decision_that_cannot_be_final_is_not_kept_either(
    clinic: Repository, proposed: StoredCrossCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("killed here")

    monkeypatch.setattr(cross_check_repository, "_make_final", fails)
    with pytest.raises(RuntimeError, match="killed here"):
        clinic.decide(proposed.id, accept(), final=True)
    assert clinic.cross_check(proposed.id) == proposed


def test_decided_once(clinic: Repository, proposed: StoredCrossCheck) -> None:
    clinic.decide(proposed.id, accept())
    with pytest.raises(
        StaleError, match="status: it is 'accepted'; a decision is possible while it is 'proposed'"
    ):
        clinic.decide(proposed.id, accept("Dr Lee"))


def test_not_final_before_a_decision_nor_twice(clinic: Repository, proposed: StoredCrossCheck) -> None:
    with pytest.raises(StaleError, match="only a decided cross-check can be made final"):
        clinic.finalise(proposed.id, "Dr Kim")
    clinic.decide(proposed.id, accept())
    clinic.finalise(proposed.id, "Dr Kim")
    with pytest.raises(StaleError, match="status: it is 'final'"):
        clinic.finalise(proposed.id, "Dr Kim")


def test_decision_on_another_label_version_is_stale(clinic: Repository, proposed: StoredCrossCheck) -> None:
    with pytest.raises(StaleError, match="label_version: 'newer'; the cross-check is of 'original'"):
        clinic.decide(proposed.id, accept(), expected_label_version="newer")
    assert clinic.cross_check(proposed.id).status is CrossCheckStatus.PROPOSED


def test_amended_version_must_be_new(clinic: Repository, proposed: StoredCrossCheck) -> None:
    with pytest.raises(
        InvalidValueError, match="'original' is the version that was checked; allowed: a new one"
    ):
        clinic.decide(proposed.id, Decision(DecisionAction.AMEND, "Dr Kim", "better", "original"))


@pytest.mark.parametrize("question", ["cross_check", "free_text"])
def test_unknown_cross_check(clinic: Repository, question: str) -> None:
    with pytest.raises(NotFoundError, match="there is none with that identifier"):
        getattr(clinic, question)("nowhere")


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'me'", "DELETE FROM audit"])
def test_the_database_refuses_to_change_the_chain(
    clinic: Repository, proposed: StoredCrossCheck, statement: str
) -> None:
    with pytest.raises(DBAPIError, match="append-only"), clinic.database.writing() as session:
        session.execute(text(statement))
    assert clinic.verify_audit().length == 1


@pytest.mark.parametrize(
    ("statement", "broken_at", "reason"),
    [
        ("UPDATE audit SET actor = 'Dr Who' WHERE sequence = 2", 2, "its content does not fit its hash"),
        ("UPDATE audit SET payload = '{}' WHERE sequence = 1", 1, "its content does not fit its hash"),
        ("UPDATE audit SET time = '2020' WHERE sequence = 3", 3, "its content does not fit its hash"),
        ("DELETE FROM audit WHERE sequence = 2", 3, "record 2 is missing"),
        ("DELETE FROM audit WHERE sequence = 1", 2, "record 1 is missing"),
    ],
)
def test_tampering_shows(
    clinic: Repository, proposed: StoredCrossCheck, statement: str, broken_at: int, reason: str
) -> None:
    clinic.decide(proposed.id, accept())
    clinic.finalise(proposed.id, "Dr Kim")
    assert clinic.verify_audit().intact
    allow_tampering(clinic)
    with clinic.database.writing() as session:
        session.execute(text(statement))
    found = clinic.verify_audit()
    assert (found.intact, found.broken_at, found.reason) == (False, broken_at, reason)


def test_each_record_continues_the_one_before(clinic: Repository) -> None:
    records = [clinic.append_audit("system", "test", f"s{at}", {"at": at}) for at in range(3)]
    assert [each.previous_hash for each in records] == [GENESIS, records[0].hash, records[1].hash]
    assert clinic.audit_records() == tuple(records)
    assert clinic.verify_audit().head == records[2].hash


def test_records_written_at_once_form_one_chain(clinic: Repository) -> None:
    def write() -> None:
        for _ in range(4):
            clinic.append_audit("system", "test", "s", {})

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = clinic.verify_audit()
    assert (found.intact, found.length) == (True, 16)


def test_no_name_birth_date_or_own_words_in_any_log_line(
    clinic: Repository, proposed: StoredCrossCheck, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        intake = parse_intake({"free_text": OWN_WORDS}, {})
        stored = clinic.save_cross_check("case-2", "original", intake, {}, {}, actor="Dr Kim")
        clinic.understand(OWN_WORDS)
        clinic.decide(stored.id, Decision(DecisionAction.REJECT, "Dr Kim", "patient 홍길동 moved"))
        clinic.delete_free_text(stored.id, "Dr Kim")
        clinic.finalise(stored.id, "Dr Kim")
    lines = caplog.text
    assert "cross_check.decided" in lines
    for secret in ("홍길동", "1970", "left arm", "Dr Kim", "moved"):
        assert secret not in lines


@pytest.mark.parametrize("payload", [{"x": float("nan")}, {"x": {1, 2}}])
def test_payload_must_be_json(clinic: Repository, payload: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError, match="payload: .*allowed: JSON values"):
        clinic.append_audit("system", "test", "s", payload)


def test_canonical_json_does_not_depend_on_order() -> None:
    assert canonical_json({"b": 1, "a": "가"}) == canonical_json({"a": "가", "b": 1}) == '{"a":"가","b":1}'
