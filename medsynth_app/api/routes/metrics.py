"""``/medsynth/api/metrics`` for Prometheus, ``/medsynth/api/audit`` for the administrator."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from medsynth_app.api.dependencies import get_audit
from medsynth_app.api.metrics import Metrics, get_metrics
from medsynth_app.audit import AuditTrail

router = APIRouter(tags=["Health"])


@router.get("/metrics", summary="Counts and times in Prometheus' text format", response_class=Response)
def metrics(numbers: Annotated[Metrics, Depends(get_metrics)]) -> Response:
    return Response(numbers.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/audit", summary="Who changed which label or model, newest first")
def audit(
    trail: Annotated[AuditTrail | None, Depends(get_audit)], limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> dict[str, Any]:
    return {"changes": trail.last(limit) if trail else []}
