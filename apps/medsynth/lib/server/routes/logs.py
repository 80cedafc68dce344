"""``/logs``: the end of the server's log without paths, and what the GPU does."""

from __future__ import annotations

import subprocess
from collections import deque
from pathlib import Path

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse

from medsynth_app.api.error_handlers import without_paths
from medsynth_app.errors import NotFoundError


def build_router(log_file: Path) -> APIRouter:
    """The routes, bound to the log file."""
    router = APIRouter(prefix="/logs", tags=["Others"])

    @router.get("/", summary="The last lines of the log")
    def logs(lines: int = Query(300, ge=1, le=10_000)) -> PlainTextResponse:
        if not log_file.is_file():
            raise NotFoundError("logs: there is no log file")
        with open(log_file, encoding="utf-8", errors="replace") as file:
            return PlainTextResponse(without_paths("".join(deque(file, lines))))

    @router.get("/gpu", summary="What nvidia-smi tells")
    def gpu() -> PlainTextResponse:
        try:
            outcome = subprocess.run(["nvidia-smi"], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603, S607
        except (OSError, subprocess.SubprocessError) as error:
            raise NotFoundError("gpu: this server has no NVIDIA GPU that nvidia-smi can tell of") from error
        return PlainTextResponse(without_paths(outcome.stdout))

    return router
