"""Opening: migrated, seeded once, and refused when something was edited."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from medsynth_app.clinical.database.engine import Database
from medsynth_app.clinical.database.tables import Base
from medsynth_app.clinical.repository import Repository
from medsynth_app.clinical.seeding import (
    MANIFEST,
    SEED_FOLDER,
    KnowledgeBaseError,
    open_seeded_database,
    read_seed,
    write_manifest,
)
from medsynth_app.errors import InvalidValueError, OverloadedError


@pytest.fixture
def seed_copy(tmp_path: Path) -> Path:
    """A copy of the seed folder that a test may edit."""
    return Path(shutil.copytree(SEED_FOLDER, tmp_path / "seed"))


def edit(path: Path, before: str, after: str) -> None:
    content = path.read_text(encoding="utf-8")
    assert before in content
    path.write_text(content.replace(before, after, 1), encoding="utf-8")


def test_migrations_make_the_tables_that_the_code_describes(shared_database: Database) -> None:
    with shared_database.engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    assert difference == []


def test_sqlite_file_is_in_wal_mode_with_foreign_keys(tmp_path: Path) -> None:
    with open_seeded_database(tmp_path / "folder" / "clinic.db") as database, database.reading() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_opening_again_changes_nothing(engine_name: str, new_database_url: Callable[..., str]) -> None:
    url = new_database_url(engine_name)
    counts = []
    for _ in range(2):
        with open_seeded_database(url) as database, database.reading() as session:
            counts.append(
                [
                    session.execute(text(f"SELECT COUNT(*) FROM {name}")).scalar()
                    for name in Base.metadata.tables
                ]
                + [session.execute(text("SELECT applied_at FROM seed_state")).scalar()]
            )
    assert counts[0] == counts[1]


def test_two_processes_may_open_a_new_database_at_once(
    engine_name: str, new_database_url: Callable[..., str]
) -> None:
    url, failures = new_database_url(engine_name), []

    def open_it() -> None:
        try:
            open_seeded_database(url).close()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must see it
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("name", ["symptoms.csv", "synonyms.csv", "hospitals.csv", "red_flags.csv"])
def test_an_edited_seed_file_refuses_to_start(seed_copy: Path, tmp_path: Path, name: str) -> None:
    with (seed_copy / name).open("a", encoding="utf-8") as stream:
        stream.write("\n")
    with pytest.raises(KnowledgeBaseError, match=f"{name} was edited.*manifest says") as caught:
        open_seeded_database(tmp_path / "clinic.db", seed_copy)
    assert caught.value.code == "knowledge_base_checksum_mismatch"
    assert not (tmp_path / "clinic.db").exists()


def test_windows_line_ends_are_no_edit(seed_copy: Path) -> None:
    path = seed_copy / "services.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_seed(seed_copy).checksum == read_seed().checksum


def test_changed_files_under_the_same_version_are_refused(
    seed_copy: Path, engine_name: str, new_database_url: Callable[..., str]
) -> None:
    url = new_database_url(engine_name)
    open_seeded_database(url, seed_copy).close()
    edit(seed_copy / "symptoms.csv", "Loss of smell", "No smell")
    manifest = json.loads((seed_copy / MANIFEST).read_text())
    (seed_copy / MANIFEST).unlink()
    write_manifest(seed_copy, manifest["version"])
    with pytest.raises(KnowledgeBaseError, match="with another checksum than the seed files"):
        open_seeded_database(url, seed_copy)


def test_a_higher_version_replaces_the_knowledge_base(
    seed_copy: Path, engine_name: str, new_database_url: Callable[..., str]
) -> None:
    url = new_database_url(engine_name)
    open_seeded_database(url, seed_copy).close()
    edit(seed_copy / "symptoms.csv", "Loss of smell", "No smell")
    version = json.loads((seed_copy / MANIFEST).read_text())["version"]
    write_manifest(seed_copy, version + 1)
    with open_seeded_database(url, seed_copy) as database:
        repository = Repository(database)
        assert repository.symptom("anosmia").name_en == "No smell"
        assert repository.knowledge_version()["version"] == version + 1
        assert len(repository.symptoms()) == 130
    with pytest.raises(KnowledgeBaseError, match=f"holds version {version + 1}.*this program has {version}"):
        open_seeded_database(url)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE symptom_region SET weight = 0.9 WHERE symptom_id = 'anosmia' AND region_code = 'TPOLE'",
        "DELETE FROM symptom_synonym WHERE symptom_id = 'anosmia' AND language = 'ko'",
    ],
)
def test_knowledge_edited_in_the_database_is_refused(
    engine_name: str, new_database_url: Callable[..., str], statement: str
) -> None:
    url = new_database_url(engine_name)
    with open_seeded_database(url) as database, database.writing() as session:
        session.execute(text(statement))
    with pytest.raises(KnowledgeBaseError, match="knowledge tables in the database were edited"):
        open_seeded_database(url)


def test_seed_that_names_unknown_things_is_refused(seed_copy: Path) -> None:
    edit(seed_copy / "region_services.csv", "BROCA,", "BROCCA,")
    write_manifest(seed_copy, 99)
    with pytest.raises(KnowledgeBaseError, match=r"region_services.csv names \['BROCCA'\]"):
        read_seed(seed_copy)


def test_manifest_version_must_rise(seed_copy: Path) -> None:
    with pytest.raises(KnowledgeBaseError, match="version is 1; allowed: above 1"):
        write_manifest(seed_copy, 1)


@pytest.mark.parametrize("url", ["mysql://host/name", "oracle://host", "no such://"])
def test_other_engines_are_named(url: str) -> None:
    with pytest.raises(InvalidValueError, match="allowed: sqlite:///FILE or postgresql://"):
        open_seeded_database(url)


def test_unreachable_server_tells_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(OverloadedError, match="cannot be opened") as caught:
        open_seeded_database("postgresql://somebody:topsecret@127.0.0.1:9/clinic?connect_timeout=2")
    assert "topsecret" not in caplog.text + str(caught.value)


def test_failed_writing_leaves_nothing(clinic: Repository) -> None:
    def fail_half_way() -> None:
        with clinic.database.writing() as session:
            session.execute(text("UPDATE hospital SET active = 0"))
            raise ZeroDivisionError("half way")

    with pytest.raises(ZeroDivisionError, match="half way"):
        fail_half_way()
    with clinic.database.reading() as session:
        assert session.execute(text("SELECT COUNT(*) FROM hospital WHERE active = 1")).scalar() == 24
