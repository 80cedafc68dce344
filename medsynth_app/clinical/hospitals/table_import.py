"""Reading hospitals from a CSV file: headers matched, encoding found, bad rows set aside with their numbers.

Nothing is fetched: an operator saves a file and names its source. A row is taken as a whole or not at all;
the report says which rows were refused and why, so that the file can be mended and imported again
(`Repository.import_hospitals`).
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from medsynth_app.clinical.hospitals.records import (
    HospitalLevel,
    HospitalRecord,
    OfferedService,
    ParsedHospitals,
    QuarantinedRow,
    RefusedRowError,
)
from medsynth_app.errors import InvalidValueError, UnsupportedKindError

KNOWN_HEADERS: dict[str, tuple[str, ...]] = {
    "external_id": ("external_id", "provider id", "facility id", "id", "ykiho", "암호화요양기호", "요양기호"),
    "name": ("name", "hospital name", "facility name", "yadmnm", "요양기관명", "병원명", "기관명"),
    "name_ko": ("name_ko",),
    "name_en": ("name_en",),
    "level": ("level", "type", "hospital type", "clcdnm", "종별코드명", "종별"),
    "emergency": ("emergency", "emergency services", "응급실"),
    "phone": ("phone", "telephone", "phone number", "telno", "전화번호"),
    "url": ("url", "website", "hospurl", "홈페이지", "병원홈페이지"),
    "address": ("address", "addr", "주소"),
    "province": ("province", "state", "sidocdnm", "시도코드명", "시도"),
    "district": ("district", "city", "city/town", "sggucdnm", "시군구코드명", "시군구"),
    "country": ("country",),
    "latitude": ("latitude", "lat", "ypos", "위도", "좌표(y)"),
    "longitude": ("longitude", "lon", "lng", "xpos", "경도", "좌표(x)"),
    "confidence": ("confidence",),
    "updated": ("updated", "sourcedate"),
    "status": ("status",),
    "services": ("services",),
}
"""Field -> headers that files of HIRA, CMS and HIFLD use for it, in lower case."""

_LEVEL_WORDS = (
    (HospitalLevel.TERTIARY, ("01", "상급종합", "tertiary", "university")),
    (HospitalLevel.GENERAL, ("11", "종합", "general", "acute care hospitals", "children", "military",
                             "women")),
    (HospitalLevel.HOSPITAL, ("21", "병원", "hospital", "critical access", "psychiatric", "rehabilitation",
                              "long term", "chronic", "special")),
)  # fmt: skip

COUNTRY_BOXES: dict[str, tuple[tuple[float, float, float, float], ...]] = {
    "KR": ((33.0, 38.7, 124.5, 132.0),),
    # mainland, Alaska, Hawaii and the Caribbean; the Aleutians beyond 180 and the western Pacific; Samoa
    "US": ((17.0, 72.0, -180.0, -64.0), (-1.0, 72.0, 130.0, 180.0), (-15.0, -10.0, -173.0, -167.0)),
}
"""Latitude from, to, longitude from, to (degrees): where a country's hospitals can lie."""

_NOTHING = frozenset({"", "not available", "n/a", "na", "null", "none", "-", "-999", "-999.0"})
_COUNTRIES = {"usa": "US", "us": "US", "kr": "KR", "kor": "KR", "korea": "KR", "대한민국": "KR",
              # HIFLD lists the outlying areas as countries of their own
              "pri": "US", "gum": "US", "vir": "US", "mnp": "US", "asm": "US", "plw": "PW"}  # fmt: skip
KOREAN_WINDOWS = "cp949"
LARGEST_RARE_SHARE = 0.2
"""Of all Hangul syllables: rare ones are one in a hundred in Korean, nearly all in a Western text read as Korean."""
_MIXED_WORD = re.compile(r"\w*(?:[A-Za-z][\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff]|"
                         r"[\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff][A-Za-z])\w*")  # fmt: skip
_PHONE = re.compile(r"[+\d][\d\s().\-~,/xext]{5,58}|\(\d[\d\s().\-~,/xext]{5,58}", re.IGNORECASE)


