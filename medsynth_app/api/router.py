"""``/medsynth/api/``: all routes of our own in one router."""

from __future__ import annotations

from fastapi import APIRouter

from medsynth_app.api.routes import (
    audit,
    cross_check,
    health,
    hospitals,
    metrics,
    regions,
    rounds,
    symptoms,
    synthesis,
    thumbnails,
)

PREFIX = "/medsynth/api"


def build_router() -> APIRouter:
    """The routes; the application puts clinic and studies in place (see `dependencies`)."""
    router = APIRouter(prefix=PREFIX)
    for part in (audit, symptoms, regions, cross_check, hospitals, health, metrics, rounds, synthesis, thumbnails):
        router.include_router(part.router)
    return router
