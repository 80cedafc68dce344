"""``medsynth batch``: many studies or synthetic cases, over night; the same command again goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from medsynth_app.batch.executors import Executor, LocalExecutor
from medsynth_app.batch.planning import Plan, plan_evaluation, plan_generation, plan_studies
from medsynth_app.batch.ray_executor import RayExecutor
from medsynth_app.batch.results_file import FILE, ResultsFile, open_results
from medsynth_app.commands.generate import parse_conditions
from medsynth_app.commands.support.results import check_folder, console, progress_bar, store_json
from medsynth_app.errors import InvalidValueError
from medsynth_app.preparation.cache import user_cache
from medsynth_app.segmentation.evaluation.cases import summary_of
from medsynth_app.vocabulary import RESEARCH_NOTICE

EXECUTORS = ("local", "ray")

application = typer.Typer(help="Many studies or synthetic cases; the same command again goes on.", no_args_is_help=True)

Input = Annotated[Path, typer.Argument(metavar="INPUT", help="Folder with studies or cases.", exists=True)]
Out = Annotated[Path, typer.Option("--out", help="Folder for the files and results.jsonl.")]
ExecutorName = Annotated[str, typer.Option("--executor", help="local: processes here; ray: a cluster.")]
Address = Annotated[str, typer.Option(help="HOST:PORT of a Ray cluster; empty = one of this machine.")]
Workers = Annotated[int, typer.Option(help="How many; 0 = as many as cores and memory allow.", min=0, max=4096)]
Weights = Annotated[Path | None, typer.Option(help="Weights; the shipped ones by default.")]
Device = Annotated[str | None, typer.Option(help="cpu or cuda; the best there is by default.")]
Preparation = Annotated[str, typer.Option(help="auto: raw studies are prepared; none: taken as they are.")]
Cache = Annotated[bool, typer.Option("--cache/--no-cache", help="Keep prepared studies for the next run.")]


@application.callback()
def _group() -> None:
    """Many studies or synthetic cases; the same command again goes on."""


@application.command("segment")
def segment(
    source: Input, out: Out, executor: ExecutorName = "local", address: Address = "", workers: Workers = 0,
    preparation: Preparation = "auto",
    missing_sequence: Annotated[str, typer.Option(help="refuse, or blank: it degrades the result.")] = "refuse",
    uncertainty: Annotated[bool, typer.Option("--uncertainty", help="The entropy in per cent too.")] = False,
    cache: Cache = True, weights: Weights = None, device: Device = None,
) -> None:  # fmt: skip
    """Segment every study below INPUT: NAME_seg.nii.gz and a line each in results.jsonl."""
    for name, value, allowed in (
        ("preparation", preparation, ("auto", "none")), ("missing_sequence", missing_sequence, ("refuse", "blank"))
    ):  # fmt: skip
        if value not in allowed:
            raise InvalidValueError(f"{name}: {value!r} must be one of {', '.join(allowed)}")
    options = {
        "weights": str(weights.resolve()) if weights else "", "device": device, "preparation": preparation,
        "missing_sequence": missing_sequence, "uncertainty": uncertainty, "cache": str(user_cache()) if cache else "",
    }  # fmt: skip
    _run(out, _chosen(executor, address, workers), lambda: plan_studies("segment", source, options))


@application.command("prepare")
def prepare(
    source: Input, out: Out, executor: ExecutorName = "local", address: Address = "", workers: Workers = 0,
    cache: Cache = True,
) -> None:  # fmt: skip
    """Prepare every study below INPUT: a BraTS-style case folder and a line each in results.jsonl."""
    options = {"preparation": "auto", "cache": str(user_cache()) if cache else ""}
    _run(out, _chosen(executor, address, workers), lambda: plan_studies("prepare", source, options))


@application.command("generate")
def generate(
    model: Annotated[str, typer.Argument(metavar="INPUT", help="Name of the generators' task, e.g. image_synthesis.")],
    out: Out, executor: ExecutorName = "local", address: Address = "", workers: Workers = 0,
    count: Annotated[int, typer.Option(help="How many, of seeds that follow each other.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="The first one.")] = 0,
    generator: Annotated[str, typer.Option(help="Which generator; the task's first by default.")] = "",
    condition: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; repeatable.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Folder with weights trained by you.")] = None,
) -> None:  # fmt: skip
    """Make synthetic images of one task: files that say so, and a line each in results.jsonl."""
    given = parse_conditions(condition or [])
    chosen = _chosen(executor, address, workers)
    _run(out, chosen, lambda: plan_generation(model, count, seed, generator, given, weights))


@application.command("evaluate")
def evaluate(
    source: Input, out: Out, executor: ExecutorName = "local", address: Address = "", workers: Workers = 0,
    lesion_wise: Annotated[bool, typer.Option(help="Add BraTS 2023's lesion-wise Dice and HD95.")] = False,
    weights: Weights = None, device: Device = None,
) -> None:  # fmt: skip
    """Evaluate every labelled case below INPUT: a line each in results.jsonl, means in evaluation.json."""
    options = {
        "weights": str(weights.resolve()) if weights else "", "device": device, "lesion_wise": lesion_wise,
    }  # fmt: skip
    _run(out, _chosen(executor, address, workers), lambda: plan_evaluation(source, options), _write_means)


def _chosen(executor: str, address: str, workers: int) -> Executor:
    if executor not in EXECUTORS:
        raise InvalidValueError(f"executor: {executor!r} must be one of {', '.join(EXECUTORS)}")
    if executor == "ray":
        return RayExecutor(address, workers)
    if address:
        raise InvalidValueError("address: is of --executor ray")
    return LocalExecutor(workers)


def _run(
    out: Path, executor: Executor, plan: Callable[[], Plan],
    finish: Callable[[ResultsFile, list[str]], None] = lambda results, keys: None,
) -> None:  # fmt: skip
    check_folder(out)
    with open_results(out) as results:
        tasks, left_out = plan()
        left = [task for task in tasks if not results.is_done(task)]
        failed = dict(left_out)
        with progress_bar(10.0) as bar:
            line = bar.add_task(_words(0, failed), total=len(tasks), completed=len(tasks) - len(left))
            for number, result in enumerate(executor.run(left, out.resolve()), start=1):
                results.add(result)
                if result.error:
                    failed[result.name] = result.error
                bar.update(line, description=_words(number, failed))
                bar.advance(line)
        finish(results, [task.key for task in tasks])
    _summary(len(tasks), len(tasks) - len(left), failed)


def _words(done: int, failed: dict[str, str]) -> str:
    return f"{done} done now, {len(failed)} failed"


def _summary(count: int, earlier: int, failed: dict[str, str]) -> None:
    for name, reason in failed.items():
        console.print(f"failed: {name}: {reason}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"{count} tasks, {earlier} done before, {len(failed)} failed; see {FILE}", highlight=False)
    console.print(RESEARCH_NOTICE, highlight=False)
    if failed:
        raise typer.Exit(1)


def _write_means(results: ResultsFile, keys: list[str]) -> None:
    rows: dict[str, dict[str, Any]] = {
        str(row["name"]): row for row in (results.rows.get(key, {}) for key in keys) if row.get("status") == "done"
    }
    found = {"cases": {name: {"regions": row["regions"]} for name, row in rows.items()}, **summary_of(rows)}
    store_json(json.loads(json.dumps(found)), results.folder / "evaluation.json")
