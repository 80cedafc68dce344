"""Hospitals as plain records: what an importer reads, before any of it reaches the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from uuid import NAMESPACE_URL, uuid5


class HospitalLevel(str, Enum):
    """Level of care. The codes are those of the Korean insurance review agency (HIRA)."""

    TERTIARY = "01"
    GENERAL = "11"
    HOSPITAL = "21"
    UNKNOWN = ""


@dataclass(frozen=True)
class HospitalSource:
    """Where a set of hospitals comes from.

    Attributes:
        id: short stable name; together with a hospital's external id it identifies the hospital.
        title: name of the data set.
        licence: what its owner allows.
        url: where it was published.
        retrieved: day of retrieval, ISO 8601.
        checksum: SHA-256 of the file, where there is one.
    """

    id: str
    title: str
    licence: str
    url: str = ""
    retrieved: str = ""
    checksum: str = ""


@dataclass(frozen=True)
class OfferedService:
    """A service that a hospital offers.

    Attributes:
        code: code of a row of the service table.
        confidence: how sure that is, 0 to 1.
    """

    code: str
    confidence: float = 1.0


@dataclass(frozen=True)
class HospitalRecord:
    """One hospital.

    Attributes:
        external_id: identifier in its source.
        name: name as its source writes it.
        name_ko: Korean name, empty where none is known.
        name_en: English name, empty where none is known.
        level: level of care.
        emergency: whether it has an emergency department; None where unknown.
        phone: telephone number.
        url: web page.
        address: street address.
        province: first administrative level (시도, state).
        district: second administrative level (시군구, city).
        country: ISO 3166-1 alpha-2.
        latitude: degrees north, WGS 84; None where unknown.
        longitude: degrees east, WGS 84; None where unknown.
        confidence: how sure the source is, 0 to 1.
        updated: day the data are from, ISO 8601, empty where unknown.
        invented: made up for demonstration.
        active: still open.
        services: what it offers.
    """

    external_id: str
    name: str
    name_ko: str = ""
    name_en: str = ""
    level: HospitalLevel = HospitalLevel.UNKNOWN
    emergency: bool | None = None
    phone: str = ""
    url: str = ""
    address: str = ""
    province: str = ""
    district: str = ""
    country: str = ""
    latitude: float | None = None
    longitude: float | None = None
    confidence: float = 1.0
    updated: str = ""
    invented: bool = False
    active: bool = True
    services: tuple[OfferedService, ...] = ()


@dataclass(frozen=True)
class QuarantinedRow:
    """A row that was not taken.

    Attributes:
        row: its number as a spreadsheet shows it (the header is row 1); for FHIR the number of the entry.
        reason: stable word, for example ``coordinates_swapped``.
        message: what was wrong, the value, what is allowed.
    """

    row: int
    reason: str
    message: str


class RefusedRowError(Exception):
    """A row that cannot be taken: importers turn it into a `QuarantinedRow`, so no caller sees it.

    Args:
        reason: stable word.
        message: what was wrong, the value, what is allowed.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class ParsedHospitals:
    """What a file held.

    Attributes:
        records: hospitals that can be imported.
        quarantined: rows that cannot.
        warnings: rows that were taken less one doubtful value.
        encoding: character encoding of the file.
        columns: field -> header of the file.
    """

    records: tuple[HospitalRecord, ...]
    quarantined: tuple[QuarantinedRow, ...] = ()
    warnings: tuple[QuarantinedRow, ...] = ()
    encoding: str = "utf-8"
    columns: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        source: identifier of the source.
        accepted: how many hospitals are now as the file says.
        deactivated: how many that the file no longer holds were marked inactive.
        without_location: how many of the accepted have no coordinates.
        quarantined: rows not taken.
        warnings: rows taken less one doubtful value.
        encoding: character encoding of the file.
    """

    source: str
    accepted: int
    deactivated: int
    without_location: int
    quarantined: tuple[QuarantinedRow, ...]
    warnings: tuple[QuarantinedRow, ...]
    encoding: str


def hospital_id(source: str, external_id: str) -> str:
    """The identifier of a hospital: the same source and external id always give the same one (UUID v5)."""
    return str(uuid5(NAMESPACE_URL, f"medsynth:hospital:{source}:{external_id}"))
