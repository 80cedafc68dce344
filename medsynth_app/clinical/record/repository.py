"""Cross-checks, decisions and the audit chain: each change and its record in one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from medsynth_app.audit.chain import ChainVerification
from medsynth_app.clinical.database.engine import Database
from medsynth_app.clinical.database.tables import CrossCheckRow, DecisionRow, FreeTextRow
from medsynth_app.clinical.intake.form import Intake
from medsynth_app.clinical.record.audit import (
    AuditRecord,
    append_record,
    canonical_json,
    newest_hash,
    read_records,
    verify_chain,
)
from medsynth_app.clinical.record.decision import (
    CrossCheckStatus,
    Decision,
    DecisionAction,
    check_may_decide,
    check_may_finalise,
    checked_actor,
)
from medsynth_app.errors import NotFoundError, StaleError


@dataclass(frozen=True)
class StoredDecision:
    """A decision as it was taken.

    Attributes:
        action: accept, amend or reject.
        actor: who decided.
        reason: why.
        decided_at: UTC, ISO 8601.
        amended_label_version: the new label version, empty unless amended.
    """

    action: DecisionAction
    actor: str
    reason: str
    decided_at: str
    amended_label_version: str


@dataclass(frozen=True)
class StoredCrossCheck:
    """A cross-check as the database holds it, without the patient's own words.

    Attributes:
        id: identifier.
        case_id: pseudonymous case.
        label_version: the label that was checked.
        created_at: UTC, ISO 8601.
        status: how far it has come.
        intake: the answers.
        result: score and site report.
        versions: of software, atlas, knowledge base and calibration.
        decision: None while it is proposed.
    """

    id: str
    case_id: str
    label_version: str
    created_at: str
    status: CrossCheckStatus
    intake: Mapping[str, Any] = field(repr=False)
    result: Mapping[str, Any] = field(repr=False)
    versions: Mapping[str, Any] = field(repr=False)
    decision: StoredDecision | None = field(default=None, repr=False)


class CrossCheckRepository:
    """Questions about cross-checks and the audit.

    Args:
        database: open database.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def save_cross_check(
        self,
        case_id: str,
        label_version: str,
        intake: Intake,
        result: Mapping[str, Any],
        versions: Mapping[str, Any],
        actor: str = "system",
    ) -> StoredCrossCheck:
        """Keep a new cross-check as ``proposed``.

        Args:
            case_id: pseudonymous case.
            label_version: the label that was checked.
            intake: the answers; the patient's own words go to a table of their own.
            result: JSON values.
            versions: what the result was computed with.
            actor: who asked for it.
        """
        row = CrossCheckRow(
            id=str(uuid4()),
            case_id=case_id,
            label_version=label_version,
            created_at=_now(),
            status=CrossCheckStatus.PROPOSED.value,
            intake=canonical_json(intake.as_dict()),
            result=canonical_json(dict(result)),
            versions=canonical_json(dict(versions)),
        )
        with self.database.writing() as session:
            session.add(row)
            session.flush()
            if intake.free_text:
                session.add(FreeTextRow(cross_check_id=row.id, text=intake.free_text))
            append_record(session, actor, "cross_check.proposed", row.id, _fingerprint(row))
            return _stored(session, row)

    def cross_check(self, identifier: str) -> StoredCrossCheck:
        """One cross-check.

        Raises:
            NotFoundError: there is none with that identifier.
        """
        with self.database.reading() as session:
            return _stored(session, _row(session, identifier))

    def cross_checks(self, case_id: str) -> tuple[StoredCrossCheck, ...]:
        """All cross-checks of a case, oldest first."""
        query = (
            select(CrossCheckRow)
            .where(CrossCheckRow.case_id == case_id)
            .order_by(CrossCheckRow.created_at, CrossCheckRow.id)
        )
        with self.database.reading() as session:
            return tuple(_stored(session, row) for row in session.scalars(query))

    def newest_concordances(self) -> dict[str, str]:
        """Case -> class of its newest cross-check, of all cases that have any."""
        query = select(CrossCheckRow.case_id, CrossCheckRow.result).order_by(CrossCheckRow.created_at, CrossCheckRow.id)
        with self.database.reading() as session:
            newest = dict(session.execute(query).tuples().all())
        return {case: str(json.loads(result).get("concordance", "")) for case, result in newest.items()}

    def free_text(self, identifier: str) -> str:
        """The patient's own words of a cross-check; empty where none were given, or they were deleted."""
        with self.database.reading() as session:
            _row(session, identifier)
            row = session.get(FreeTextRow, identifier)
            return row.text if row else ""

    def delete_free_text(self, identifier: str, actor: str) -> bool:
        """Delete the patient's own words; the answers and the result stay.

        Returns:
            Whether there were any.
        """
        with self.database.writing() as session:
            _row(session, identifier)
            deleted = session.get(FreeTextRow, identifier) is not None
            session.execute(delete(FreeTextRow).where(FreeTextRow.cross_check_id == identifier))
            append_record(session, actor, "cross_check.free_text_deleted", identifier, {"deleted": deleted})
        return deleted

    def decide(
        self, identifier: str, decision: Decision, *, expected_label_version: str | None = None, final: bool = False
    ) -> StoredCrossCheck:
        """Record a decision on a proposed cross-check.

        Args:
            identifier: the cross-check.
            decision: what was decided, by whom and why.
            expected_label_version: the label version the user saw, to refuse a decision on another one.
            final: make it final too, in the same transaction: a server that is killed leaves both or neither.

        Raises:
            NotFoundError: there is none with that identifier.
            StaleError: it was decided already, or is about another label version.
            InvalidValueError: the amended label version is the one that was checked, or the actor is nobody.
        """
        with self.database.writing() as session:
            row = _row(session, identifier, lock=True)
            if expected_label_version not in (None, row.label_version):
                raise StaleError(
                    f"label_version: {expected_label_version!r}; the cross-check is of {row.label_version!r}"
                )
            check_may_decide(CrossCheckStatus(row.status), row.label_version, decision)
            _note_decision(session, row, decision)
            if final:
                _make_final(session, row, checked_actor(decision.actor))
            session.flush()
            return _stored(session, row)

    def finalise(self, identifier: str, actor: str) -> StoredCrossCheck:
        """Make a decided cross-check final.

        Args:
            identifier: the cross-check.
            actor: name of the person who signs.

        Raises:
            NotFoundError: there is none with that identifier.
            StaleError: it is not decided, or final already.
            InvalidValueError: the actor is nobody.
        """
        name = checked_actor(actor)
        with self.database.writing() as session:
            row = _row(session, identifier, lock=True)
            _make_final(session, row, name)
            session.flush()
            return _stored(session, row)

    # ---- audit ----

    def append_audit(self, actor: str, action: str, subject: str, payload: Mapping[str, Any]) -> AuditRecord:
        """Add a record to the audit chain.

        Raises:
            InvalidValueError: the actor is empty, or the payload is not JSON.
        """
        with self.database.writing() as session:
            return append_record(session, actor, action, subject, payload)

    def audit_records(self, subject: str | None = None) -> tuple[AuditRecord, ...]:
        """The audit chain, oldest first; only of one subject where it is given."""
        with self.database.reading() as session:
            return read_records(session, subject)

    def verify_audit(self, anchor: str | None = None) -> ChainVerification:
        """Whether the audit chain is whole, and holds a hash that was noted elsewhere."""
        with self.database.reading() as session:
            return verify_chain(session, anchor)

    def audit_head(self) -> str:
        """Hash of the newest record of the audit; 64 zeros where there is none."""
        with self.database.reading() as session:
            return newest_hash(session)


