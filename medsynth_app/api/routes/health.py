"""``/medsynth/api/health``: whether the process lives, whether it can work, and what the clinic says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from medsynth_app.accounts import Role
from medsynth_app.api.dependencies import ClinicHere, get_audit, get_left_out, get_readiness
from medsynth_app.api.error_handlers import RETRY_AFTER_SECONDS
from medsynth_app.api.routes.audit import audit_heads
from medsynth_app.api.schemas import Health
from medsynth_app.audit import AuditTrail

router = APIRouter(tags=["Health"])
Readiness = Annotated[Mapping[str, bool], Depends(get_readiness)]
LeftOut = Annotated[Mapping[str, str], Depends(get_left_out)]
MOST_LEFT_OUT = 100


@router.get("/health", summary="Database, knowledge base, score, and which studies cannot be used")
def health(
    request: Request,
    clinic: ClinicHere,
    left_out: LeftOut,
    trail: Annotated[AuditTrail | None, Depends(get_audit)],
) -> Health:
    repository = clinic.repository
    return Health(
        status="ok",
        database=repository.database.dialect,
        knowledge_base=repository.knowledge_version(),
        score_ready=clinic.is_ready,
        atlas_version=clinic.atlas_version,
        left_out=dict(list(left_out.items())[:MOST_LEFT_OUT]),
        left_out_count=len(left_out),
        audit=audit_heads(trail, clinic) if _is_admin(request) else None,
    )


def _is_admin(request: Request) -> bool:
    """Without a login everybody who comes through is one."""
    account = getattr(request.state, "account", None)
    return account is None or bool(account.role.includes(Role.ADMIN))


@router.get("/health/live", summary="The process answers")
async def live() -> dict[str, Any]:
    return {"status": "ok"}


@router.get("/health/ready", summary="Everything that work needs is there (200), or something is missing (503)")
def ready(checks: Readiness) -> JSONResponse:
    fine = all(checks.values())
    headers = None if fine else {"Retry-After": str(RETRY_AFTER_SECONDS)}
    content = {"status": "ok" if fine else "not_ready", "checks": dict(checks)}
    return JSONResponse(content, 200 if fine else 503, headers)
