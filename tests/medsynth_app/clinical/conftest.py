"""Databases for the clinic's tests: SQLite files, and a real PostgreSQL where it is installed."""

from __future__ import annotations

import csv
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from medsynth_app.clinical.database.engine import Database
from medsynth_app.clinical.intake.form import Onset
from medsynth_app.clinical.intake.red_flags import RedFlag
from medsynth_app.clinical.knowledge.lesion_library import LesionLibrary, mirror_order
from medsynth_app.clinical.knowledge.symptom_model import (
    LateralityRule,
    SymptomDefinition,
    SymptomKind,
    load_symptom_definitions,
)
from medsynth_app.clinical.repository import Repository
from medsynth_app.clinical.seeding import SEED_FOLDER, open_seeded_database
from medsynth_app.imaging.atlas.atlas import Atlas, atlas_affine
from medsynth_app.imaging.atlas.brain_regions import SIDED_REGIONS, Side, SidedRegion


def _postgres_programs() -> Path | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name))
    found = [each for each in folders if (each / "initdb").exists()]
    return found[-1] if found else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_postgres(command: list[str]) -> tuple[int, str]:
    # the server refuses to run as root
    if os.geteuid() == 0:
        command = ["runuser", "-u", "postgres", "--", *command]
    # output goes to a file, not a pipe: the server would hold a pipe open for as long as it runs
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(command, stdout=output, stderr=output, timeout=120, cwd="/", check=False)
        output.seek(0)
        return done.returncode, output.read()


def _why_not() -> str:
    if _postgres_programs() is None:
        return "PostgreSQL is not installed (Debian package: postgresql)"
    if os.geteuid() == 0:
        if shutil.which("runuser") is None:
            return "runuser is not installed, and PostgreSQL refuses to run as root"
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return "there is no user postgres, and PostgreSQL refuses to run as root"
    return ""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a throw-away PostgreSQL server, up to the name of the database."""
    if reason := _why_not():
        pytest.skip(reason)
    programs = _postgres_programs()
    folder = Path(tempfile.mkdtemp(prefix="medsynth-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    cluster, port = str(folder / "cluster"), _free_port()
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off"
    try:
        status, said = _as_postgres(
            [f"{programs}/initdb", "-D", cluster, "-U", "medsynth", "-A", "trust", "-E", "UTF8", "--no-sync"]
        )
        assert status == 0, said
        status, said = _as_postgres(
            [
                f"{programs}/pg_ctl",
                "-D",
                cluster,
                "-w",
                "-t",
                "60",
                "-l",
                str(folder / "log"),
                "-o",
                options,
                "start",
            ]
        )
        assert status == 0, said
        yield f"postgresql://medsynth@127.0.0.1:{port}/"
    finally:
        _as_postgres([f"{programs}/pg_ctl", "-D", cluster, "-w", "-m", "immediate", "stop"])
        shutil.rmtree(folder, ignore_errors=True)


def _administrate(server: str, statement: str) -> None:
    url = f"{server}postgres".replace("postgresql:", "postgresql+psycopg:")
    administrator = create_engine(url, isolation_level="AUTOCOMMIT")
    with administrator.connect() as connection:
        connection.execute(text(statement))
    administrator.dispose()


@pytest.fixture(scope="session")
def new_database_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., str]:
    """Makes the URL of an empty database on an engine, or of a copy of a closed one."""
    made = iter(range(10_000))

    def make(engine: str, copy_of: str = "") -> str:
        if engine == "sqlite":
            path = tmp_path_factory.mktemp("clinic") / "clinic.db"
            if copy_of:
                shutil.copy(copy_of.removeprefix("sqlite:///"), path)
            return f"sqlite:///{path}"
        server, name = request.getfixturevalue("postgres_server"), f"clinic{next(made)}"
        template = f" TEMPLATE {copy_of.rsplit('/', 1)[1]}" if copy_of else ""
        _administrate(server, f"CREATE DATABASE {name}{template}")
        return f"{server}{name}"

    return make


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Every test that uses it runs on both engines."""
    return str(request.param)


@pytest.fixture(scope="session")
def shared_database(engine_name: str, new_database_url: Callable[[str], str]) -> Iterator[Database]:
    """One seeded database per engine, for tests that only read."""
    with open_seeded_database(new_database_url(engine_name)) as database:
        yield database


@pytest.fixture(scope="session")
def knowledge(shared_database: Database) -> Repository:
    """Repository on the shared database: read only."""
    return Repository(shared_database)


@pytest.fixture(scope="session")
def seeded_url(engine_name: str, new_database_url: Callable[..., str]) -> str:
    """A seeded, closed database per engine, to be copied: quicker than seeding for every test."""
    url = new_database_url(engine_name)
    open_seeded_database(url).close()
    return url


