"""``medsynth benchmark tumor-quality``: how near each generator's tumour cases come to real ones."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from medsynth_app.commands.support.results import console, progress_bar, store_json
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.geometry import foreground_box, isotropic_grid, reorient, resample
from medsynth_app.imaging.provenance.marking import is_marked_synthetic
from medsynth_app.imaging.studies.cases import CaseFiles, find_cases
from medsynth_app.imaging.volume import Volume
from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.measures.volume_quality import compared_volumes
from medsynth_app.synthesis.tumor.catalogue import TASK
from medsynth_app.synthesis.tumor.cohort import drawn_request
from medsynth_app.synthesis.weights import WeightsStore
from medsynth_app.vocabulary import Modality

SPACING_MM = 2.0
PERCENTILES = (0.5, 99.5)
FEWEST_REAL = 8
"""Half of them are the floor, and a distance of fewer than four images says nothing."""


def tumor_quality(
    cases_dir: Annotated[Path, typer.Argument(help="Real BraTS-style case folders.")],
    weights: Annotated[Path | None, typer.Option(help="Folder with weights trained by you.")] = None,
    generators: Annotated[str, typer.Option(help="Some of the task's, by commas; empty = all that are ready.")] = "",
    count: Annotated[int, typer.Option(help="Cases made by each generator.", min=4)] = 12,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """KID and Frechet distance of drawn patients to real ones, sequence by sequence, beside the real-vs-real floor."""
    real = [case for case in find_cases(cases_dir) if not any(map(is_marked_synthetic, case.sequences.values()))]
    if len(real) < FEWEST_REAL:
        raise InvalidValueError(f"cases: {len(real)} real cases are too few, {FEWEST_REAL} are needed")
    store = WeightsStore.of(weights)
    names = [name.strip() for name in generators.split(",") if name.strip()] or _ready(store)
    result: dict[str, Any] = {"real_cases": len(real), "made_cases": count, "generators": {}}
    with progress_bar() as bar:
        task = bar.add_task("cases", total=len(real) + len(names) * count)
        references = [_read(case, lambda: bar.advance(task)) for case in real]
        for name in names:
            begin = time.process_time()
            made = _made(name, count, store, lambda: bar.advance(task))
            seconds = (time.process_time() - begin) / count
            result["generators"][name] = {**_distances(made, references), "cpu_seconds_a_case": round(seconds, 2)}
    _show(result)
    store_json(result, json_file)


def _ready(store: WeightsStore) -> list[str]:
    rows = CATALOGUE.of_task(TASK)
    return [row.generator for row in rows if all(store.find(name) for name in row.weights.values())]


def _read(case: CaseFiles, on_done: Callable[[], None]) -> np.ndarray:
    """A real case (4, X, Y, Z) as ``display_range`` leaves it, at 2 mm."""
    volume = reorient(case.read(), ("L", "P", "S"))
    affine, shape = isotropic_grid(volume, SPACING_MM)
    on_done()
    return display_range(resample(volume, affine, shape))


def _made(generator: str, count: int, store: WeightsStore, on_done: Callable[[], None]) -> list[np.ndarray]:
    """The first drawn patients for whose tumour there is room."""
    row = CATALOGUE.row(TASK, generator)
    made, known = row.build(store), {record["name"] for record in row.conditions.described()}
    cases: list[np.ndarray] = []
    for seed in itertools.count():
        if len(cases) == count:
            return cases
        asked = drawn_request(seed, SPACING_MM).as_conditions()
        conditions = row.conditions.parse({name: value for name, value in asked.items() if name in known})
        try:
            result = made.generate(GenerationRequest(seed, conditions))
        except InvalidValueError as error:
            if error.message.startswith("volume_ml"):
                continue
            raise
        assert result.affine is not None
        cases.append(display_range(Volume(result.array, result.affine)))
        on_done()
    raise AssertionError("counting never ends")


def display_range(volume: Volume) -> np.ndarray:
    """(4, X, Y, Z) float32 cut to the brain, each sequence in 0..1 between its 0.5th and 99.5th percentile."""
    brain = (volume.array > 0).any(axis=0)
    box = foreground_box(brain)
    x, y, z = box.slices
    images = volume.array[:, x, y, z].astype(np.float32)
    inside = brain[box.slices]
    for channel in images:
        low, high = np.percentile(channel[inside], PERCENTILES)
        channel[...] = np.clip((channel - low) / max(float(high - low), 1e-6), 0.0, 1.0) * inside
    return images


def _distances(made: Sequence[np.ndarray], real: Sequence[np.ndarray]) -> dict[str, Any]:
    """Sequence -> ``compared`` figures, and the mean KID and Frechet distance over sequences."""
    rows = {
        modality.value: compared_volumes([case[i] for case in made], [case[i] for case in real])
        for i, modality in enumerate(Modality)
    }
    means = {
        name: float(np.mean([row[name] for row in rows.values()]))
        for name in ("kid", "kid_floor", "frechet", "frechet_floor", "coverage", "coverage_real")
    }
    return {"mean": means, **rows}


def _show(result: dict[str, Any]) -> None:
    table = Table("generator", "KID", "floor", "Frechet", "floor", "coverage", "CPU s a case")
    for name, rows in result["generators"].items():
        mean = rows["mean"]
        table.add_row(
            name, *(f"{mean[key]:.4f}" for key in ("kid", "kid_floor", "frechet", "frechet_floor", "coverage")),
            str(rows["cpu_seconds_a_case"]),
        )  # fmt: skip
    console.print(table)
