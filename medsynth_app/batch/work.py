"""What a worker does with one task; networks are loaded once a process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from medsynth_app.batch.segmentation_job import UNFORESEEN, Outcome, SegmentationJob
from medsynth_app.batch.tasks import BatchTask, TaskResult
from medsynth_app.errors import MedSynthError
from medsynth_app.library.generation import generate
from medsynth_app.preparation.cache import PreparedCache
from medsynth_app.preparation.pipeline import PreparationOptions, Stages, look_at, prepare_study
from medsynth_app.preparation.writing import write_prepared, write_unchanged
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS, CurrentNetwork
from medsynth_app.segmentation.evaluation.cases import evaluate_cases
from medsynth_app.segmentation.inference import InferenceConfiguration
from medsynth_app.synthesis.writing import write_case

THREADS = 1
"""Of each worker: sums of floats depend on how many share them, and results are the same whatever runs them."""


def start_worker() -> None:
    """Once in each process."""
    torch.set_num_threads(THREADS)


def run_task(task: BatchTask, out: Path) -> TaskResult:
    """Do one task; whatever goes wrong with it is told in the result."""
    begin = time.perf_counter()
    try:
        files, figures = _WORK[task.kind](task, out)
        return TaskResult(task.key, task.name, "", time.perf_counter() - begin, tuple(files), figures)
    except MedSynthError as error:
        return TaskResult(task.key, task.name, error.message, time.perf_counter() - begin)
    except UNFORESEEN as error:
        reason = f"unforeseen {type(error).__name__}: {str(error)[:200]}"
        return TaskResult(task.key, task.name, reason, time.perf_counter() - begin)


@lru_cache(maxsize=2)
def _network(weights: str, device: str | None) -> CurrentNetwork:
    return CurrentNetwork([Path(weights) if weights else SHIPPED_WEIGHTS], device)


def _segment(task: BatchTask, out: Path) -> tuple[list[str], dict[str, Any]]:
    asked = task.options
    job = SegmentationJob(
        network=_network(str(asked["weights"]), asked["device"]),
        configuration=InferenceConfiguration(),
        options=_preparation(task),
        blank=asked["missing_sequence"] == "blank", reference=None, out=out,
        extras={"dicom_seg": False, "rtstruct": False, "uncertainty": bool(asked["uncertainty"]), "preview": False},
    )  # fmt: skip
    outcome = Outcome()
    job.run(replace(task.source, name=task.name), Stages(), outcome)
    figures = dict(outcome.done[task.name])
    # Times differ from run to run; what is told here does not.
    return figures.pop("files"), {key: figures[key] for key in ("kind", "volumes_ml", "warnings", "reference")}


def _prepare(task: BatchTask, out: Path) -> tuple[list[str], dict[str, Any]]:
    study = replace(task.source, name=task.name)
    seen = look_at(study)
    if seen.is_prepared:
        write_unchanged(study, seen.volumes, seen.reason, out)
        return [task.name], {"kind": "prepared", "warnings": list(study.notes)}
    prepared = prepare_study(study, _preparation(task), seen=seen)
    write_prepared(prepared, out)
    return [task.name], {"kind": "raw", "warnings": list(prepared.warnings)}


def _preparation(task: BatchTask) -> PreparationOptions:
    cache = task.options["cache"]
    return PreparationOptions(str(task.options["preparation"]), None, PreparedCache(Path(cache)) if cache else None)


def _generate(task: BatchTask, out: Path) -> tuple[list[str], dict[str, Any]]:
    asked = task.options
    made = generate(
        str(task.source), seed=int(asked["seed"]), generator=str(asked["generator"]),
        weights=asked["weights"] or None, **asked["conditions"],
    )  # fmt: skip
    return [write_case(made.synthetic, out, task.name).name], {"record": made.record}


def _evaluate(task: BatchTask, out: Path) -> tuple[list[str], dict[str, Any]]:
    network = _network(str(task.options["weights"]), task.options["device"])
    report = evaluate_cases([task.source], network.get(), lesion_wise=bool(task.options["lesion_wise"]))
    if task.source.name in report.left_out:
        raise MedSynthError(report.left_out[task.source.name])
    row = report.cases[task.source.name]
    return [], {"regions": row["regions"], "warnings": row["warnings"]}


_WORK: dict[str, Callable[[BatchTask, Path], tuple[list[str], dict[str, Any]]]] = {
    "segment": _segment, "prepare": _prepare, "generate": _generate, "evaluate": _evaluate,
}  # fmt: skip
