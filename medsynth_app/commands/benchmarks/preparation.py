"""``medsynth benchmark preparation``: seconds and memory of every stage from a raw study to its mask."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer
from rich.table import Table

from medsynth_app.benchmarks.made_raw import (
    MadeStudy,
    drawn_scans,
    head_around,
    make_study,
    write_study_files,
)
from medsynth_app.commands.support.results import console, store_json
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.labels import read_submitted_label
from medsynth_app.imaging.studies.cases import find_cases
from medsynth_app.preparation.cache import PreparedCache
from medsynth_app.preparation.finding import find_studies
from medsynth_app.preparation.pipeline import PreparationOptions, Stages
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS, CurrentNetwork
from medsynth_app.segmentation.inference import InferenceConfiguration
from medsynth_app.segmentation.whole_study.study_segmentation import StudySegmentation, segment_study


class MeasuredStages(Stages):
    """Stages with processor seconds and the process's memory beside the wall time.

    Attributes:
        processor_seconds: stage -> seconds of all threads: a busy machine does not stretch them.
        memory_gb: stage -> resident memory when it began.
    """

    def __init__(self) -> None:
        super().__init__(self._begin)
        self.processor_seconds: dict[str, float] = {}
        self.memory_gb: dict[str, float] = {}
        self._last: tuple[str, float] | None = None

    def _begin(self, name: str) -> None:
        self.end()
        self.memory_gb[name] = round(psutil.Process(os.getpid()).memory_info().rss / 1e9, 2)
        self._last = name, time.process_time()

    def end(self) -> None:
        """The last stage is over."""
        if self._last is not None:
            name, begin = self._last
            self.processor_seconds[name] = self.processor_seconds.get(name, 0.0) + time.process_time() - begin
        self._last = None


def preparation(
    study: Annotated[Path | None, typer.Option(help="A raw study; else one is made of --cases and --head-map.")] = None,
    cases: Annotated[Path | None, typer.Option(help="Labelled BraTS-style cases to make raw studies of.")] = None,
    head_map: Annotated[Path | None, typer.Option(help="Label map of a whole head, with SynthSeg's codes.")] = None,
    count: Annotated[int, typer.Option(help="How many of the cases.", min=1)] = 1,
    thick_mm: Annotated[float, typer.Option(help="Slice thickness of FLAIR, T1 and T2.", min=0.5, max=10)] = 5.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Cold and warm: seconds by stage; for made studies landmark errors and Dice against the truth too."""
    if study is None and (cases is None or head_map is None):
        raise InvalidValueError("preparation: give --study, or --cases and --head-map")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="medsynth-") as folder:
        if study is not None:
            results[study.name] = _measure(study, Path(folder) / "cache")
        else:
            assert cases is not None  # noqa: S101 - checked above
            assert head_map is not None  # noqa: S101 - checked above
            for index, case in enumerate([c for c in find_cases(cases) if c.label is not None][:count]):
                assert case.label is not None  # noqa: S101 - chosen so
                volume = case.read()
                head = head_around(volume, read_submitted_label(case.label, volume), head_map, seed=index)
                made = make_study(head, drawn_scans(index, thick_mm=thick_mm), seed=index)
                write_study_files(made, Path(folder) / case.name)
                results[case.name] = _measure(Path(folder) / case.name, Path(folder) / "cache", made)
    for name, figures in results.items():
        _show(name, figures)
    store_json({"studies": results}, json_file)


def _measure(path: Path, cache: Path, made: MadeStudy | None = None) -> dict[str, Any]:
    network, shape, _ = CurrentNetwork([SHIPPED_WEIGHTS]).get()
    found = find_studies(path).studies[0]
    runs: dict[str, Any] = {}
    for name in ("cold", "warm"):
        stages = MeasuredStages()
        begin = time.perf_counter()
        answer = segment_study(
            found, network, shape.modalities, InferenceConfiguration(), PreparationOptions(cache=PreparedCache(cache)),
            stages=stages,
        )  # fmt: skip
        stages.end()
        runs[name] = {
            "seconds": round(time.perf_counter() - begin, 2),
            "processor_seconds": round(sum(stages.processor_seconds.values()), 2),
            "stages": {
                stage: {
                    "seconds": round(seconds, 2), "memory_gb_before": stages.memory_gb[stage],
                    "processor_seconds": round(stages.processor_seconds[stage], 2),
                }
                for stage, seconds in stages.seconds.items()
            },
        }  # fmt: skip
        runs |= {"warnings": list(answer.warnings), "volumes_ml": answer.volumes_ml}
        if made is not None and name == "cold":
            runs["truth"] = truth_figures(answer, made)
    return runs


def truth_figures(answer: StudySegmentation, made: MadeStudy) -> dict[str, Any]:
    """Landmark errors in mm and Dice of a made study's answer."""
    name = answer.reference
    brain = made.on_grid(made.head.brain.astype(np.uint8), name) > 0
    labels = made.on_grid(made.head.labels, name)
    figures: dict[str, Any] = {"whole_tumor_dice": _dice(answer.labels > 0, labels > 0)}
    if answer.brain is None or answer.preparation is None:
        return figures
    figures["brain_dice"] = _dice(answer.brain, brain)
    points = np.argwhere(brain)[::1000] @ answer.affine[:3, :3].T + answer.affine[:3, 3]
    transforms = answer.preparation["transforms_reference_to_series_ras_mm"]
    errors = {}
    for modality, matrix in transforms.items():
        if modality != name:
            off = np.array(matrix) - made.true_transform(name, modality)
            away = np.linalg.norm(points @ off[:3, :3].T + off[:3, 3], axis=1)
            median, most = (round(float(v), 2) for v in np.percentile(away, [50, 95]))
            errors[modality] = {"median_mm": median, "p95_mm": most}
    return {**figures, "landmarks": errors}


def _dice(first: np.ndarray, second: np.ndarray) -> float:
    return round(2 * float((first & second).sum()) / max(1.0, float(first.sum() + second.sum())), 4)


def _show(name: str, figures: dict[str, Any]) -> None:
    table = Table("stage", "cold s", "cold processor s", "warm s", "GB before", title=name)
    for stage, cold in figures["cold"]["stages"].items():
        warm = figures["warm"]["stages"].get(stage, {}).get("seconds", 0.0)
        table.add_row(
            stage, f"{cold['seconds']:.1f}", f"{cold['processor_seconds']:.1f}", f"{warm:.1f}",
            f"{cold['memory_gb_before']:.1f}",
        )  # fmt: skip
    table.add_row(
        "all", *(f"{value:.1f}" for value in (
            figures["cold"]["seconds"], figures["cold"]["processor_seconds"], figures["warm"]["seconds"]
        )), "",
    )  # fmt: skip
    console.print(table)
    if "truth" in figures:
        console.print(figures["truth"], highlight=False)
