"""Questions asked of the hospital directory, and imports into it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.engine import RowMapping

from medsynth_app.clinical.database.engine import Database
from medsynth_app.clinical.database.tables import (
    HospitalRow,
    HospitalServiceRow,
    ImportRunRow,
    RegionServiceRow,
    ServiceRow,
    SourceRow,
)
from medsynth_app.clinical.hospitals.records import HospitalSource, ImportReport, ParsedHospitals
from medsynth_app.clinical.hospitals.store import store_hospitals
from medsynth_app.errors import InvalidValueError, NotFoundError

EARTH_RADIUS_KM = 6371.0088
"""Mean radius (IUGG)."""


@dataclass(frozen=True)
class Service:
    """A clinical service.

    Attributes:
        code: stable identifier.
        name_en: English name.
        name_ko: Korean name.
        parent: code of the wider service, empty where there is none.
        general: whether it is enough where nothing is known of the site.
    """

    code: str
    name_en: str
    name_ko: str
    parent: str
    general: bool


@dataclass(frozen=True)
class RegionService:
    """That the care of a tumour in a region wants a service.

    Attributes:
        region: region code, or ``ALWAYS``, ``SEIZURE``, ``CHILD``.
        service: service code.
        weight: how much it is wanted, 0 to 1.
        reason_en: why, English.
        reason_ko: why, Korean.
    """

    region: str
    service: str
    weight: float
    reason_en: str
    reason_ko: str


@dataclass(frozen=True)
class Hospital:
    """A hospital with its source.

    Attributes:
        id: identifier.
        name: name as its source writes it.
        name_ko: Korean name, empty where none is known.
        name_en: English name, empty where none is known.
        level: HIRA code of the level of care, empty where unknown.
        emergency: whether it has an emergency department; None where unknown.
        phone: telephone number.
        url: web page.
        address: street address.
        province: first administrative level.
        district: second administrative level.
        country: ISO 3166-1 alpha-2.
        latitude: degrees north, or None.
        longitude: degrees east, or None.
        updated: day the data are from, ISO 8601.
        confidence: how sure the source is, 0 to 1.
        invented: made up for demonstration.
        active: still open.
        source: title of the data set.
        licence: its licence.
        services: codes of what it offers, with confidence.
    """

    id: str
    name: str
    name_ko: str
    name_en: str
    level: str
    emergency: bool | None
    phone: str
    url: str
    address: str
    province: str
    district: str
    country: str
    latitude: float | None
    longitude: float | None
    updated: str
    confidence: float
    invented: bool
    active: bool
    source: str
    licence: str
    services: dict[str, float]


@dataclass(frozen=True)
class HospitalColumns:
    """All active hospitals as columns, for ranking them at once.

    Attributes:
        ids: (n,) identifiers.
        names: (n,) names, for ties.
        countries: (n,) ISO codes.
        levels: (n,) HIRA codes.
        latitude: (n,) degrees, NaN where unknown.
        longitude: (n,) degrees, NaN where unknown.
        service_codes: names of the service axis.
        confidence: (n, services) float32, 0 where a hospital does not offer a service.
        updated: (n,) day of the data as days since 1970-01-01, NaN where unknown.
        services_known: (n,) bool, False where nothing at all is known of a hospital's services.
    """

    ids: np.ndarray
    names: np.ndarray
    countries: np.ndarray
    levels: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    service_codes: tuple[str, ...]
    confidence: np.ndarray
    updated: np.ndarray
    services_known: np.ndarray


class HospitalRepository:
    """Questions about hospitals.

    Args:
        database: open database.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def import_hospitals(
        self, source: HospitalSource, parsed: ParsedHospitals, *, complete: bool = False
    ) -> ImportReport:
        """Write what a reader found, in one transaction; the same source and identifier update a hospital.

        Args:
            source: where the hospitals come from.
            parsed: what `read_hospital_csv` or `read_hospital_bundle` found.
            complete: the file is the whole source: hospitals it no longer holds become inactive.
        """
        engine = self.database.engine
        with engine.connect().execution_options(medsynth_writes=True) as connection, connection.begin():
            return store_hospitals(connection, source, parsed, complete=complete)

    def services(self) -> tuple[Service, ...]:
        """All services, by code."""
        with self.database.reading() as session:
            return tuple(
                Service(row.code, row.name_en, row.name_ko, row.parent, bool(row.general))
                for row in session.scalars(select(ServiceRow).order_by(ServiceRow.code))
            )

    def region_services(self) -> tuple[RegionService, ...]:
        """What the regions want."""
        query = select(RegionServiceRow).order_by(RegionServiceRow.region_code, RegionServiceRow.service_code)
        with self.database.reading() as session:
            return tuple(
                RegionService(row.region_code, row.service_code, row.weight, row.reason_en, row.reason_ko)
                for row in session.scalars(query)
            )

    def hospital(self, identifier: str) -> Hospital:
        """One hospital.

        Raises:
            NotFoundError: there is none with that identifier.
        """
        found = self.hospitals((identifier,))
        if not found:
            raise NotFoundError("hospital: there is none with that identifier", code="unknown_hospital")
        return found[0]

    def hospitals(self, identifiers: tuple[str, ...]) -> tuple[Hospital, ...]:
        """Hospitals in the order of their identifiers; unknown ones are left out."""
        offered: dict[str, dict[str, float]] = {each: {} for each in identifiers}
        services = select(HospitalServiceRow).where(HospitalServiceRow.hospital_id.in_(identifiers))
        rows = (
            select(*HospitalRow.__table__.columns, SourceRow.title, SourceRow.licence)
            .join(SourceRow, SourceRow.id == HospitalRow.source_id)
            .where(HospitalRow.id.in_(identifiers))
        )
        with self.database.reading() as session:
            for service in session.scalars(services.order_by(HospitalServiceRow.service_code)):
                offered[service.hospital_id][service.service_code] = service.confidence
            found = {
                row["id"]: _hospital(row, offered[row["id"]]) for row in session.execute(rows).mappings()
            }
        return tuple(found[each] for each in identifiers if each in found)

    def hospitals_within(
        self, latitude: float, longitude: float, radius_km: float, limit: int = 100
    ) -> tuple[tuple[Hospital, float], ...]:
        """Active hospitals around a place, nearest first, with their great-circle distance in km.

        A box of degrees, which the index on latitude and longitude answers, is narrowed to the circle.

        Raises:
            InvalidValueError: the place or the radius is out of range.
        """
        check_place(latitude, longitude)
        if not 0 < radius_km <= math.pi * EARTH_RADIUS_KM:
            raise InvalidValueError(f"radius_km: {radius_km}; allowed: above 0, up to 20015")
        query = select(HospitalRow.id, HospitalRow.latitude, HospitalRow.longitude).where(
            HospitalRow.active == 1, *_box(latitude, longitude, radius_km)
        )
        with self.database.reading() as session:
            rows = session.execute(query).all()
        distances = great_circle_km(
            latitude, longitude, np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
        )
        nearest = sorted((float(km), row[0]) for km, row in zip(distances, rows) if km <= radius_km)[:limit]
        found = self.hospitals(tuple(identifier for _, identifier in nearest))
        return tuple((hospital, km) for hospital, (km, _) in zip(found, nearest))

    def hospital_state(self) -> tuple[int, int]:
        """Changes whenever hospitals were imported: (newest import, number of imports)."""
        with self.database.reading() as session:
            newest, count = session.execute(
                select(func.max(ImportRunRow.id), func.count(ImportRunRow.id))
            ).one()
        return int(newest or 0), int(count)

    def hospital_columns(self, *, with_invented: bool = True) -> HospitalColumns:
        """All active hospitals as columns.

        Args:
            with_invented: also those of the project's own invention where real ones were imported; alone they always
                come, marked.
        """
        hospital, offer = HospitalRow.__table__.c, HospitalServiceRow.__table__.c
        columns = (
            select(hospital.id, hospital.name, hospital.country, hospital.level, hospital.latitude,
                   hospital.longitude, hospital.updated)
            .where(hospital.active == 1).order_by(hospital.id)
        )  # fmt: skip
        real = select(func.count()).where(hospital.active == 1, hospital.invented == 0)
        offered = select(offer.hospital_id, offer.service_code, offer.confidence)
        # plain rows, not mapped objects: there may be half a million
        with self.database.reading() as session:
            connection = session.connection()
            codes = tuple(connection.scalars(select(ServiceRow.code).order_by(ServiceRow.code)))
            if not with_invented and connection.execute(real).scalar_one():
                columns = columns.where(hospital.invented == 0)
            rows = connection.execute(columns).fetchall()
            offers = connection.execute(offered).fetchall()
        offering = {each[0] for each in offers}
        confidence = _confidence_table([row[0] for row in rows], codes, offers)
        identifiers, names, countries, levels, latitude, longitude, updated = (
            zip(*rows) if rows else ((),) * 7
        )
        return HospitalColumns(
            ids=np.array(identifiers, dtype=object),
            names=np.array(names, dtype=object),
            countries=np.array(countries, dtype=object),
            levels=np.array(levels, dtype=object),
            latitude=np.array(latitude, dtype=np.float64),
            longitude=np.array(longitude, dtype=np.float64),
            service_codes=codes,
            confidence=confidence,
            updated=_days(updated),
            services_known=np.array([each in offering for each in identifiers], dtype=bool),
        )


