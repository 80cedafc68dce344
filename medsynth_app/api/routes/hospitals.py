"""``/medsynth/api/hospitals``: who offers what the care of a site wants, ordered by terms that are shown."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query

from medsynth_app.api.dependencies import ClinicHere
from medsynth_app.clinical.hospitals.search import HospitalQuery
from medsynth_app.clinical.scoring.cross_check import ConcordanceClass
from medsynth_app.plain_values import plain

router = APIRouter(tags=["Clinic"])


@router.get("/hospitals", summary="Hospitals for a site, by service match, level and distance; each term shown")
def hospitals(
    clinic: ClinicHere,
    region: Annotated[list[str] | None, Query(description="Region code; may be repeated.")] = None,
    lat: Annotated[float | None, Query(description="Degrees north.")] = None,
    lon: Annotated[float | None, Query(description="Degrees east.")] = None,
    concordance: ConcordanceClass | None = None,
    seizures: bool = False,
    child: bool = False,
    country: Annotated[str, Query(max_length=2)] = "",
    max_km: float | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> dict[str, Any]:
    codes = [code for each in region or [] for code in each.split(",") if code]
    query = HospitalQuery(
        regions=tuple(codes),
        concordance=concordance,
        latitude=lat,
        longitude=lon,
        seizures=seizures,
        child=child,
        country=country.upper(),
        max_distance_km=max_km,
        limit=limit,
    )
    answer: dict[str, Any] = plain(clinic.directory.find(query, date.today()))
    return {**answer, "order_notice": answer["notice"], "notice": answer["research_notice"]}
