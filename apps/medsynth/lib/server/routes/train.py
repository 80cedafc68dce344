"""``POST /train``: only known trainers, only their options; the rest of MONAI Label's train routes stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Body
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.async_tasks.task import AsyncTask

from lib.inference import SERVER_KEYS
from medsynth_app.errors import BusyError, InvalidValueError, NotFoundError


def build_router(trainers: Mapping[str, TrainTask]) -> APIRouter:
    """The routes, bound to the trainers by name."""
    router = APIRouter(prefix="/train", tags=["Train"])

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
    trainer = trainers[model]
    given = {k: v for k, v in (params or {}).items() if k not in SERVER_KEYS}
    options = trainer.check_options(given)  # type: ignore[attr-defined]
    result, detail = AsyncTask.run("train", {"model": model}, options, force_sync=run_sync, enqueue=enqueue)
    if result is None:
        raise BusyError(f"train: {detail or 'a training is running already'}", code="busy")
    return result
