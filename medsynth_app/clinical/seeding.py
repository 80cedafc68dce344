"""The knowledge base's seed files: read, checked against their manifest, written once.

``seed/manifest.json`` holds a version (a whole number) and the SHA-256 of every seed file (line ends as LF,
so a checkout on Windows reads the same). The database remembers which version it holds, with the manifest's
checksum and a checksum of its own knowledge tables. Opening a database refuses to start when

1. a seed file is not what the manifest says (edited without `write_manifest`),
2. the database holds this version with another checksum (edited without raising the version),
3. the database holds a newer version than this program, or
4. the database's knowledge tables are no longer what was written into them.

A newer version in the files replaces the knowledge base; hospitals, cross-checks and the audit chain are
never touched by that. Regions mirror `imaging.brain_regions` and are refreshed every time.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from medsynth_app.clinical.database.engine import Database, open_database
from medsynth_app.clinical.database.tables import (
    LayTermRow,
    LinkRow,
    RedFlagRow,
    RegionRow,
    RegionServiceRow,
    SeedState,
    ServiceRow,
    SymptomRow,
    SynonymRow,
)
from medsynth_app.clinical.hospitals.records import HospitalSource
from medsynth_app.clinical.hospitals.store import store_hospitals, upsert
from medsynth_app.clinical.hospitals.table_import import CsvConfiguration, read_hospital_csv
from medsynth_app.clinical.knowledge.symptom_model import load_symptom_definitions, parse_pairs
from medsynth_app.errors import MedSynthError
from medsynth_app.imaging.atlas.brain_regions import BRAIN_REGIONS, REGION_CODES

SEED_FOLDER = Path(__file__).parent / "seed"
MANIFEST = "manifest.json"
SEED_FILES = (
    "symptoms.csv", "synonyms.csv", "lay_terms.csv", "red_flags.csv", "services.csv", "region_services.csv",
    "hospitals.csv",
)  # fmt: skip
ANY_REGION_WANTS = frozenset({"ALWAYS", "SEIZURE", "CHILD"})
"""Words that stand in ``region_services.csv`` instead of a region: for everyone, with seizures, under 18."""

INVENTED_SOURCE = HospitalSource(
    id="medsynth-invented",
    title="Invented hospitals of the MedSynth project (no real institutions)",
    licence="Apache-2.0",
)
_STATE_NAME = "knowledge_base"


class KnowledgeBaseError(MedSynthError):
    """The seed files, or the database's copy of them, are not what they should be: the program does not
    start."""

    status = 500
    code = "knowledge_base_checksum_mismatch"


@dataclass(frozen=True)
class Seed:
    """The seed files' content, checked.

    Attributes:
        version: the manifest's version.
        checksum: SHA-256 over the manifest's file checksums.
        tables: file name -> its rows.
        folder: where the files lie.
    """

    version: int
    checksum: str
    tables: Mapping[str, Sequence[Mapping[str, str]]]
    folder: Path


def open_seeded_database(url: str | Path, seed_folder: Path = SEED_FOLDER) -> Database:
    """Open a database whose knowledge base is up to date.

    Args:
        url: as `open_database` takes it.
        seed_folder: folder with ``manifest.json`` and the seed files.

    Raises:
        InvalidValueError: the URL is not of a known kind.
        OverloadedError: the server does not answer.
        KnowledgeBaseError: the seed files or the database's copy of them were edited.
    """
    # read before touching the database: an edited seed file must not leave a half-made one behind
    seed = read_seed(seed_folder)
    return open_database(url, lambda connection: apply_seed(connection, seed))


def read_seed(folder: Path = SEED_FOLDER) -> Seed:
    """Read the seed files and check them against their manifest.

    Raises:
        KnowledgeBaseError: a file is missing, was edited, or names what does not exist.
    """
    manifest = _manifest(folder)
    tables = {}
    for name in SEED_FILES:
        content = _content(folder, name)
        expected, found = manifest["files"].get(name), hashlib.sha256(content).hexdigest()
        if expected != found:
            raise KnowledgeBaseError(
                f"seed file {name} was edited: its SHA-256 is {found[:12]}…, the manifest says "
                f"{str(expected)[:12]}…; restore the file, or write a new manifest with a higher version"
            )
        tables[name] = list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))
    seed = Seed(int(manifest["version"]), _manifest_checksum(manifest), tables, folder)
    _check_references(seed)
    return seed


def write_manifest(folder: Path, version: int) -> None:
    """Write the manifest after seed files were changed on purpose.

    Args:
        folder: the seed folder.
        version: higher than the one before, so that databases take the change over.

    Raises:
        KnowledgeBaseError: a file is missing, or the version is not higher.
    """
    target = folder / MANIFEST
    if target.exists() and _manifest(folder)["version"] >= version:
        raise KnowledgeBaseError(
            f"version is {version}; allowed: above {_manifest(folder)['version']}", code="seed_version"
        )
    files = {name: hashlib.sha256(_content(folder, name)).hexdigest() for name in SEED_FILES}
    beside = target.with_suffix(".tmp")
    beside.write_text(json.dumps({"version": version, "files": files}, indent=2) + "\n", encoding="utf-8")
    beside.replace(target)


def apply_seed(connection: Connection, seed: Seed) -> bool:
    """Bring the knowledge tables to the seed's version, inside the connection's transaction.

    Args:
        connection: open connection whose tables are up to date.
        seed: what `read_seed` found.

    Returns:
        True where something was written, False where the database was up to date.

    Raises:
        KnowledgeBaseError: see the module's rules 2 to 4.
    """
    upsert(connection, RegionRow, _region_values(), ("code",))
    row = (
        connection.execute(select(SeedState.__table__).where(SeedState.name == _STATE_NAME))
        .mappings()
        .first()
    )
    if row is not None:
        state = {str(name): value for name, value in row.items()}
        _check_state(connection, seed, state)
        if state["version"] == seed.version:
            return False
    _write_knowledge(connection, seed)
    _write_hospitals(connection, seed)
    values = {
        "name": _STATE_NAME,
        "version": seed.version,
        "manifest_checksum": seed.checksum,
        "content_checksum": content_checksum(connection),
        "applied_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    upsert(connection, SeedState, [values], ("name",))
    return True


def content_checksum(connection: Connection) -> str:
    """SHA-256 over the database's knowledge tables, the same on every engine."""
    digest = hashlib.sha256()
    for row in (SymptomRow, SynonymRow, LayTermRow, LinkRow, RedFlagRow, ServiceRow, RegionServiceRow):
        # a synonym's running number depends on the order of writing, and collation on the engine
        columns = [column for column in row.__table__.columns if row is not SynonymRow or column.name != "id"]
        lines = sorted(
            json.dumps(list(values), ensure_ascii=False) for values in connection.execute(select(*columns))
        )
        digest.update("\n".join([row.__tablename__, *lines]).encode())
    return digest.hexdigest()


