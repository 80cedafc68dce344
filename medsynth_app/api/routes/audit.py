"""``/medsynth/api/audit/verify``: whether the records of who changed what are whole, for the administrator."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from medsynth_app.api.dependencies import ClinicHere, get_audit
from medsynth_app.audit import AuditTrail
from medsynth_app.audit.chain import check_anchor, verify_links
from medsynth_app.clinical.clinic import Clinic
from medsynth_app.errors import OverloadedError

router = APIRouter(tags=["Health"])
UNREADABLE = "its database does not answer"


@router.get("/audit/verify", summary="Whether both audit chains are whole, and hold a hash that was noted elsewhere")
def verify(
    trail: Annotated[AuditTrail | None, Depends(get_audit)],
    clinic: ClinicHere,
    server_anchor: Annotated[str | None, Query(description="A hash of the server's audit from the log.")] = None,
    clinic_anchor: Annotated[str | None, Query(description="A hash of the clinic's audit from the log.")] = None,
) -> dict[str, Any]:
    first, second = (anchor and check_anchor(anchor) for anchor in (server_anchor, clinic_anchor))
    server = (trail.verify(first or None) if trail else verify_links((), first or None)).as_dict()
    of_clinic = _of_clinic(clinic, second or None)
    return {"intact": server["intact"] and of_clinic["intact"], "server": server, "clinic": of_clinic}


def audit_heads(trail: AuditTrail | None, clinic: Clinic) -> dict[str, str | None]:
    """The newest hash of each chain, to be noted outside; None where it cannot be read or there is none."""
    try:
        of_clinic: str | None = clinic.repository.audit_head()
    except OverloadedError:
        of_clinic = None
    return {"server": trail.head() if trail else None, "clinic": of_clinic}


def _of_clinic(clinic: Clinic, anchor: str | None) -> dict[str, Any]:
    try:
        return clinic.repository.verify_audit(anchor).as_dict()
    except OverloadedError:
        unknown = dict.fromkeys(("length", "broken_at", "head", "anchor_found"))
        return {**unknown, "intact": False, "reason": UNREADABLE}
