"""``/train``: only known trainers, only their options, and no path of the server in what is told of a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Body
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.async_tasks.task import AsyncTask

from lib.publication import STARTED_BY
from lib.server.tasks import client_options, shown_task, stop_task, task_status
from lib.training_runs import RUN, TrainingRuns
from medsynth_app.audit import AuditTrail
from medsynth_app.errors import BusyError, InvalidValueError, NotFoundError
from medsynth_app.request_context import acting_user

PROGRESS_KEYS = ("epoch", "total_epochs", "best_metric", "total_time", "eta_seconds", "published", "reason")


def build_router(trainers: Mapping[str, TrainTask], audit: AuditTrail, runs: TrainingRuns) -> APIRouter:
    """The routes, bound to the trainers by name, and to the notes of what is under way."""
    router = APIRouter(prefix="/train", tags=["Train"])

    def start(model: str, params: object, enqueue: bool = False) -> Any:
        shown = _start(trainers, runs, model, params, enqueue=enqueue)
        audit.record("training.started", model=model)
        return shown

    @router.get("/", summary="Status of the newest training")
    def status(all: bool = False, check_if_running: bool = False) -> Any:
        try:
            found = task_status("train", all, check_if_running)
        except NotFoundError:
            broken_off = [run.as_task() for run in runs.broken_off()]
            if check_if_running or not broken_off:
                raise
            return broken_off if all else {**broken_off[-1], "progress": {}}
        return found if isinstance(found, list) else {**found, "progress": _progress(trainers, found)}

    @router.delete("/", summary="Stop the running training")
    def stop() -> dict[str, Any] | None:
        stopped = stop_task("train")
        if stopped is not None:
            runs.end(str(stopped["request"].get(RUN, "")))
            audit.record("training.stopped", model=stopped["request"].get("model"))
        return stopped

    @router.post("/", include_in_schema=False)
    def train_all(params: dict[str, Any] | None = Body(None)) -> dict[str, Any]:
        given = params or {}
        named = {name: given[name] for name in given if name in trainers}
        return {
            name: {"result": start(name, named.get(name), enqueue=True), "detail": None}
            for name in (named or trainers)
        }

    @router.post("/{model}", summary="Train a model on the labelled cases")
    def train(
        model: str,
        params: dict[str, Any] | None = Body(None),
        run_sync: bool = False,
        enqueue: bool = False,
    ) -> Any:
        if run_sync:
            raise InvalidValueError("run_sync: trainings run beside the server; ask GET /train/ for the status")
        return start(model, params, enqueue)

    return router


def _progress(trainers: Mapping[str, TrainTask], task: Mapping[str, Any]) -> dict[str, Any]:
    """Epoch, best Dice and seconds left of the newest run, as ``/info/`` has them under ``train_stats``."""
    trainer = trainers.get(task["request"].get("model", ""))
    stats = trainer.stats() if trainer else {}
    return {key: stats[key] for key in PROGRESS_KEYS if key in stats}


def _start(
    trainers: Mapping[str, TrainTask],
    runs: TrainingRuns,
    model: str,
    params: object,
    *,
    enqueue: bool = False,
) -> Any:
    if model not in trainers:
        known = ", ".join(trainers) or "none"
        raise NotFoundError(
            f"model: there is no trainer {model[:60]!r}, known are {known}", code="unknown_model"
        )
    if params is not None and not isinstance(params, Mapping):
        raise InvalidValueError("params: must be a JSON object of training options")
    options = trainers[model].check_options(client_options(params))  # type: ignore[attr-defined]
    run = runs.begin(model, acting_user.get())
    request = {"model": model, STARTED_BY: acting_user.get(), RUN: run}
    try:
        result, detail = AsyncTask.run("train", request, options, enqueue=enqueue)
    except BaseException:
        runs.end(run)
        raise
    if result is None:
        runs.end(run)
        raise BusyError(f"train: {detail or 'a training is running already'}", code="busy")
    return shown_task(result)
