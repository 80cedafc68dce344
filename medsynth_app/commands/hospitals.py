"""``medsynth hospitals``: fill the directory from files, and look things up in it."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from medsynth_app.clinical.hospitals.fhir import read_hospital_bundle
from medsynth_app.clinical.hospitals.records import HospitalSource, ImportReport, ParsedHospitals
from medsynth_app.clinical.hospitals.search import HospitalDirectory, HospitalQuery, RankingConfiguration
from medsynth_app.clinical.hospitals.table_import import CsvConfiguration, read_hospital_csv
from medsynth_app.clinical.repository import Repository
from medsynth_app.clinical.scoring.cross_check import ConcordanceClass
from medsynth_app.commands.cross_check import open_clinic
from medsynth_app.commands.support.results import console, store_json
from medsynth_app.errors import InvalidValueError, NotFoundError
from medsynth_app.plain_values import plain

application = typer.Typer(help="The hospital directory.", no_args_is_help=True)
MOST_ROWS_SHOWN = 10


@application.command("import")
def import_hospitals(
    file: Annotated[Path, typer.Argument(help="CSV (plain or gzip) or FHIR R4 Bundle (.json).")],
    source: Annotated[str, typer.Option(help="Short stable name of the data set.")],
    licence: Annotated[str, typer.Option(help="What its owner allows.")],
    title: Annotated[str, typer.Option(help="Name of the data set; its short name by default.")] = "",
    url: Annotated[str, typer.Option(help="Where it was published.")] = "",
    retrieved: Annotated[str, typer.Option(help="Day of retrieval, YYYY-MM-DD; today by default.")] = "",
    country: Annotated[str, typer.Option(help="ISO code of rows that name none.")] = "",
    header: Annotated[list[str], typer.Option(help="FIELD=HEADER, for headers that are not known.")] = [],  # noqa: B006
    encoding: Annotated[str | None, typer.Option(help="Character encoding; UTF-8, UTF-16 and CP949 are found.")] = None,
    complete: Annotated[
        bool, typer.Option(help="Hospitals the file no longer holds become inactive.")
    ] = False,
    database: Annotated[str, typer.Option(help="Database URL or SQLite file.")] = "",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report to this file.")] = None,
) -> None:
    """Import hospitals; bad rows are set aside with their numbers, nothing is deleted."""
    if not file.is_file():
        raise NotFoundError(f"file: {file.name!r} is not there")
    repository = open_clinic(database).repository
    day = retrieved or date.today().isoformat()
    if file.suffix.lower() == ".json":
        parsed = _bundle(file, repository, country, day)
    else:
        codes = [service.code for service in repository.services()]
        configuration = CsvConfiguration(_headers(header), encoding, country, day, services=codes)
        parsed = read_hospital_csv(file, configuration)
    checksum = hashlib.sha256(file.read_bytes()).hexdigest()
    report = repository.import_hospitals(
        HospitalSource(source, title or source, licence, url, day, checksum), parsed, complete=complete
    )
    _show_import(report)
    store_json(plain(report), json_file)


@application.command("find")
def find(
    region: Annotated[list[str], typer.Option(help="Region code such as BROCA; may be repeated.")] = [],  # noqa: B006
    lat: Annotated[float | None, typer.Option(help="Degrees north.")] = None,
    lon: Annotated[float | None, typer.Option(help="Degrees east.")] = None,
    concordance: Annotated[
        ConcordanceClass | None, typer.Option(help="Class of the cross-check; a doubtful site wants general care.")
    ] = None,
    seizures: Annotated[bool, typer.Option(help="The patient has seizures.")] = False,
    child: Annotated[bool, typer.Option(help="The patient is under 18.")] = False,
    country: Annotated[str, typer.Option(help="ISO code to stay within.")] = "",
    max_km: Annotated[float | None, typer.Option(help="Nothing farther away; needs --lat and --lon.")] = None,
    limit: Annotated[int, typer.Option(help="Most hospitals listed.", min=1, max=100)] = 10,
    invented: Annotated[bool, typer.Option(help="Also the invented ones where real ones were imported.")] = False,
    database: Annotated[str, typer.Option(help="Database URL or SQLite file.")] = "",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the answer to this file.")] = None,
) -> None:
    """List hospitals that offer what the care of a region wants, with every term of the order."""
    query = HospitalQuery(
        regions=tuple(code for each in region for code in each.split(",") if code),
        concordance=concordance,
        latitude=lat,
        longitude=lon,
        seizures=seizures,
        child=child,
        country=country.upper(),
        max_distance_km=max_km,
        limit=limit,
    )
    directory = HospitalDirectory(open_clinic(database).repository, RankingConfiguration(keep_invented=invented))
    answer = directory.find(query, date.today())
    table = Table("hospital", "score", "services", "level", "distance", "km", "data of", "stands in")
    for row in answer.hospitals:
        terms = row.terms
        table.add_row(
            (row.hospital.name_en or row.hospital.name) + (" (invented)" if row.hospital.invented else ""),
            f"{row.score:.2f}",
            f"{terms.service_match:.2f}",
            f"{terms.level:.2f}",
            f"{terms.distance:.2f}",
            "?" if row.distance_km is None else f"{row.distance_km:.0f}",
            row.hospital.updated or "?",
            row.proxy,
        )
    console.print("wanted: " + ", ".join(each.name_en for each in answer.wanted), highlight=False)
    console.print(table)
    console.print(f"{answer.notice} {answer.research_notice}", highlight=False)
    store_json(plain(answer), json_file)


def _headers(pairs: list[str]) -> dict[str, str]:
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise InvalidValueError(f"--header: {wrong[0][:60]!r}; allowed: FIELD=HEADER")
    return dict(pair.split("=", 1) for pair in pairs)


def _bundle(file: Path, repository: Repository, country: str, day: str) -> ParsedHospitals:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidValueError(f"file: {file.name!r} is not JSON") from error
    return read_hospital_bundle(values, repository.services(), country, day)


def _show_import(report: ImportReport) -> None:
    console.print(
        f"{report.accepted} hospitals of {report.source} taken ({report.encoding}), "
        f"{report.without_location} without a place, {report.deactivated} now inactive, "
        f"{len(report.quarantined)} rows set aside, {len(report.warnings)} doubtful values left out",
        highlight=False,
    )
    for row in report.quarantined[:MOST_ROWS_SHOWN]:
        console.print(f"row {row.row}: {row.reason}: {row.message}", highlight=False)
