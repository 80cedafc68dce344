"""``/batch/infer``: known names and checked options before a process is started."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fastapi import APIRouter, Body
from monailabel.interfaces.tasks.batch_infer import BatchInferImageType
from monailabel.utils.async_tasks.task import AsyncTask

from lib.datastore import check_tag
from lib.publication import STARTED_BY
from lib.server.tasks import client_options, shown_task, stop_task, task_status
from medsynth_app.audit import AuditTrail
from medsynth_app.errors import BusyError, NotFoundError
from medsynth_app.options import Option, parse_options
from medsynth_app.request_context import acting_user

BATCH_OPTIONS = (
    Option("max_workers", 1, "Cases segmented at once.", minimum=1, maximum=64),
    Option("max_batch_size", 0, "Cases in all; 0 = every one.", minimum=0, maximum=1_000_000),
)


def build_router(models: Collection[str], audit: AuditTrail) -> APIRouter:
    """The routes, bound to the names of the models that work on a case; what a batch stores is noted label by label."""
    router = APIRouter()

    @router.get("/batch/infer", tags=["Infer"], summary="Status of the batch inference")
    def batch_status(all: bool = False, check_if_running: bool = False) -> Any:
        return task_status("batch_infer", all, check_if_running)

    @router.delete("/batch/infer", tags=["Infer"], summary="Stop the batch inference")
    def stop_batch() -> dict[str, Any] | None:
        return stop_task("batch_infer")

    @router.post("/batch/infer/{model}", tags=["Infer"], summary="Run a model on many cases, keep the labels")
    def run_batch(
        model: str,
        images: BatchInferImageType = BatchInferImageType.IMAGES_ALL,
        params: dict[str, Any] | None = Body(None),
    ) -> Any:
        _check_name("model", model, models)
        given = params or {}
        tag = check_tag(given.get("label_tag") or "original")
        limits, _ = parse_options(BATCH_OPTIONS, given)
        options = {**client_options(given), **limits, "label_tag": tag, "save_label": True}
        shown = _started("batch_infer", {"model": model, "images": images.value}, options)
        audit.record("batch.started", model=model, tag=tag)
        return shown

    return router


def _check_name(field: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise NotFoundError(
            f"{field}: there is no {name[:60]!r}, known are {', '.join(known) or 'none'}",
            code=f"unknown_{field}",
        )


def _started(kind: str, request: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    # The request's own names come last: no option replaces them. ``gpus`` would become an environment variable.
    options = {key: value for key, value in options.items() if key not in ("gpus", "method")}
    options |= {**request, STARTED_BY: acting_user.get()}
    task, detail = AsyncTask.run(kind, request, options)
    if task is None:
        raise BusyError(f"{kind}: {detail or 'one is running already'}", code="busy")
    return shown_task(task)
