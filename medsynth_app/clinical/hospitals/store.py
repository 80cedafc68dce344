"""Writing hospitals in bulk: the same source and identifier update a row, nothing is ever deleted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from itertools import islice
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, bindparam, delete, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from medsynth_app.clinical.database.tables import (
    HospitalRow,
    HospitalServiceRow,
    ImportRunRow,
    ServiceRow,
    SourceRow,
)
from medsynth_app.clinical.hospitals.records import (
    HospitalRecord,
    HospitalSource,
    ImportReport,
    ParsedHospitals,
    QuarantinedRow,
    hospital_id,
)

_BATCH = 5_000
_KEPT_IN_REPORT = 1_000
"""Quarantined rows that the stored report lists; the returned one lists all."""


def store_hospitals(
    connection: Connection, source: HospitalSource, parsed: ParsedHospitals, *, complete: bool = False
) -> ImportReport:
    """Write hospitals, inside the connection's transaction.

    Args:
        connection: open connection.
        source: where they come from.
        parsed: what a reader found.
        complete: the file is the whole source: hospitals it no longer holds become inactive.
    """
    known = set(connection.scalars(select(ServiceRow.code)))
    records, strangers = _with_known_services(parsed.records, known)
    upsert(connection, SourceRow, [vars(source) | {}], ("id",))
    # in the order of the key, so that the database appends to its trees instead of jumping about in them
    identified = sorted(
        ((hospital_id(source.id, record.external_id), record) for record in records), key=lambda pair: pair[0]
    )
    upsert(connection, HospitalRow, (_hospital_values(source, *each) for each in identified), ("id",))
    _withdraw_services(connection, source, {identifier for identifier, _ in identified})
    upsert(
        connection, HospitalServiceRow,
        (values for each in identified for values in _service_values(source, *each)),
        ("hospital_id", "service_code"),
    )  # fmt: skip
    deactivated = _deactivate_missing(connection, source, {each for each, _ in identified}) if complete else 0
    if connection.dialect.name == "postgresql":
        connection.execute(
            text("ANALYZE hospital, hospital_service")
        )  # else look-ups are planned for empty tables
    report = ImportReport(
        source=source.id,
        accepted=len(records),
        deactivated=deactivated,
        without_location=sum(record.latitude is None for record in records),
        quarantined=parsed.quarantined + strangers,
        warnings=parsed.warnings,
        encoding=parsed.encoding,
    )
    _record_run(connection, report)
    return report


def upsert(
    connection: Connection, row: Any, values: Iterable[Mapping[str, Any]], keys: Sequence[str]
) -> None:
    """Insert rows, or update those whose key exists, in batches.

    Args:
        connection: open connection, SQLite or PostgreSQL.
        row: mapped class.
        values: one mapping of column to value per row.
        keys: the columns that identify a row.
    """
    table: Table = row.__table__
    if connection.dialect.name == "postgresql":
        _copy_and_merge(connection, table, values, keys)
        return
    statement = _merged(sqlite.insert(table), table, keys)
    for batch in _batches(values):
        connection.execute(statement, batch)


def _copy_and_merge(
    connection: Connection, table: Table, values: Iterable[Mapping[str, Any]], keys: Sequence[str]
) -> None:
    """PostgreSQL takes rows by COPY several times faster than by INSERT, but only into a table of their own."""
    names = [column.name for column in table.columns]
    arriving = Table(
        f"arriving_{table.name}", MetaData(), *(Column(column.name, column.type) for column in table.columns),
        prefixes=["TEMPORARY"], postgresql_on_commit="DROP",
    )  # fmt: skip
    arriving.create(connection)
    copied = f"COPY {arriving.name} ({', '.join(names)}) FROM STDIN"
    cursor = connection.connection.cursor()
    for batch in _batches(values):
        last = {tuple(each[key] for key in keys): each for each in batch}  # one statement changes a row once
        with cursor.copy(copied) as copy:
            for each in last.values():
                copy.write_row([each[name] for name in names])
        connection.execute(
            _merged(postgresql.insert(table).from_select(names, select(arriving)), table, keys)
        )
        connection.execute(delete(arriving))
    cursor.close()
    arriving.drop(connection)


def _merged(statement: Any, table: Table, keys: Sequence[str]) -> Any:
    """An INSERT of SQLite or PostgreSQL that updates the rows whose key exists."""
    changed = {
        column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys
    }
    if changed:
        return statement.on_conflict_do_update(index_elements=list(keys), set_=changed)
    return statement.on_conflict_do_nothing(index_elements=list(keys))


def _batches(values: Iterable[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(values)
    while batch := [dict(each) for each in islice(iterator, _BATCH)]:
        yield batch


def _with_known_services(
    records: Sequence[HospitalRecord], known: set[str]
) -> tuple[list[HospitalRecord], tuple[QuarantinedRow, ...]]:
    # importers check codes already where they can name the row; this is the last line of defence
    taken, refused = [], []
    for number, record in enumerate(records, start=1):
        strange = sorted({service.code for service in record.services} - known)
        if strange:
            refused.append(QuarantinedRow(number, "unknown_service", f"services {strange} are not known"))
        else:
            taken.append(record)
    return taken, tuple(refused)


def _hospital_values(source: HospitalSource, identifier: str, record: HospitalRecord) -> dict[str, Any]:
    values = vars(record) | {
        "id": identifier,
        "source_id": source.id,
        "level": record.level.value,
        "emergency": None if record.emergency is None else int(record.emergency),
        "invented": int(record.invented),
        "active": int(record.active),
    }
    del values["services"]
    return values


def _service_values(
    source: HospitalSource, identifier: str, record: HospitalRecord
) -> Iterator[dict[str, Any]]:
    for service in record.services:
        yield {
            "hospital_id": identifier,
            "service_code": service.code,
            "source_id": source.id,
            "confidence": service.confidence,
            "updated": record.updated,
        }


def _withdraw_services(connection: Connection, source: HospitalSource, identifiers: set[str]) -> None:
    """A service that the new file no longer names loses its confidence; the row stays as a trace."""
    table: Any = HospitalServiceRow.__table__
    stored = connection.scalars(select(table.c.hospital_id).where(table.c.source_id == source.id).distinct())
    again = [{"again": each} for each in stored if each in identifiers]
    if again:
        connection.execute(
            update(table).where(table.c.hospital_id == bindparam("again")).values(confidence=0.0), again
        )


def _deactivate_missing(connection: Connection, source: HospitalSource, present: set[str]) -> int:
    stored = connection.scalars(
        select(HospitalRow.id).where(HospitalRow.source_id == source.id, HospitalRow.active == 1)
    )
    missing = [{"missing": each} for each in stored if each not in present]
    if missing:
        table: Any = HospitalRow.__table__
        connection.execute(update(table).where(table.c.id == bindparam("missing")).values(active=0), missing)
    return len(missing)


def _record_run(connection: Connection, report: ImportReport) -> None:
    rows = [vars(row) for row in report.quarantined[:_KEPT_IN_REPORT]]
    connection.execute(
        insert(ImportRunRow).values(
            source_id=report.source,
            finished_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            accepted=report.accepted,
            quarantined=len(report.quarantined),
            report=json.dumps({"encoding": report.encoding, "quarantined": rows}, ensure_ascii=False),
        )
    )