def check_place(latitude: float, longitude: float) -> None:
    """Refuse a place that is not on the globe.

    Raises:
        InvalidValueError: out of range or not a number.
    """
    if not abs(latitude) <= 90:
        raise InvalidValueError(f"latitude: {latitude}; allowed: -90 to 90 degrees north")
    if not abs(longitude) <= 180:
        raise InvalidValueError(f"longitude: {longitude}; allowed: -180 to 180 degrees east")


def great_circle_km(
    latitude: float, longitude: float, latitudes: np.ndarray, longitudes: np.ndarray
) -> np.ndarray:
    """Distance over a sphere by the haversine formula (Sinnott 1984, Sky & Telescope 68:159).

    Args:
        latitude: degrees north of one place.
        longitude: degrees east of it.
        latitudes: (n,) degrees north of the others, NaN where unknown.
        longitudes: (n,) degrees east of them.

    Returns:
        (n,) km, NaN where unknown.
    """
    north, others_north = math.radians(latitude), np.radians(np.asarray(latitudes, dtype=np.float64))
    east = np.radians(np.asarray(longitudes, dtype=np.float64) - longitude)
    haversine = (
        np.sin((others_north - north) / 2) ** 2
        + math.cos(north) * np.cos(others_north) * np.sin(east / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(haversine, 0.0, 1.0)))