@dataclass(frozen=True)
class CsvConfiguration:
    """How a hospital file is read.

    Attributes:
        headers: field -> header, for files whose headers `KNOWN_HEADERS` does not have.
        encoding: character encoding; found from the bytes where None.
        country: ISO 3166-1 alpha-2 of rows that name none; switches on the check of their coordinates.
        updated: day the data are from, for rows that name none.
        confidence: how sure the source is of its rows, 0 to 1.
        invented: the hospitals are made up.
        services: service codes that exist; a row with another one is refused. Unchecked where empty.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    country: str = ""
    updated: str = ""
    confidence: float = 1.0
    invented: bool = False
    services: Collection[str] = ()

    def __post_init__(self) -> None:
        strange = sorted(set(self.headers) - set(KNOWN_HEADERS))
        if strange:
            raise InvalidValueError(f"headers: {strange} are not fields; allowed: {', '.join(KNOWN_HEADERS)}")


def read_hospital_csv(
    path: str | Path, configuration: CsvConfiguration = CsvConfiguration()
) -> ParsedHospitals:
    """Read a hospital file without touching a database.

    Args:
        path: CSV file, plain or gzip, with one header row.
        configuration: how it is read.

    Raises:
        InvalidValueError: no column holds the name.
        UnsupportedKindError: the characters cannot be read.
    """
    text, encoding = decode(_bytes_of(Path(path)), configuration.encoding)
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [each.strip() for each in next(reader, [])]
    columns = match_headers(header, configuration.headers)
    records: list[HospitalRecord] = []
    quarantined: list[QuarantinedRow] = []
    warnings: list[QuarantinedRow] = []
    seen: dict[str, int] = {}
    for number, row in _numbered(reader):
        try:
            record, doubts = _record_of(_values(header, columns, row), configuration)
            if record.external_id in seen:
                first = seen[record.external_id]
                raise RefusedRowError("duplicate", f"external_id is the same as in row {first}")
        except RefusedRowError as refusal:
            quarantined.append(QuarantinedRow(number, refusal.reason, str(refusal)))
            continue
        seen[record.external_id] = number
        records.append(record)
        warnings.extend(QuarantinedRow(number, reason, message) for reason, message in doubts)
    return ParsedHospitals(tuple(records), tuple(quarantined), tuple(warnings), encoding, columns)


def decode(content: bytes, encoding: str | None = None) -> tuple[str, str]:
    """Turn a file's bytes into text: by its mark, as UTF-8, or as CP949 (Korean Windows).

    Returns:
        Text and the name of the encoding.

    Raises:
        UnsupportedKindError: none of them fits, or the text read as CP949 is probably of another encoding.
    """
    marked = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    for candidate in [encoding] if encoding else [marked, KOREAN_WINDOWS]:
        try:
            text = content.decode(candidate)
        except (UnicodeDecodeError, LookupError):
            continue
        if encoding is None and candidate == KOREAN_WINDOWS:
            _check_is_korean(text)
        return text, "utf-8" if candidate == "utf-8-sig" else candidate
    raise UnsupportedKindError(
        f"file: its characters are not {encoding or 'UTF-8, UTF-16 or CP949'}; "
        "name its encoding (--encoding cp1252 for Western Windows) or save it as UTF-8",
        code="encoding",
    )


def _check_is_korean(text: str) -> None:
    """Western letters with accents, read as CP949, become Hangul or Hanja in the middle of Latin words.

    Hospitals are called "MH우리병원", so Hangul beside Latin letters is right in itself. Wrong are syllables that
    CP949 writes with a Latin letter as their second byte (real Korean hardly has them) where they are frequent or
    beside a Latin letter, Hanja beside a Latin letter, and any of them between two small Latin letters.

    Raises:
        UnsupportedKindError: the text has such words (415).
    """
    rare = [letter for letter in text if _is_rare(letter)]
    hangul = sum("\uac00" <= letter <= "\ud7a3" for letter in text)
    strange = rare[0] if len(rare) > LARGEST_RARE_SHARE * hangul else None
    for word in _MIXED_WORD.findall(text):
        if strange is None and any(_is_strange(*three) for three in zip(f" {word}", word, f"{word[1:]} ")):
            strange = word
    if strange is not None:
        raise UnsupportedKindError(
            f"file: read as CP949 (Korean) it has words like {strange[:40]!r}, its encoding is probably another; "
            "name it (--encoding cp1252 for Western Windows, --encoding cp949 if it is Korean) "
            "or save the file as UTF-8",
            code="encoding",
        )


def _is_strange(before: str, own: str, after: str) -> bool:
    """Whether a letter can hardly stand between its neighbours in a Korean text."""
    hangul = "\uac00" <= own <= "\ud7a3"
    if not (hangul or "\u4e00" <= own <= "\u9fff" or "\uf900" <= own <= "\ufaff"):
        return False
    beside = [each for each in (before, after) if each.isascii() and each.isalpha()]
    return bool(beside and (not hangul or _is_rare(own))) or sum(each.islower() for each in beside) == 2


def _is_rare(letter: str) -> bool:
    """A Hangul syllable beyond the 2,350 common ones, written with an ASCII letter in CP949."""
    return "\uac00" <= letter <= "\ud7a3" and letter.encode(KOREAN_WINDOWS)[1] < 0x80


def match_headers(header: list[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Find which column holds which field.

    Args:
        header: the file's header row.
        chosen: field -> header, which wins over the known headers.

    Raises:
        InvalidValueError: a chosen header is absent, or no column holds the name.
    """
    lower = {each.lower(): each for each in reversed(header)}
    absent = sorted(each for each in chosen.values() if each not in header)
    if absent:
        raise InvalidValueError(f"headers: {absent} are not in the file; it has {', '.join(header)}")
    columns = dict(chosen)
    for name, headers in KNOWN_HEADERS.items():
        found = next((lower[each] for each in headers if each in lower), None)
        if found is not None:
            columns.setdefault(name, found)
    if "name" not in columns:
        raise InvalidValueError(
            f"headers: no column holds the hospital's name; the file has {', '.join(header) or 'no header'}",
            code="header_missing",
        )
    return columns


