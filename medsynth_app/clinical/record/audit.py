"""An append-only chain of records: each holds the hash of the one before, so a change anywhere shows.

    hash_n = SHA-256( canonical JSON of { sequence, time, actor, action, subject, payload, previous_hash } )

Canonical JSON: keys sorted, no blanks, UTF-8, no NaN. The first record's ``previous_hash`` is 64 zeros. A
chain cannot show that its *newest* records were cut off; its newest hash is in the log, to be noted elsewhere (see
``medsynth_app.audit.chain``). Payloads hold hashes, versions and decisions, never a patient's words.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from medsynth_app.audit.chain import GENESIS, ChainVerification, Link, digest_of, verify_links
from medsynth_app.clinical.database.tables import AuditRow
from medsynth_app.errors import InvalidValueError

logger = logging.getLogger(__name__)


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
    record = _record(row)
    event.listen(session, "after_commit", lambda _: _log(record), once=True)
    return record


def _log(record: AuditRecord) -> None:
    """The anchor outside, once the record is there for good."""
    # the actor is a person: the log says that something happened, the chain says who
    logger.info(
        "audit %d: %s %s, the newest hash is %s", record.sequence, record.action, record.subject, record.hash
    )


def read_records(session: Session, subject: str | None = None) -> tuple[AuditRecord, ...]:
    """The chain, oldest first; only the links of one subject where it is given."""
    query = select(AuditRow).order_by(AuditRow.sequence)
    if subject is not None:
        query = query.where(AuditRow.subject == subject)
    return tuple(_record(row) for row in session.scalars(query))


def verify_chain(session: Session, anchor: str | None = None) -> ChainVerification:
    """Recompute every hash and compare.

    Args:
        session: a reading session.
        anchor: a hash that was noted elsewhere; see ``medsynth_app.audit.chain``.
    """
    rows = session.scalars(select(AuditRow).order_by(AuditRow.sequence).execution_options(yield_per=1000))
    return verify_links(map(_link, rows), anchor)


def newest_hash(session: Session) -> str:
    """Hash of the newest record; 64 zeros where there is none."""
    newest = session.scalars(select(AuditRow.hash).order_by(AuditRow.sequence.desc()).limit(1)).first()
    return newest or GENESIS


def _link(row: AuditRow) -> Link:
    fits = row.hash == _hash_of(row)
    return Link(row.sequence, row.previous_hash, row.hash, "" if fits else "its content does not fit its hash")


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
    return digest_of(canonical_json(content).encode())


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
