"""MONAI Label's background tasks as clients may see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monailabel.utils.async_tasks.task import AsyncTask

from lib.inference import SERVER_KEYS
from lib.publication import STARTED_BY
from medsynth_app.api.error_handlers import without_paths
from medsynth_app.errors import NotFoundError


def shown_task(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task without what only the server sets, and without paths in the lines of its log."""
    request = {key: value for key, value in task["request"].items() if key not in ("bundle_path", "gpus", STARTED_BY)}
    shown = {**task, "request": request}
    if "details" in task:
        # The thread that reads the task's log goes on appending: ``copy`` is one step, iteration is not.
        shown["details"] = [without_paths(str(line)) for line in task["details"].copy()]
    return shown


def task_status(kind: str, all_tasks: bool, check_if_running: bool) -> Any:
    """The newest task of a kind, the running one, or all of them.

    Raises:
        NotFoundError: there is none.
    """
    tasks, detail = AsyncTask.status(kind, all_tasks, check_if_running)
    if tasks is None:
        raise NotFoundError(str(detail))
    return [shown_task(task) for task in tasks] if isinstance(tasks, list) else shown_task(tasks)


def stop_task(kind: str) -> dict[str, Any] | None:
    """Kill the running task of a kind; None where none runs."""
    task = AsyncTask.stop(kind)
    return shown_task(task) if task else None


def client_options(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a client sent, without the keys that only the server sets."""
    return {key: value for key, value in (params or {}).items() if key not in SERVER_KEYS}