def _bytes_of(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _numbered(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    for number, row in enumerate(reader, start=2):
        if any(each.strip() for each in row):
            yield number, row


def _values(header: list[str], columns: Mapping[str, str], row: list[str]) -> dict[str, str]:
    if len(row) != len(header):
        raise RefusedRowError("column_count", f"the row has {len(row)} columns; the header has {len(header)}")
    written = dict(zip(header, (each.strip() for each in row)))
    found = {name: written[column] for name, column in columns.items()}
    return {name: "" if value.lower() in _NOTHING else value for name, value in found.items()}


def _record_of(
    values: Mapping[str, str], configuration: CsvConfiguration
) -> tuple[HospitalRecord, list[tuple[str, str]]]:
    name = values["name"]
    if not name:
        raise RefusedRowError("name_missing", "name is empty")
    country = _country(values.get("country", ""), configuration.country)
    latitude, longitude = _coordinates(values.get("latitude", ""), values.get("longitude", ""), country)
    phone, doubts = _phone(values.get("phone", ""))
    record = HospitalRecord(
        external_id=values.get("external_id") or _made_up_id(values),
        name=name,
        name_ko=values.get("name_ko", ""),
        name_en=values.get("name_en", ""),
        level=level_of(values.get("level", "")),
        emergency=_yes_or_no(values.get("emergency", "")),
        phone=phone,
        url=values.get("url", ""),
        address=values.get("address", ""),
        province=values.get("province", ""),
        district=values.get("district", ""),
        country=country,
        latitude=latitude,
        longitude=longitude,
        confidence=_confidence(values.get("confidence", ""), configuration.confidence),
        updated=_day(values.get("updated", "")) or configuration.updated,
        invented=configuration.invented,
        active=values.get("status", "").lower() not in {"closed", "폐업"},
        services=_services(values.get("services", ""), configuration.services),
    )
    return record, doubts


def _coordinates(
    written_latitude: str, written_longitude: str, country: str
) -> tuple[float | None, float | None]:
    if not written_latitude and not written_longitude:
        return None, None
    try:
        latitude, longitude = float(written_latitude), float(written_longitude)
    except ValueError:
        raise RefusedRowError(
            "coordinates_unreadable",
            f"latitude {written_latitude!r}, longitude {written_longitude!r}; "
            "allowed: numbers, or both empty",
        ) from None
    check_coordinates(latitude, longitude, country)
    return latitude, longitude


def check_coordinates(latitude: float, longitude: float, country: str = "") -> None:
    """Refuse coordinates that are swapped, out of range, or at the null point.

    Args:
        latitude: degrees north.
        longitude: degrees east.
        country: ISO code; coordinates of a country in `COUNTRY_BOXES` must lie in its boxes.

    Raises:
        RefusedRowError: with the reason ``coordinates_swapped``, ``coordinates_out_of_range``,
            ``coordinates_null`` or ``coordinates_outside_country``.
    """
    place = f"latitude {latitude}, longitude {longitude}"
    in_range = abs(latitude) <= 90 and abs(longitude) <= 180  # False for NaN too
    if latitude == 0 and longitude == 0:
        raise RefusedRowError("coordinates_null", f"{place}: a placeholder, not a place")
    if in_range and _in_country(latitude, longitude, country):
        return
    swapped_in_range = abs(longitude) <= 90 and abs(latitude) <= 180
    if swapped_in_range and (
        _in_country(longitude, latitude, country) if country in COUNTRY_BOXES else not in_range
    ):
        raise RefusedRowError("coordinates_swapped", f"{place}: latitude and longitude are swapped")
    if not in_range:
        raise RefusedRowError("coordinates_out_of_range", f"{place}; allowed: -90 to 90 and -180 to 180")
    raise RefusedRowError("coordinates_outside_country", f"{place}: outside {country}")


def _in_country(latitude: float, longitude: float, country: str) -> bool:
    boxes = COUNTRY_BOXES.get(country)
    return boxes is None or any(
        south <= latitude <= north and west <= longitude <= east for south, north, west, east in boxes
    )


def level_of(written: str) -> HospitalLevel:
    """The level of care that a source's word for the kind of hospital stands for; UNKNOWN where unclear."""
    word = written.strip().lower()
    for level, starts in _LEVEL_WORDS:
        if word and any(word.startswith(start) for start in starts):
            return level
    return HospitalLevel.UNKNOWN


def _services(written: str, known: Collection[str]) -> tuple[OfferedService, ...]:
    """``awake_mapping;radiosurgery=0.7``: codes, each with a confidence if it is not 1."""
    offered = []
    for part in filter(None, (each.strip() for each in written.split(";"))):
        code, _, sure = part.partition("=")
        if known and code not in known:
            raise RefusedRowError("unknown_service", f"service {code!r}; known: {', '.join(sorted(known))}")
        offered.append(OfferedService(code, _confidence(sure, 1.0)))
    return tuple(offered)


def _confidence(written: str, otherwise: float) -> float:
    if not written:
        return otherwise
    try:
        value = float(written)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise RefusedRowError("confidence", f"confidence {written!r}; allowed: 0 to 1")
    return value


def _phone(written: str) -> tuple[str, list[tuple[str, str]]]:
    if not written or _PHONE.fullmatch(written):
        return written, []
    return "", [("phone", "the telephone number cannot be read and was left out")]


def _country(written: str, otherwise: str) -> str:
    return _COUNTRIES.get(written.lower(), written.upper()[:2]) if written else otherwise


def _yes_or_no(written: str) -> bool | None:
    word = written.strip().lower()
    if word in {"true", "yes", "y", "1", "예", "있음"}:
        return True
    return False if word in {"false", "no", "n", "0", "아니오", "없음"} else None


def _day(written: str) -> str:
    found = re.match(r"(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})", written)
    try:
        return date(*map(int, found.groups())).isoformat() if found else ""
    except ValueError:
        return ""


def _made_up_id(values: Mapping[str, str]) -> str:
    """An identifier for a file that has none: the same name at the same place stays the same hospital."""
    parts = (
        values["name"],
        values.get("latitude", ""),
        values.get("longitude", ""),
        values.get("address", ""),
    )
    return "name:" + hashlib.sha256("|".join(parts).encode()).hexdigest()[:24]
