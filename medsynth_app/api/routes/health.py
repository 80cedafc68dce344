"""``/medsynth/api/health``: whether the clinic answers."""

from __future__ import annotations

from fastapi import APIRouter

from medsynth_app.api.dependencies import ClinicHere
from medsynth_app.api.schemas import Health

router = APIRouter(tags=["Clinic"])


@router.get("/health", summary="Database, knowledge base, and whether the score is loaded")
def health(clinic: ClinicHere) -> Health:
    repository = clinic.repository
    return Health(
        status="ok",
        database=repository.database.dialect,
        knowledge_base=repository.knowledge_version(),
        score_ready=clinic.is_ready,
        atlas_version=clinic.atlas_version,
    )