def _note_decision(session: Session, row: CrossCheckRow, decision: Decision) -> None:
    row.status = decision.status.value
    session.add(
        DecisionRow(
            cross_check_id=row.id,
            action=decision.action.value,
            actor=decision.actor,
            reason=decision.reason,
            decided_at=_now(),
            amended_label_version=decision.amended_label_version,
        )
    )
    details = {
        "action": decision.action.value,
        "reason": decision.reason,
        "amended_label_version": decision.amended_label_version,
        **_fingerprint(row),
    }
    append_record(session, decision.actor, "cross_check.decided", row.id, details)


def _make_final(session: Session, row: CrossCheckRow, actor: str) -> None:
    check_may_finalise(CrossCheckStatus(row.status))
    row.status = CrossCheckStatus.FINAL.value
    append_record(session, actor, "cross_check.final", row.id, _fingerprint(row))


def _row(session: Session, identifier: str, *, lock: bool = False) -> CrossCheckRow:
    row = session.get(CrossCheckRow, identifier, with_for_update=lock)
    if row is None:
        raise NotFoundError("cross_check: there is none with that identifier", code="unknown_cross_check")
    return row


def _stored(session: Session, row: CrossCheckRow) -> StoredCrossCheck:
    decision = session.get(DecisionRow, row.id)
    return StoredCrossCheck(
        id=row.id,
        case_id=row.case_id,
        label_version=row.label_version,
        created_at=row.created_at,
        status=CrossCheckStatus(row.status),
        intake=json.loads(row.intake),
        result=json.loads(row.result),
        versions=json.loads(row.versions),
        decision=_stored_decision(decision) if decision else None,
    )


def _stored_decision(row: DecisionRow) -> StoredDecision:
    return StoredDecision(
        DecisionAction(row.action), row.actor, row.reason, row.decided_at, row.amended_label_version
    )


def _fingerprint(row: CrossCheckRow) -> dict[str, Any]:
    """What the audit keeps of a cross-check: enough to prove what was decided on, nothing of the patient."""
    return {
        "label_version": row.label_version,
        "intake_sha256": hashlib.sha256(row.intake.encode()).hexdigest(),
        "result_sha256": hashlib.sha256(row.result.encode()).hexdigest(),
        "versions": json.loads(row.versions),
    }


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