def _box(latitude: float, longitude: float, radius_km: float) -> list[Any]:
    degrees = math.degrees(radius_km / EARTH_RADIUS_KM)
    conditions = [HospitalRow.latitude.between(latitude - degrees, latitude + degrees)]
    furthest_north = min(abs(latitude) + degrees, 90.0)
    if furthest_north >= 89.0:
        return conditions  # around a pole every longitude is near
    # half-width of the circle in longitude: sin(radius) / cos(latitude) on the sphere
    ratio = min(
        1.0, math.sin(min(radius_km / EARTH_RADIUS_KM, math.pi / 2)) / math.cos(math.radians(latitude))
    )
    width = math.degrees(math.asin(ratio))
    west, east = longitude - width, longitude + width
    if west < -180 or east > 180:
        return conditions  # across the date line: the circle decides
    return [*conditions, HospitalRow.longitude.between(west, east)]


def _confidence_table(
    identifiers: Sequence[str], codes: Sequence[str], offers: Sequence[Sequence[Any]]
) -> np.ndarray:
    row_of = {identifier: at for at, identifier in enumerate(identifiers)}
    column_of = {code: at for at, code in enumerate(codes)}
    table = np.zeros((len(identifiers), len(codes)), dtype=np.float32)
    # services of inactive hospitals have no row here
    known = [(row_of[each[0]], column_of[each[1]], each[2]) for each in offers if each[0] in row_of]
    if known:
        at, column, sure = zip(*known)
        table[np.array(at), np.array(column)] = np.array(sure, dtype=np.float32)
    return table


def _hospital(row: RowMapping, services: dict[str, float]) -> Hospital:
    same = ("id", "name", "name_ko", "name_en", "level", "phone", "url", "address", "province", "district",
            "country", "latitude", "longitude", "updated", "confidence")  # fmt: skip
    return Hospital(
        **{name: row[name] for name in same},
        emergency=None if row["emergency"] is None else bool(row["emergency"]),
        invented=bool(row["invented"]),
        active=bool(row["active"]),
        source=row["title"],
        licence=row["licence"],
        services=services,
    )


def _days(dates: tuple[str, ...]) -> np.ndarray:
    known = np.array([date or "NaT" for date in dates], dtype="datetime64[D]")
    days = known.astype("datetime64[D]").astype(np.float64)
    days[np.isnat(known)] = np.nan
    return days