# ---- reading ----


def _content(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes().replace(b"\r\n", b"\n")
    except FileNotFoundError:
        raise KnowledgeBaseError(f"seed file {name} is missing", code="seed_missing") from None


def _manifest(folder: Path) -> Any:
    try:
        manifest = json.loads(_content(folder, MANIFEST))
        return {"version": int(manifest["version"]), "files": dict(manifest["files"])}
    except (ValueError, KeyError, TypeError) as error:
        raise KnowledgeBaseError(
            f"{MANIFEST} cannot be read: it needs version and files", code="seed_manifest"
        ) from error


def _manifest_checksum(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest["files"], sort_keys=True).encode()).hexdigest()


def _check_references(seed: Seed) -> None:
    symptoms = load_symptom_definitions(seed.folder / "symptoms.csv")
    regions = set(REGION_CODES)
    services = {row["code"] for row in seed.tables["services.csv"]}
    wanted = seed.tables["region_services.csv"]
    named: tuple[tuple[str, set[str], set[str]], ...] = (
        ("symptoms.csv", {code for each in symptoms.values() for code in each.regions}, regions),
        ("synonyms.csv", {row["symptom"] for row in seed.tables["synonyms.csv"]}, set(symptoms)),
        ("region_services.csv", {row["region_code"] for row in wanted}, regions | ANY_REGION_WANTS),
        ("region_services.csv", {row["service_code"] for row in wanted}, services),
        ("red_flags.csv", {each for row in seed.tables["red_flags.csv"] for each in _parts(row["all_of"])},
         set(symptoms)),
    )  # fmt: skip
    for name, used, known in named:
        strangers = sorted(used - known)
        if strangers:
            raise KnowledgeBaseError(
                f"seed file {name} names {strangers}, which do not exist", code="seed_reference"
            )


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


# ---- checking the database ----


