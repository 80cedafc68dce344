"""``/scoring``: the server's one background thread in MONAI Label's words; no process is started for it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from lib.rounds import AnnotationRounds
from medsynth_app.errors import NotFoundError

METHOD = "agreement"


def build_router(rounds: AnnotationRounds) -> APIRouter:
    """The routes, bound to the rounds."""
    router = APIRouter(prefix="/scoring", tags=["Scoring"])

    @router.get("/", summary="What the background thread has still to do")
    def status(all: bool = False, check_if_running: bool = False) -> dict[str, Any]:
        if not rounds.is_busy():
            raise NotFoundError("scoring: nothing is being scored or assessed")
        return rounds.work()

    @router.delete("/", summary="Nothing to stop: labels that wait are scored sooner or later")
    def stop() -> None:
        return None

    @router.post("/", include_in_schema=False)
    def run_all() -> dict[str, Any]:
        return {METHOD: {"result": rounds.score(), "detail": None}}

    @router.post("/{method}", summary="Score submitted labels and assess waiting cases now")
    def run(method: str) -> dict[str, Any]:
        if method != METHOD:
            raise NotFoundError(f"method: there is no {method[:60]!r}, known is {METHOD}", code="unknown_method")
        return rounds.score()

    return router
