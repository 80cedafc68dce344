"""Reading hospitals from a FHIR R4 bundle of Organization, Location and HealthcareService.

An Organization becomes a hospital; the first Location it manages gives address and position; each
HealthcareService it provides gives services, by our code (system ``urn:medsynth:service``) or by name. The
organisation types of KR Core (HIRA codes 01, 11, 21) give the level.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from medsynth_app.clinical.free_text.korean import is_korean, normalise
from medsynth_app.clinical.hospitals.records import (
    HospitalLevel,
    HospitalRecord,
    OfferedService,
    ParsedHospitals,
    QuarantinedRow,
    RefusedRowError,
)
from medsynth_app.clinical.hospitals.repository import Service
from medsynth_app.clinical.hospitals.table_import import check_coordinates
from medsynth_app.errors import MalformedRequestError

SERVICE_SYSTEM = "urn:medsynth:service"


def read_hospital_bundle(
    bundle: Mapping[str, Any], services: Iterable[Service], country: str = "", updated: str = ""
) -> ParsedHospitals:
    """Read a bundle without touching a database.

    Args:
        bundle: FHIR R4 Bundle as plain values.
        services: the services that exist, from `Repository.services`.
        country: ISO 3166-1 alpha-2 for addresses that name none.
        updated: day of the data for resources without ``meta.lastUpdated``.

    Raises:
        MalformedRequestError: it is not a Bundle.
    """
    if bundle.get("resourceType") != "Bundle" or not isinstance(bundle.get("entry", []), list):
        raise MalformedRequestError(
            f"resourceType: {bundle.get('resourceType')!r}; allowed: 'Bundle' with entries"
        )
    entries = list(_resources(bundle))
    names = _service_names(services)
    places, offers = (
        _by_organization(entries, "Location", "managingOrganization"),
        _by_organization(entries, "HealthcareService", "providedBy"),
    )
    records, refused = [], []
    for number, address, resource in entries:
        if resource.get("resourceType") != "Organization":
            continue
        try:
            mine = {address, f"Organization/{resource.get('id', '')}"}
            location = next((each for key in mine for each in places.get(key, ())), {})
            provided = [each for key in sorted(mine) for each in offers.get(key, ())]
            records.append(_record(resource, location, provided, names, country, updated))
        except RefusedRowError as refusal:
            refused.append(QuarantinedRow(number, refusal.reason, str(refusal)))
        except (AttributeError, KeyError, TypeError, ValueError, IndexError):
            refused.append(QuarantinedRow(number, "malformed", "the resource is not shaped as FHIR R4 says"))
    return ParsedHospitals(tuple(records), tuple(refused))


def _resources(bundle: Mapping[str, Any]) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    for number, entry in enumerate(bundle.get("entry", []), start=1):
        resource = entry.get("resource") if isinstance(entry, Mapping) else None
        if isinstance(resource, Mapping):
            yield number, str(entry.get("fullUrl", "")), resource


def _by_organization(
    entries: Iterable[tuple[int, str, Mapping[str, Any]]], kind: str, link: str
) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for _, _, resource in entries:
        reference = resource.get(link)
        if resource.get("resourceType") == kind and isinstance(reference, Mapping):
            found[str(reference.get("reference", ""))].append(resource)
    return found


def _record(
    organization: Mapping[str, Any],
    location: Mapping[str, Any],
    provided: Iterable[Mapping[str, Any]],
    names: Mapping[str, str],
    country: str,
    updated: str,
) -> HospitalRecord:
    name = str(organization.get("name", "")).strip()
    if not name:
        raise RefusedRowError("name_missing", "Organization.name is empty")
    address = location.get("address") or (organization.get("address") or [{}])[0]
    where = str(address.get("country", "") or country).upper()[:2]
    latitude, longitude = _position(location, where)
    telecom = {each.get("system"): each.get("value", "") for each in organization.get("telecom", [])}
    return HospitalRecord(
        external_id=_identifier(organization),
        name=name,
        name_ko=_in_korean(organization, name),
        name_en="" if is_korean(name) else name,
        level=_level(organization),
        phone=str(telecom.get("phone", "")),
        url=str(telecom.get("url", "")),
        address=str(address.get("text", "") or " ".join(address.get("line", []))),
        province=str(address.get("state", "")),
        district=str(address.get("city", "") or address.get("district", "")),
        country=where,
        latitude=latitude,
        longitude=longitude,
        updated=str(organization.get("meta", {}).get("lastUpdated", ""))[:10] or updated,
        active=organization.get("active", True) is not False,
        services=tuple(OfferedService(code) for code in sorted(_services(provided, names))),
    )


def _identifier(organization: Mapping[str, Any]) -> str:
    for identifier in organization.get("identifier", []):
        if identifier.get("value"):
            return str(identifier["value"])
    if not organization.get("id"):
        raise RefusedRowError("identifier_missing", "Organization has neither identifier nor id")
    return str(organization["id"])


def _in_korean(organization: Mapping[str, Any], name: str) -> str:
    return next((str(each) for each in (name, *organization.get("alias", [])) if is_korean(str(each))), "")


def _position(location: Mapping[str, Any], country: str) -> tuple[float | None, float | None]:
    position = location.get("position")
    if not position:
        return None, None
    latitude, longitude = float(position["latitude"]), float(position["longitude"])
    check_coordinates(latitude, longitude, country)
    return latitude, longitude


def _level(organization: Mapping[str, Any]) -> HospitalLevel:
    codes = {coding.get("code") for each in organization.get("type", []) for coding in each.get("coding", [])}
    return next(
        (level for level in HospitalLevel if level.value and level.value in codes), HospitalLevel.UNKNOWN
    )


def _services(provided: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> set[str]:
    found = set()
    for service in provided:
        for concept in (*service.get("type", []), *service.get("specialty", [])):
            found |= {code for code in (_service_code(concept, names),) if code}
    return found


def _service_code(concept: Mapping[str, Any], names: Mapping[str, str]) -> str:
    codings = concept.get("coding", [])
    for coding in codings:
        if coding.get("system") == SERVICE_SYSTEM:
            if coding.get("code") not in names.values():
                raise RefusedRowError("unknown_service", f"service {coding.get('code')!r} is not known")
            return str(coding["code"])
    # other code systems are read by their words; a service we have no name for is simply not one of ours
    words = (str(concept.get("text", "")), *(str(coding.get("display", "")) for coding in codings))
    return next((names[normalise(word)] for word in words if normalise(word) in names), "")


def _service_names(services: Iterable[Service]) -> dict[str, str]:
    return {
        normalise(name): service.code
        for service in services
        for name in (service.name_en, service.name_ko, service.code)
    }
