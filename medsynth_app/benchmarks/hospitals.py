"""How long an import of many hospitals and a look-up among them take, on the database that is open."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np

from medsynth_app.clinical.hospitals.records import HospitalSource
from medsynth_app.clinical.hospitals.search import HospitalDirectory, HospitalQuery
from medsynth_app.clinical.hospitals.table_import import CsvConfiguration, read_hospital_csv
from medsynth_app.clinical.repository import Repository
from medsynth_app.imaging.atlas.brain_regions import REGION_CODES

BENCHMARK_SOURCE = HospitalSource("benchmark", "Invented hospitals of a speed measurement", "none needed")
_COLUMNS = ("external_id", "name", "level", "country", "latitude", "longitude", "updated", "services")


@dataclass(frozen=True)
class HospitalBenchmark:
    """Measured times.

    Attributes:
        dialect: ``sqlite`` or ``postgresql``.
        hospitals: how many were imported.
        import_seconds: reading the CSV file and writing its rows and services.
        import_processor_seconds: processor time of that in this process; a database server's own comes on top.
        first_lookup_ms: the first look-up, which reads the columns into memory.
        lookup_median_ms: median of the others.
        lookup_p95_ms: 95th percentile of the others.
        lookup_processor_p95_ms: the same in processor time, which other programs on the machine do not lengthen.
        radius_p95_ms: 95th percentile of a search within 25 km, answered by the index on coordinates.
    """

    dialect: str
    hospitals: int
    import_seconds: float
    import_processor_seconds: float
    first_lookup_ms: float
    lookup_median_ms: float
    lookup_p95_ms: float
    lookup_processor_p95_ms: float
    radius_p95_ms: float


def benchmark_hospitals(
    repository: Repository, today: date, count: int = 100_000, lookups: int = 100, seed: int = 0
) -> HospitalBenchmark:
    """Import invented hospitals into the open database and look some up.

    Give it a database of its own: the hospitals stay in it.

    Args:
        repository: the database to measure.
        today: the day from which the age of the data counts.
        count: number of hospitals.
        lookups: number of look-ups.
        seed: for places, services and queries.
    """
    generator = np.random.default_rng(seed)
    codes = [service.code for service in repository.services()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hospitals.csv"
        _write_hospitals(path, count, codes, generator)
        start, processor = time.perf_counter(), time.process_time()
        parsed = read_hospital_csv(path, CsvConfiguration(invented=True, services=codes))
        repository.import_hospitals(BENCHMARK_SOURCE, parsed)
        import_seconds, import_processor = time.perf_counter() - start, time.process_time() - processor
    directory = HospitalDirectory(repository)
    queries = [_query(generator) for _ in range(lookups + 1)]
    times = [_timed(partial(directory.find, query, today)) for query in queries]
    around = [_timed(partial(_around, repository, query)) for query in queries]
    lookups_ms, processor_ms = (np.array(column) for column in zip(*times[1:]))
    return HospitalBenchmark(
        dialect=repository.database.dialect,
        hospitals=len(parsed.records),
        import_seconds=round(import_seconds, 2),
        import_processor_seconds=round(import_processor, 2),
        first_lookup_ms=round(times[0][0], 1),
        lookup_median_ms=round(float(np.median(lookups_ms)), 1),
        lookup_p95_ms=round(float(np.percentile(lookups_ms, 95)), 1),
        lookup_processor_p95_ms=round(float(np.percentile(processor_ms, 95)), 1),
        radius_p95_ms=round(float(np.percentile([wall for wall, _ in around[1:]], 95)), 1),
    )


def _write_hospitals(path: Path, count: int, codes: list[str], generator: np.random.Generator) -> None:
    latitude, longitude = generator.uniform(33.2, 38.5, count), generator.uniform(124.8, 131.5, count)
    levels = generator.choice(["01", "11", "21"], count, p=[0.05, 0.25, 0.7])
    offered = generator.integers(0, 8, count)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        for at in range(count):
            services = ";".join(generator.choice(codes, offered[at], replace=False))
            writer.writerow(
                (
                    f"B{at}", f"Invented hospital {at}", levels[at], "KR",
                    f"{latitude[at]:.5f}", f"{longitude[at]:.5f}", "2026-01-01", services,
                )
            )  # fmt: skip


def _query(generator: np.random.Generator) -> HospitalQuery:
    regions = generator.choice(REGION_CODES, 3, replace=False)
    return HospitalQuery(
        regions=tuple(str(code) for code in regions),
        latitude=float(generator.uniform(34, 38)),
        longitude=float(generator.uniform(126, 129)),
        seizures=bool(generator.integers(2)),
    )


def _around(repository: Repository, query: HospitalQuery) -> None:
    if query.latitude is not None and query.longitude is not None:
        repository.hospitals_within(query.latitude, query.longitude, 25.0, 20)


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor time of a call in ms."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return 1000.0 * (time.perf_counter() - wall), 1000.0 * (time.process_time() - processor)
