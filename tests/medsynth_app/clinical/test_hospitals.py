"""From regions to a ranked list, every term shown."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest

from medsynth_app.clinical.cross_check import ConcordanceClass
from medsynth_app.clinical.hospital_benchmark import benchmark_hospitals
from medsynth_app.clinical.hospital_records import (
    HospitalLevel,
    HospitalRecord,
    HospitalSource,
    OfferedService,
    ParsedHospitals,
)
from medsynth_app.clinical.hospital_repository import great_circle_km
from medsynth_app.clinical.hospitals import (
    HospitalAnswer,
    HospitalDirectory,
    HospitalQuery,
    RankingConfiguration,
)
from medsynth_app.clinical.red_flags import EMERGENCY_EN, EMERGENCY_KO
from medsynth_app.clinical.repository import Repository
from medsynth_app.errors import InvalidValueError, NotFoundError

TODAY = date(2026, 11, 22)
SEOUL = {"latitude": 37.5665, "longitude": 126.978}
SOURCE = HospitalSource("test", "Invented for a test", "none needed")


@pytest.fixture
def directory(knowledge: Repository) -> HospitalDirectory:
    return HospitalDirectory(knowledge)


def find(directory: HospitalDirectory, **query: object) -> HospitalAnswer:
    return directory.find(HospitalQuery(**query), TODAY)  # type: ignore[arg-type]


def wanted(answer: HospitalAnswer) -> dict[str, float]:
    return {each.code: each.weight for each in answer.wanted}


def test_score_is_the_sum_of_its_terms(directory: HospitalDirectory) -> None:
    answer = find(directory, regions=("BROCA",), limit=24, **SEOUL)
    assert len(answer.hospitals) == 24
    for each in answer.hospitals:
        terms = each.terms
        total = 0.60 * terms.service_match + 0.15 * terms.level + 0.25 * terms.distance
        assert each.score == pytest.approx(total, abs=2e-4)
        assert each.distance_km is not None
        assert terms.distance == pytest.approx(math.exp(-each.distance_km / 50), abs=2e-3)
        assert each.hospital.invented
        assert "invented" in each.hospital.name_en
    scores = [each.score for each in answer.hospitals]
    assert scores == sorted(scores, reverse=True)


def test_the_near_university_hospital_comes_first_in_seoul(directory: HospitalDirectory) -> None:
    best = find(directory, regions=("BROCA", "INS"), **SEOUL).hospitals[0]
    assert best.hospital.name_ko == "가온누리대학교병원 (가상)"
    assert best.missing == ()
    assert {"awake_mapping", "intraoperative_monitoring"} <= set(best.offered)


@pytest.mark.parametrize(
    ("query", "service"),
    [
        ({"regions": ("BROCA",)}, "awake_mapping"),
        ({"regions": ("M1_HAND",)}, "intraoperative_monitoring"),
        ({"regions": ("PONS",)}, "stereotactic_biopsy"),
        ({"regions": ("OCC_CALC",)}, "neuro_ophthalmology"),
        ({"regions": ("HYPO",)}, "endocrinology"),
        ({"regions": ("VERMIS",)}, "hydrocephalus"),
        ({"seizures": True}, "epilepsy_surgery"),
        ({"child": True}, "pediatric_neurosurgery"),
    ],
)
def test_what_a_site_wants(directory: HospitalDirectory, query: dict[str, object], service: str) -> None:
    found = wanted(find(directory, **query))
    assert service in found
    assert {"neurosurgery", "neuro_oncology", "tumor_board", "radiotherapy", "rehabilitation"} <= set(found)
    assert service not in wanted(find(directory))


@pytest.mark.parametrize("concordance", [ConcordanceClass.DISCORDANT, ConcordanceClass.NOT_ASSESSABLE])
def test_doubtful_site_gives_the_general_list(
    directory: HospitalDirectory, concordance: ConcordanceClass
) -> None:
    answer = find(directory, regions=("BROCA",), seizures=True, concordance=concordance)
    assert answer.general_only
    assert wanted(answer) == {"neurology": 1.0, "neurosurgery": 1.0}


@pytest.mark.parametrize(
    "concordance",
    [ConcordanceClass.CONCORDANT, ConcordanceClass.PARTLY_SUPPORTED, ConcordanceClass.INDETERMINATE],
)
def test_other_classes_ask_for_the_site(directory: HospitalDirectory, concordance: ConcordanceClass) -> None:
    answer = find(directory, regions=("BROCA",), concordance=concordance)
    assert not answer.general_only
    assert "awake_mapping" in wanted(answer)


def test_urgent_signs_come_first(directory: HospitalDirectory, knowledge: Repository) -> None:
    flags = knowledge.red_flags()[:1]
    answer = find(directory, red_flags=flags)
    assert (answer.emergency_en, answer.emergency_ko) == (EMERGENCY_EN, EMERGENCY_KO)
    assert answer.red_flags == flags
    assert find(directory).emergency_en == ""


def test_without_a_place_the_distance_counts_for_nobody(directory: HospitalDirectory) -> None:
    answer = find(directory)
    assert {each.distance_km for each in answer.hospitals} == {None}
    assert {each.terms.distance for each in answer.hospitals} == {0.0}


def test_country_and_distance_limit(directory: HospitalDirectory) -> None:
    assert {each.hospital.country for each in find(directory, country="US", **SEOUL).hospitals} == {"US"}
    near = find(directory, max_distance_km=30.0, limit=50, **SEOUL).hospitals
    assert near
    assert all(each.distance_km is not None and each.distance_km <= 30 for each in near)


def test_unknown_place_ranks_and_ties_go_by_name(clinic: Repository) -> None:
    directory = HospitalDirectory(clinic, RankingConfiguration(keep_invented=True))
    before = find(directory, limit=100, **SEOUL)
    services = (OfferedService("neurosurgery", 0.5),)
    records = tuple(
        HospitalRecord(name, name, level=HospitalLevel.HOSPITAL, services=services)
        for name in ("Zeta", "Alpha")
    )
    clinic.import_hospitals(SOURCE, ParsedHospitals(records))
    after = find(directory, limit=100, **SEOUL)
    names = [each.hospital.name for each in after.hospitals if each.hospital.source == SOURCE.title]
    assert names == ["Alpha", "Zeta"]
    assert len(find(directory, limit=100, **SEOUL).hospitals) == len(before.hospitals) + 2
    alpha = next(each for each in after.hospitals if each.hospital.name == "Alpha")
    # undated data: recency 0.5; neurosurgery weighs 1 of the 3.4 that are always wanted
    assert alpha.terms.service_match == pytest.approx(0.5 * 0.5 * 1.0 / 3.4, abs=1e-4)
    assert alpha.distance_km is None
    near = find(directory, limit=100, max_distance_km=500.0, **SEOUL).hospitals
    assert not {"Alpha", "Zeta"} & {each.hospital.name for each in near}, "nobody knows that they are near"


def _listed(*rows: tuple[str, HospitalLevel, float, float]) -> ParsedHospitals:
    """Hospitals of which name, type and place are published, as in HIRA's base list: no services."""
    return ParsedHospitals(
        tuple(HospitalRecord(name, name, level=level, latitude=lat, longitude=lon) for name, level, lat, lon in rows)
    )


