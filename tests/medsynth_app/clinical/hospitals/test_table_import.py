"""Hospital files: headers, encodings, and bad rows set aside with their numbers."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from medsynth_app.clinical.hospitals.records import (
    HospitalLevel,
    HospitalRecord,
    HospitalSource,
    OfferedService,
    ParsedHospitals,
)
from medsynth_app.clinical.hospitals.table_import import CsvConfiguration, decode, level_of, read_hospital_csv
from medsynth_app.clinical.repository import Repository
from medsynth_app.errors import InvalidValueError, UnsupportedKindError

SOURCE = HospitalSource("test", "Invented for a test", "none needed", retrieved="2026-01-01")
KOREAN = "요양기관명,종별코드명,전화번호,좌표(X),좌표(Y)\n가상병원,상급종합,02-123-4567,126.99,37.57\n"


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "hospitals.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def parsed(*records: HospitalRecord) -> ParsedHospitals:
    return ParsedHospitals(tuple(records))


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (KOREAN.encode("utf-8"), "utf-8"),
        (KOREAN.encode("utf-8-sig"), "utf-8"),
        (KOREAN.encode("cp949"), "cp949"),
        (KOREAN.encode("utf-16"), "utf-16"),
        (gzip.compress(KOREAN.encode("cp949")), "cp949"),
    ],
    ids=["utf-8", "utf-8 with mark", "cp949", "utf-16", "cp949 gzip"],
)
def test_encodings_of_korean_files(tmp_path: Path, content: bytes, encoding: str) -> None:
    found = read_hospital_csv(write(tmp_path, content))
    assert found.encoding == encoding
    assert found.columns["longitude"] == "좌표(X)"
    record = found.records[0]
    assert (record.name, record.level, record.phone) == ("가상병원", HospitalLevel.TERTIARY, "02-123-4567")
    assert (record.latitude, record.longitude) == (37.57, 126.99)


def test_unreadable_characters_are_refused() -> None:
    with pytest.raises(UnsupportedKindError, match="not UTF-8, UTF-16 or CP949; name its encoding"):
        decode(b"name\n\xff\xff\x81\x00\xff")


@pytest.mark.parametrize(
    ("row", "country", "reason"),
    [
        (",37.5,127.0", "KR", "name_missing"),
        ("A,127.0,37.5", "KR", "coordinates_swapped"),
        ("A,-74.0,40.7", "US", "coordinates_swapped"),
        ("A,127.0,37.5", "", "coordinates_swapped"),
        ("A,95.0,200.0", "", "coordinates_out_of_range"),
        ("A,nan,127.0", "", "coordinates_out_of_range"),
        ("A,0,0", "", "coordinates_null"),
        ("A,51.5,-0.1", "KR", "coordinates_outside_country"),
        ("A,north,127.0", "KR", "coordinates_unreadable"),
        ("A,37.5,", "KR", "coordinates_unreadable"),
        ("A,37.5", "KR", "column_count"),
    ],
)
def test_bad_rows_are_set_aside_with_their_number(
    tmp_path: Path, row: str, country: str, reason: str
) -> None:
    content = f"name,lat,lon\nFirst,37.5,127.0\n{row}\nLast,,\n"
    if country == "US":
        content = content.replace("First,37.5,127.0", "First,40.7,-74.0")
    found = read_hospital_csv(write(tmp_path, content), CsvConfiguration(country=country))
    assert [(each.row, each.reason) for each in found.quarantined] == [(3, reason)]
    assert [each.name for each in found.records] == ["First", "Last"]
    assert found.records[1].latitude is None


def test_duplicates_and_unknown_services(tmp_path: Path) -> None:
    content = "id,name,services\n1,A,neurology=0.5;neurosurgery\n1,B,\n2,C,heart_surgery\n3,D,neurology=2\n"
    found = read_hospital_csv(
        write(tmp_path, content), CsvConfiguration(services=("neurology", "neurosurgery"))
    )
    assert found.records[0].services == (OfferedService("neurology", 0.5), OfferedService("neurosurgery"))
    assert [(each.row, each.reason) for each in found.quarantined] == [
        (3, "duplicate"),
        (4, "unknown_service"),
        (5, "confidence"),
    ]
    assert "the same as in row 2" in found.quarantined[0].message


def test_doubtful_phone_is_left_out_and_reported(tmp_path: Path) -> None:
    found = read_hospital_csv(write(tmp_path, "name,phone\nA,call me\nB,(323) 462-2271\nC,NOT AVAILABLE\n"))
    assert [each.phone for each in found.records] == ["", "(323) 462-2271", ""]
    assert [(each.row, each.reason) for each in found.warnings] == [(2, "phone")]


def test_own_headers(tmp_path: Path) -> None:
    path = write(tmp_path, "Klinik,Breite,Länge\nA,48.1,11.6\n")
    found = read_hospital_csv(
        path, CsvConfiguration(headers={"name": "Klinik", "latitude": "Breite", "longitude": "Länge"})
    )
    assert (found.records[0].latitude, found.records[0].longitude) == (48.1, 11.6)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "headers: no column holds the hospital's name; the file has Klinik"),
        ({"name": "Haus"}, r"headers: \['Haus'\] are not in the file; it has Klinik"),
    ],
)
def test_missing_headers(tmp_path: Path, headers: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        read_hospital_csv(write(tmp_path, "Klinik\nA\n"), CsvConfiguration(headers=headers))


def test_unknown_field_in_the_header_map() -> None:
    with pytest.raises(
        InvalidValueError, match=r"headers: \['nombre'\] are not fields; allowed: external_id"
    ):
        CsvConfiguration(headers={"nombre": "x"})


@pytest.mark.parametrize(
    ("word", "level"),
    [
        ("상급종합", "01"),
        ("종합", "11"),
        ("종합병원", "11"),
        ("병원", "21"),
        ("GENERAL ACUTE CARE", "11"),
        ("Acute Care Hospitals", "11"),
        ("Critical Access Hospitals", "21"),
        ("PSYCHIATRIC", "21"),
        ("01", "01"),
        ("", ""),
        ("spa", ""),
    ],
)
def test_levels(word: str, level: str) -> None:
    assert level_of(word).value == level


def test_importing_again_updates_and_deletes_nothing(clinic: Repository) -> None:
    first = HospitalRecord(
        "1", "Old name", services=(OfferedService("neurology"), OfferedService("neurosurgery"))
    )
    other = HospitalRecord("2", "Other")
    clinic.import_hospitals(SOURCE, parsed(first, other))
    before = set(clinic.hospital_columns().ids)
    again = HospitalRecord("1", "New name", services=(OfferedService("neurology"),))
    report = clinic.import_hospitals(SOURCE, parsed(again), complete=True)
    assert (report.accepted, report.deactivated, report.without_location) == (1, 1, 1)
    after = set(clinic.hospital_columns().ids)
    gone = (before - after).pop()
    assert not clinic.hospital(gone).active
    names = {each.name: each for each in clinic.hospitals(tuple(after))}
    assert "Old name" not in names
    assert names["New name"].services == {"neurology": 1.0, "neurosurgery": 0.0}


def test_services_that_do_not_exist_never_reach_the_database(clinic: Repository) -> None:
    report = clinic.import_hospitals(
        SOURCE, parsed(HospitalRecord("1", "A", services=(OfferedService("magic"),)))
    )
    assert report.accepted == 0
    assert [each.reason for each in report.quarantined] == ["unknown_service"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "country", "rows", "with_places"),
    [
        ("hospitals_kr_hira_2019/hospitals.csv.gz", "KR", 101, True),
        ("hospitals_us_hifld/hospitals.csv.gz", "US", 7140, True),
        ("hospitals_us_cms/Hospital_General_Information.csv.gz", "US", 4772, False),
    ],
    ids=["hira", "hifld", "cms"],
)
def test_real_files_import_cleanly(
    shared_data: Path, clinic: Repository, file: str, country: str, rows: int, with_places: bool
) -> None:
    path = shared_data / "hospitals" / file
    if not path.exists():
        pytest.skip(f"{file} is not among the real data")
    found = read_hospital_csv(path, CsvConfiguration(country=country))
    report = clinic.import_hospitals(SOURCE, found)
    assert (report.accepted, report.quarantined) == (rows, ())
    assert (report.without_location == 0) is with_places
    assert sum(each.level is not HospitalLevel.UNKNOWN for each in found.records) >= 0.99 * report.accepted