def _check_state(connection: Connection, seed: Seed, state: Mapping[str, Any]) -> None:
    if state["version"] > seed.version:
        raise KnowledgeBaseError(
            f"the database holds version {state['version']} of the knowledge base, "
            f"this program has {seed.version}; "
            "use a newer program or another database",
            code="knowledge_base_newer",
        )
    if state["version"] == seed.version and state["manifest_checksum"] != seed.checksum:
        raise KnowledgeBaseError(
            f"the database holds version {seed.version} of the knowledge base "
            "with another checksum than the seed files; raise the version in the manifest when files change"
        )
    if content_checksum(connection) != state["content_checksum"]:
        raise KnowledgeBaseError(
            f"the knowledge tables in the database were edited after version {state['version']} was written; "
            "restore a backup, or change the seed files and raise the version"
        )


# ---- writing ----


def _write_knowledge(connection: Connection, seed: Seed) -> None:
    for row in (SynonymRow, LayTermRow, LinkRow, RedFlagRow, RegionServiceRow):
        connection.execute(delete(row))
    # referred to by other tables or by stored results: updated, and retired rather than deleted
    connection.execute(update(SymptomRow).values(status="retired"))
    upsert(connection, SymptomRow, (_symptom_values(row) for row in seed.tables["symptoms.csv"]), ("id",))
    upsert(connection, ServiceRow, (_service_values(row) for row in seed.tables["services.csv"]), ("code",))
    connection.execute(insert(SynonymRow), list(_synonym_values(seed)))
    connection.execute(
        insert(LinkRow), [each for row in seed.tables["symptoms.csv"] for each in _link_values(row)]
    )
    connection.execute(insert(LayTermRow), [dict(row) for row in seed.tables["lay_terms.csv"]])
    connection.execute(insert(RedFlagRow), [_red_flag_values(row) for row in seed.tables["red_flags.csv"]])
    connection.execute(
        insert(RegionServiceRow),
        [dict(row) | {"weight": float(row["weight"])} for row in seed.tables["region_services.csv"]],
    )


def _write_hospitals(connection: Connection, seed: Seed) -> None:
    known = {row["code"] for row in seed.tables["services.csv"]}
    parsed = read_hospital_csv(seed.folder / "hospitals.csv", CsvConfiguration(invented=True, services=known))
    if parsed.quarantined:
        first = parsed.quarantined[0]
        raise KnowledgeBaseError(
            f"seed file hospitals.csv, row {first.row}: {first.message}", code="seed_reference"
        )
    store_hospitals(connection, INVENTED_SOURCE, parsed, complete=True)


def _region_values() -> Iterator[dict[str, Any]]:
    for region in BRAIN_REGIONS:
        yield {
            "code": region.code,
            "name_en": region.name_en,
            "name_ko": region.name_ko,
            "lobe": region.lobe.value,
            "eloquence": region.eloquence.value,
            "icd10_site": region.icd10_site,
            "two_sided": int(region.two_sided),
        }


def _symptom_values(row: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: text for name, text in row.items() if name not in {"regions", "region_side_override"}
    }
    return values | {"strength": float(row["strength"]), "version": int(row["version"])}


def _synonym_values(seed: Seed) -> Iterator[dict[str, Any]]:
    # the names are ways of saying it too
    written = {(row["symptom"], row["language"], row["text"]) for row in seed.tables["synonyms.csv"]}
    named = {
        (row["id"], language, row[f"name_{language}"])
        for row in seed.tables["symptoms.csv"] for language in ("ko", "en")
    }  # fmt: skip
    for symptom, language, text in sorted(written | named):
        yield {"symptom_id": symptom, "language": language, "text": text}


def _link_values(row: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    overrides = parse_pairs(row["region_side_override"], "=")
    for code, weight in parse_pairs(row["regions"], ":").items():
        yield {
            "symptom_id": row["id"],
            "region_code": code,
            "weight": float(weight),
            "laterality_rule": row["laterality_rule"],
            "side_override": overrides.get(code, ""),
            "strength": float(row["strength"]),
            "evidence_status": row["evidence_status"],
            "source": row["source"],
            "status": row["status"],
            "version": int(row["version"]),
        }


def _service_values(row: Mapping[str, str]) -> dict[str, Any]:
    return dict(row) | {"general": int(row["general"])}


def _red_flag_values(row: Mapping[str, str]) -> dict[str, Any]:
    return dict(row) | {"rapidly_worse": int(row["rapidly_worse"])}