def test_real_hospitals_send_the_invented_ones_away(clinic: Repository) -> None:
    assert all(each.hospital.invented for each in find(HospitalDirectory(clinic)).hospitals)
    clinic.import_hospitals(SOURCE, _listed(("Real", HospitalLevel.TERTIARY, 37.5, 127.0)))
    assert [each.hospital.name for each in find(HospitalDirectory(clinic)).hospitals] == ["Real"]
    kept = find(HospitalDirectory(clinic, RankingConfiguration(keep_invented=True)), limit=100).hospitals
    assert len(kept) > 1
    assert {each.hospital.invented for each in kept} == {True, False}


def test_among_equals_the_nearest_is_first_and_nothing_lies_beyond_the_limit(clinic: Repository) -> None:
    clinic.import_hospitals(
        SOURCE,
        _listed(
            ("far", HospitalLevel.TERTIARY, 35.18, 129.08),
            ("farther", HospitalLevel.TERTIARY, 33.5, 126.5),
            ("near", HospitalLevel.TERTIARY, 37.57, 127.0),
            ("next door", HospitalLevel.HOSPITAL, 37.55, 127.0),
        ),
    )
    directory = HospitalDirectory(clinic)
    assert [each.hospital.name for each in find(directory, **SEOUL).hospitals][:1] == ["near"]
    names = [each.hospital.name for each in find(directory, **SEOUL).hospitals if each.hospital.level == "01"]
    assert names == ["near", "far", "farther"]
    within = find(directory, max_distance_km=50.0, **SEOUL).hospitals
    assert [each.hospital.name for each in within] == ["near", "next door"]
    assert find(directory, max_distance_km=1.0, latitude=36.0, longitude=128.0).hospitals == ()


