"""An append-only chain of records: each holds the hash of the one before, so a change anywhere shows.

    hash_n = SHA-256( canonical JSON of { sequence, time, actor, action, subject, payload, previous_hash } )

Canonical JSON: keys sorted, no blanks, UTF-8, no NaN. The first record's ``previous_hash`` is 64 zeros. A
chain cannot show that its *newest* records were cut off; `AuditVerification.head` is there to be noted
elsewhere. Payloads hold hashes, versions and decisions, never a patient's words.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from medsynth_app.clinical.tables import AuditRow
from medsynth_app.errors import InvalidValueError

logger = logging.getLogger(__name__)

GENESIS = "0" * 64


@dataclass(frozen=True)
class AuditRecord:
    """One link of the chain.

    Attributes:
        sequence: 1, 2, 3 ...
        time: UTC, ISO 8601.
        actor: who did it: a user's name, or ``system``.
        action: what was done, for example ``cross_check.decided``.
        subject: what it was done to, an identifier.
        payload: details.
        previous_hash: hash of the record before.
        hash: hash of this record.
    """

    sequence: int
    time: str
    actor: str
    action: str
    subject: str
    payload: Mapping[str, Any]
    previous_hash: str
    hash: str


@dataclass(frozen=True)
class AuditVerification:
    """Whether the chain is whole.

    Attributes:
        intact: every record fits the one before.
        length: number of records read.
        broken_at: sequence of the first record that does not fit, None where intact.
        reason: what does not fit.
        head: hash of the newest record.
    """

    intact: bool
    length: int
    broken_at: int | None
    reason: str
    head: str


def canonical_json(value: Any) -> str:
    """JSON that is the same text for the same value.

    Raises:
        InvalidValueError: the value cannot be written as JSON, or holds NaN or infinity.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"payload: {error}; allowed: JSON values without NaN") from error


def append_record(
    session: Session, actor: str, action: str, subject: str, payload: Mapping[str, Any]
) -> AuditRecord:
    """Add a link to the chain, inside the session's transaction.

    Args:
        session: a writing session.
        actor: who did it, not empty.
        action: what was done.
        subject: identifier of what it was done to.
        payload: details as JSON values.

    Raises:
        InvalidValueError: the actor is empty, or the payload is not JSON.
    """
    if not actor.strip():
        raise InvalidValueError("actor: it is empty; allowed: the name of a user, or 'system'")
    _wait_for_turn(session)
    newest = session.scalars(select(AuditRow).order_by(AuditRow.sequence.desc()).limit(1)).first()
    row = AuditRow(
        sequence=newest.sequence + 1 if newest else 1,
        time=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        actor=actor.strip(),
        action=action,
        subject=subject,
        payload=canonical_json(dict(payload)),
        previous_hash=newest.hash if newest else GENESIS,
    )
    row.hash = _hash_of(row)
    session.add(row)
    session.flush()
    # the actor is a person: the log says that something happened, the chain says who
    logger.info("audit %d: %s %s", row.sequence, row.action, row.subject)
    return _record(row)


def read_records(session: Session, subject: str | None = None) -> tuple[AuditRecord, ...]:
    """The chain, oldest first; only the links of one subject where it is given."""
    query = select(AuditRow).order_by(AuditRow.sequence)
    if subject is not None:
        query = query.where(AuditRow.subject == subject)
    return tuple(_record(row) for row in session.scalars(query))


def verify_chain(session: Session) -> AuditVerification:
    """Recompute every hash and compare."""
    rows = session.scalars(select(AuditRow).order_by(AuditRow.sequence).execution_options(yield_per=1000))
    return _verify(rows)


def _verify(rows: Iterable[AuditRow]) -> AuditVerification:
    length, head = 0, GENESIS
    for row in rows:
        length += 1
        reason = ""
        if row.sequence != length:
            reason = f"record {length} is missing"
        elif row.previous_hash != head:
            reason = "it does not continue the record before"
        elif row.hash != _hash_of(row):
            reason = "its content does not fit its hash"
        if reason:
            return AuditVerification(False, length, row.sequence, reason, head)
        head = row.hash
    return AuditVerification(True, length, None, "", head)


def _wait_for_turn(session: Session) -> None:
    # SQLite's writing session is alone already (BEGIN IMMEDIATE)
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE audit IN EXCLUSIVE MODE"))


def _hash_of(row: AuditRow) -> str:
    content = {
        "sequence": row.sequence,
        "time": row.time,
        "actor": row.actor,
        "action": row.action,
        "subject": row.subject,
        "payload": row.payload,
        "previous_hash": row.previous_hash,
    }
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def _record(row: AuditRow) -> AuditRecord:
    return AuditRecord(
        row.sequence,
        row.time,
        row.actor,
        row.action,
        row.subject,
        json.loads(row.payload),
        row.previous_hash,
        row.hash,
    )
