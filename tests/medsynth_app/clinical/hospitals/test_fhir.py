"""Hospitals from a FHIR bundle."""

from __future__ import annotations

from typing import Any

import pytest

from medsynth_app.clinical.hospitals.fhir import SERVICE_SYSTEM, read_hospital_bundle
from medsynth_app.clinical.hospitals.records import HospitalLevel, HospitalSource, OfferedService
from medsynth_app.clinical.repository import Repository
from medsynth_app.errors import MalformedRequestError

LEVELS = "http://www.hl7korea.or.kr/CodeSystem/hira-healthcare-organization-types"


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    entries = [{"fullUrl": f"urn:uuid:{at}", "resource": each} for at, each in enumerate(resources, start=1)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def organization(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Organization",
        "id": "a",
        "identifier": [{"value": "11100001"}],
        "name": "가상대학교병원",
        "type": [{"coding": [{"system": LEVELS, "code": "01"}]}],
        "telecom": [{"system": "phone", "value": "02-1234-5678"}],
        **more,
    }


def location(latitude: float, longitude: float) -> dict[str, Any]:
    return {
        "resourceType": "Location",
        "managingOrganization": {"reference": "Organization/a"},
        "position": {"latitude": latitude, "longitude": longitude},
        "address": {"country": "KR", "state": "서울", "city": "종로구", "line": ["가상로 1"]},
    }


def service(concept: dict[str, Any], reference: str = "urn:uuid:1") -> dict[str, Any]:
    return {"resourceType": "HealthcareService", "providedBy": {"reference": reference}, "type": [concept]}


def test_three_resources_make_one_hospital(knowledge: Repository) -> None:
    found = read_hospital_bundle(
        bundle(
            organization(meta={"lastUpdated": "2026-05-01T00:00:00Z"}),
            location(37.58, 127.0),
            service({"coding": [{"system": SERVICE_SYSTEM, "code": "radiosurgery"}]}),
            service({"text": "신경외과"}, "Organization/a"),
            service({"text": "cardiology"}),
        ),
        knowledge.services(),
    )
    assert found.quarantined == ()
    record = found.records[0]
    assert (record.external_id, record.level) == ("11100001", HospitalLevel.TERTIARY)
    assert (record.latitude, record.longitude, record.country) == (37.58, 127.0, "KR")
    assert (record.province, record.address, record.updated) == ("서울", "가상로 1", "2026-05-01")
    assert record.services == (OfferedService("neurosurgery"), OfferedService("radiosurgery"))


def test_read_hospitals_can_be_imported(clinic: Repository) -> None:
    found = read_hospital_bundle(bundle(organization(), location(37.58, 127.0)), clinic.services())
    report = clinic.import_hospitals(HospitalSource("fhir", "test", "none"), found)
    assert (report.accepted, report.without_location) == (1, 0)
    assert clinic.hospitals_within(37.58, 127.0, 0.5)[0][0].name == "가상대학교병원"


@pytest.mark.parametrize(
    ("resources", "reason"),
    [
        ((organization(name=""),), "name_missing"),
        ((organization(identifier=[], id=""),), "identifier_missing"),
        ((organization(), location(127.0, 37.58)), "coordinates_swapped"),
        (
            (organization(), service({"coding": [{"system": SERVICE_SYSTEM, "code": "magic"}]})),
            "unknown_service",
        ),
        ((organization(telecom="02"),), "malformed"),
    ],
)
def test_bad_resources_are_set_aside(
    knowledge: Repository, resources: tuple[dict[str, Any], ...], reason: str
) -> None:
    found = read_hospital_bundle(bundle(*resources), knowledge.services())
    assert found.records == ()
    assert [(each.row, each.reason) for each in found.quarantined] == [(1, reason)]


@pytest.mark.parametrize("value", [{}, {"resourceType": "Patient"}, {"resourceType": "Bundle", "entry": 5}])
def test_other_resources_are_malformed(knowledge: Repository, value: dict[str, Any]) -> None:
    with pytest.raises(MalformedRequestError, match="allowed: 'Bundle' with entries"):
        read_hospital_bundle(value, knowledge.services())