def test_services_that_nobody_published_are_unknown_and_the_type_stands_in_by_name(clinic: Repository) -> None:
    clinic.import_hospitals(SOURCE, _listed(("Real", HospitalLevel.TERTIARY, 37.5, 127.0)))
    row = find(HospitalDirectory(clinic), regions=("BROCA",)).hospitals[0]
    assert (row.offered, row.missing) == ((), ())
    assert "awake_mapping" in row.unknown
    assert row.proxy == "level 01 (tertiary general hospital)"
    assert row.terms.service_match == pytest.approx(0.6 * row.terms.recency, abs=1e-3)


def test_a_distance_limit_without_a_place_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="max_distance_km: given without latitude and longitude"):
        HospitalQuery(max_distance_km=10.0)


def test_old_data_count_less(knowledge: Repository) -> None:
    directory = HospitalDirectory(knowledge)
    now, later = (
        directory.find(HospitalQuery(), day).hospitals[0].terms for day in (TODAY, date(2029, 11, 1))
    )
    assert now.recency == pytest.approx(1.0, abs=0.01)
    assert later.recency == pytest.approx(0.7, abs=0.01)
    assert later.service_match < now.service_match


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"regions": ("BROCCA",)}, "region: 'BROCCA' is not known"),
        ({"latitude": 37.0}, "latitude, longitude: only one is given"),
        ({"latitude": 127.0, "longitude": 37.0}, "latitude: 127.0; allowed: -90 to 90"),
        ({"latitude": 37.0, "longitude": float("nan")}, "longitude: nan; allowed: -180 to 180"),
        ({"limit": 0}, "limit: 0; allowed: 1 to 100"),
        ({"max_distance_km": -1.0}, "max_distance_km: -1.0; allowed: above 0"),
    ],
)
def test_wrong_queries(query: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        HospitalQuery(**query)  # type: ignore[arg-type]


def test_unknown_hospital(knowledge: Repository) -> None:
    with pytest.raises(NotFoundError, match="hospital: there is none"):
        knowledge.hospital("nowhere")


@pytest.mark.parametrize(
    ("one", "other", "km"),
    [
        ((37.5665, 126.9780), (35.1796, 129.0756), 325.0),
        ((0, 0), (0, 180), 20015.1),
        ((10, 20), (10, 20), 0.0),
        ((0, 179.5), (0, -179.5), 111.2),
    ],
    ids=["seoul-busan", "half the earth", "same place", "date line"],
)
def test_great_circle(one: tuple[float, float], other: tuple[float, float], km: float) -> None:
    found = great_circle_km(*one, np.array([other[0], np.nan]), np.array([other[1], 1.0]))
    assert found[0] == pytest.approx(km, abs=1.0)
    assert np.isnan(found[1])


@pytest.mark.parametrize(
    ("latitude", "longitude", "radius"), [(37.5, 127.0, 60.0), (42.3, -71.1, 400.0), (80, 0, 9000.0)]
)
def test_search_in_a_circle_agrees_with_looking_at_all(
    knowledge: Repository, latitude: float, longitude: float, radius: float
) -> None:
    columns = knowledge.hospital_columns()
    distances = great_circle_km(latitude, longitude, columns.latitude, columns.longitude)
    expected = [columns.ids[at] for at in np.argsort(distances) if distances[at] <= radius]
    found = knowledge.hospitals_within(latitude, longitude, radius)
    assert [hospital.id for hospital, _ in found] == expected
    assert expected


def test_benchmark_measures_what_it_imported(clinic: Repository) -> None:
    measured = benchmark_hospitals(clinic, TODAY, count=300, lookups=5)
    assert measured.hospitals == 300
    assert measured.dialect == clinic.database.dialect
    assert measured.lookup_median_ms <= measured.lookup_p95_ms
    assert len(clinic.hospital_columns().ids) == 324
