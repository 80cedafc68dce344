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
    reviews,
    rounds,
    symptoms,
    synthesis,
    thumbnails,
)

PREFIX = "/medsynth/api"


def build_router() -> APIRouter:
    """The routes; the application puts clinic and studies in place (see `dependencies`)."""
    router = APIRouter(prefix=PREFIX)
    clinical = (symptoms, regions, cross_check, hospitals)
    for part in (audit, *clinical, health, metrics, reviews, rounds, synthesis, thumbnails):
        router.include_router(part.router)
    return router
