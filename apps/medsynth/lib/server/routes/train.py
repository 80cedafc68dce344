"""``/train``: only known trainers, only their options, and no path of the server in what is told of a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Body
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.async_tasks.task import AsyncTask

from lib.server.tasks import client_options, shown_task, stop_task, task_status
from medsynth_app.errors import BusyError, InvalidValueError, NotFoundError


def build_router(trainers: Mapping[str, TrainTask]) -> APIRouter:
    """The routes, bound to the trainers by name."""
    router = APIRouter(prefix="/train", tags=["Train"])

    @router.get("/", summary="Status of the newest training")
    def status(all: bool = False, check_if_running: bool = False) -> Any:
        return task_status("train", all, check_if_running)

    @router.delete("/", summary="Stop the running training")
    def stop() -> dict[str, Any] | None:
        return stop_task("train")

    @router.post("/", include_in_schema=False)
    def train_all(params: dict[str, Any] | None = Body(None)) -> dict[str, Any]:
        given = params or {}
        named = {name: given[name] for name in given if name in trainers}
        return {
            name: {"result": _start(trainers, name, named.get(name), enqueue=True), "detail": None}
            for name in (named or trainers)
        }

    @router.post("/{model}", summary="Train a model on the labelled cases")
    def train(
        model: str,
        params: dict[str, Any] | None = Body(None),
        run_sync: bool = False,
        enqueue: bool = False,
    ) -> Any:
        return _start(trainers, model, params, enqueue=enqueue, run_sync=run_sync)

    return router


def _start(
    trainers: Mapping[str, TrainTask],
    model: str,
    params: object,
    *,
    enqueue: bool = False,
    run_sync: bool = False,
) -> Any:
    if model not in trainers:
        known = ", ".join(trainers) or "none"
        raise NotFoundError(
            f"model: there is no trainer {model[:60]!r}, known are {known}", code="unknown_model"
        )
    if params is not None and not isinstance(params, Mapping):
        raise InvalidValueError("params: must be a JSON object of training options")
    options = trainers[model].check_options(client_options(params))  # type: ignore[attr-defined]
    result, detail = AsyncTask.run("train", {"model": model}, options, force_sync=run_sync, enqueue=enqueue)
    if result is None:
        raise BusyError(f"train: {detail or 'a training is running already'}", code="busy")
    return result if run_sync else shown_task(result)