@pytest.fixture
def clinic(engine_name: str, new_database_url: Callable[..., str], seeded_url: str) -> Iterator[Repository]:
    """Repository on a database of its own, for tests that write."""
    url = new_database_url(engine_name, copy_of=seeded_url)
    with open_seeded_database(url) as database:
        yield Repository(database)
    if engine_name == "postgresql":
        server, name = url.rsplit("/", 1)
        _administrate(f"{server}/", f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def definitions() -> dict[str, SymptomDefinition]:
    """The knowledge base as the score takes it, from the seed file."""
    return load_symptom_definitions(SEED_FOLDER / "symptoms.csv")


@pytest.fixture(scope="session")
def shipped_flags() -> tuple[RedFlag, ...]:
    """The urgent signs of the seed file."""
    with (SEED_FOLDER / "red_flags.csv").open(encoding="utf-8", newline="") as stream:
        return tuple(
            RedFlag(
                row["id"],
                tuple(filter(None, row["all_of"].split(";"))),
                tuple(Onset(each) for each in filter(None, row["onset"].split(";"))),
                row["rapidly_worse"] == "1",
                row["text_en"],
                row["text_ko"],
            )
            for row in csv.DictReader(stream)
        )


# ---------------------------------------------------------- a toy knowledge base and a toy library for the score

TOY_CODES = ("M1_HAND", "BROCA", "MTL", "OCC_CALC", "CBL_HEM", "PONS", "CHIASM")


@pytest.fixture(scope="session")
def toy_sites() -> tuple[SidedRegion, ...]:
    """Seven regions, thirteen sites; CHIASM is midline."""
    chosen = [site for site in SIDED_REGIONS if site.region.code in TOY_CODES]
    return tuple(replace(site, label=label) for label, site in enumerate(chosen, start=1))


@pytest.fixture(scope="session")
def toy_library(toy_sites: tuple[SidedRegion, ...]) -> LesionLibrary:
    """400 lesions that each fill one site well and the others a little, half of them mirror images."""
    generator = np.random.default_rng(3)
    drawn = np.clip(0.05 * generator.normal(size=(200, len(toy_sites))), 0.0, 1.0)
    drawn[np.arange(200), generator.integers(len(toy_sites), size=200)] = generator.uniform(
        0.2, 1.0, size=200
    )
    occupancy = np.concatenate([drawn, drawn[:, mirror_order(toy_sites)]]).astype(np.float32)
    site_ml = np.full(len(toy_sites), 20.0)
    volumes = np.concatenate([drawn @ site_ml] * 2).astype(np.float32)
    return LesionLibrary(occupancy, volumes, site_ml, np.eye(len(toy_sites)), toy_sites, "toy")


@pytest.fixture(scope="session")
def toy_definitions() -> dict[str, SymptomDefinition]:
    """One symptom per laterality rule, two of raised pressure, one with an override."""
    rule, kind = LateralityRule, SymptomKind
    rows = (
        ("arm_weakness", 0.8, kind.DEFICIT, rule.CONTRALATERAL, {"M1_HAND": 0.8, "PONS": 0.2}, {}),
        ("aphasia", 0.8, kind.DEFICIT, rule.DOMINANT, {"BROCA": 1.0}, {}),
        ("deja_vu", 0.7, kind.IRRITATIVE, rule.NON_LATERALISING, {"MTL": 1.0}, {}),
        ("hemianopia", 0.9, kind.DEFICIT, rule.CONTRALATERAL, {"OCC_CALC": 1.0}, {}),
        ("limb_ataxia", 0.8, kind.DEFICIT, rule.IPSILATERAL, {"CBL_HEM": 1.0}, {}),
        (
            "clumsy_hand", 0.5, kind.DEFICIT, rule.CONTRALATERAL,
            {"M1_HAND": 0.5, "CBL_HEM": 0.5}, {"CBL_HEM": rule.IPSILATERAL},
        ),
        ("field_cut_both", 0.6, kind.DEFICIT, rule.BILATERAL_OR_MIDLINE, {"CHIASM": 1.0}, {}),
        ("falls", 0.2, kind.DEFICIT, rule.NON_LATERALISING, {"CBL_HEM": 1.0}, {}),
        ("headache", 0.0, kind.ICP, rule.NON_LATERALISING, {}, {}),
        ("headache_one_side", 0.2, kind.ICP, rule.IPSILATERAL, {}, {}),
    )  # fmt: skip
    return {
        name: SymptomDefinition(name, strength, symptom_kind, side_rule, "body", regions, override)
        for name, strength, symptom_kind, side_rule, regions, override in rows
    }


@pytest.fixture(scope="session")
def toy_atlas(toy_sites: tuple[SidedRegion, ...]) -> Atlas:
    """A ball on a coarse (8 mm) grid around the atlas's origin, cut into the toy sites from back to front."""
    affine = atlas_affine().copy()
    affine[:3, :3] *= 4.0
    voxels = np.stack(np.meshgrid(np.arange(25), np.arange(29), np.arange(24), indexing="ij"), axis=-1)
    position = voxels @ affine[:3, :3].T + affine[:3, 3]
    slab = np.clip(((position[..., 1] + 72.0) // 24.0).astype(int), 0, 5)
    brain = np.linalg.norm(position - [0.0, 0.0, 10.0], axis=-1) < 66.0
    codes = ("CBL_HEM", "PONS", "OCC_CALC", "MTL", "M1_HAND", "BROCA")
    labels = np.zeros(brain.shape, dtype=np.int16)
    for site in toy_sites:
        if site.side is Side.MIDLINE:
            where = np.abs(position[..., 0]) < 4.0
        else:
            sign = 1.0 if site.side is Side.RIGHT else -1.0
            where = (slab == codes.index(site.region.code)) & (sign * position[..., 0] >= 4.0)
        labels[where & brain] = site.label
    return Atlas(labels, affine, "toy", toy_sites)
