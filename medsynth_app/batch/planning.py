"""From what the user names to a list of tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsynth_app.batch.tasks import BatchTask
from medsynth_app.errors import InvalidValueError
from medsynth_app.files import file_digest
from medsynth_app.imaging.studies.cases import CaseFiles, look_for_cases
from medsynth_app.library.generation import check_conditions
from medsynth_app.preparation.finding import find_studies
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS
from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.conditions import parse_seed
from medsynth_app.synthesis.weights import WeightsStore

Plan = tuple[list[BatchTask], dict[str, str]]
"""Tasks, and what was left out: name -> why."""


def plan_studies(kind: str, source: Path, options: Mapping[str, Any]) -> Plan:
    """A task for each study below a folder.

    Args:
        kind: ``segment`` or ``prepare``.
        source: a folder with studies of any layout that ``medsynth segment`` takes.
        options: of the tasks; ``weights`` is a path or empty.

    Raises:
        InvalidValueError: nothing is there.
    """
    tasks: list[BatchTask] = []
    left_out: dict[str, str] = {}
    hashed = {**options, "weights_sha256": _weights_hash(options)} if kind == "segment" else dict(options)
    found = find_studies(source)
    left_out.update(found.failures)
    for study in found.studies:
        try:
            tasks.append(BatchTask(kind, study.name, study, study.digest(), hashed))
        except OSError as error:
            left_out[study.name] = f"cannot be read: {error.strerror}"
    return _checked(tasks, left_out, source)


def plan_evaluation(source: Path, options: Mapping[str, Any]) -> Plan:
    """A task for each labelled case below a folder."""
    found = look_for_cases(source).with_labels()
    hashed = {**options, "weights_sha256": _weights_hash(options)}
    tasks = [BatchTask("evaluate", case.name, case, _case_digest(case), hashed) for case in found.cases]
    return _checked(tasks, dict(found.left_out), source)


def plan_generation(
    model: str, count: int, seed: int, generator: str, conditions: Mapping[str, Any], weights: Path | None
) -> Plan:
    """A task for each of ``count`` seeds that follow each other.

    Raises:
        NotFoundError, InvalidValueError: no such model, generator or condition.
    """
    row = CATALOGUE.row(model, generator)
    check_conditions(row, conditions)
    parsed = row.conditions.parse(conditions)
    store = WeightsStore.of(weights)
    name = row.weights_of(parsed)
    path = store.find(name) if name else None
    digest = file_digest(path, "sha256") if path is not None else "no weights"
    first = parse_seed(seed)
    shared = {"generator": generator, "weights": str(weights or ""), "conditions": dict(conditions)}
    return [
        BatchTask("generate", f"synthetic-{model}-{each}", model, digest, {**shared, "seed": each})
        for each in range(first, first + count)
    ], {}


def _case_digest(case: CaseFiles) -> str:
    images = [case.combined] if case.combined else list(case.sequences.values())
    files = sorted(path for path in (*images, case.label) if path is not None)
    return hashlib.sha256("".join(file_digest(path, "sha256") for path in files).encode()).hexdigest()


def _weights_hash(options: Mapping[str, Any]) -> str:
    path = Path(str(options["weights"])) if options.get("weights") else SHIPPED_WEIGHTS
    try:
        return file_digest(path, "sha256")
    except OSError as error:
        raise InvalidValueError(f"weights: {path.name!r} cannot be read: {error.strerror}") from error


def _checked(tasks: list[BatchTask], left_out: dict[str, str], source: Path) -> Plan:
    if not tasks and not left_out:
        raise InvalidValueError(f"input: {source.name!r} holds no study")
    return tasks, left_out

