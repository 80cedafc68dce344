"""``/medsynth/api/regions``: the brain regions, and where symptoms alone point to."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from medsynth_app.api.dependencies import ClinicHere
from medsynth_app.api.schemas import (
    LinkView,
    RegionList,
    RegionView,
    SuspectedList,
    SuspectedRegionView,
    SuspectReasonView,
    SuspectRequest,
)
from medsynth_app.clinical.intake.form import parse_intake
from medsynth_app.clinical.intake.red_flags import raised_flags
from medsynth_app.clinical.scoring.suspected import SuspectedRegion
from medsynth_app.imaging.atlas.brain_regions import BRAIN_REGIONS, SIDED_REGIONS
from medsynth_app.plain_values import plain

router = APIRouter(tags=["Clinic"])


@router.get("/regions", summary="Brain regions with lobe, eloquence, ICD-10 site and symptoms")
def regions(clinic: ClinicHere, lang: Literal["ko", "en"] = "en") -> RegionList:
    links: dict[str, list[LinkView]] = {}
    for link in clinic.repository.links():
        rule = link.side_override or link.laterality_rule
        links.setdefault(link.region, []).append(
            LinkView(symptom=link.symptom, weight=link.weight, laterality_rule=rule)
        )
    views = [
        RegionView(
            code=region.code,
            name=region.name_ko if lang == "ko" else region.name_en,
            name_en=region.name_en,
            name_ko=region.name_ko,
            lobe=region.lobe.value,
            eloquence=region.eloquence.value,
            icd10_site=region.icd10_site,
            two_sided=region.two_sided,
            symptoms=sorted(links.get(region.code, []), key=lambda each: -each.weight),
        )
        for region in BRAIN_REGIONS
    ]
    return RegionList(regions=views)


@router.post("/regions/suspected", summary="Suspected regions from symptoms alone, before any image, with reasons")
def suspected_regions(request: SuspectRequest, clinic: ClinicHere, lang: Literal["ko", "en"] = "en") -> SuspectedList:
    intake = parse_intake(request.as_values(), clinic.definitions)
    found = clinic.suspect(intake)
    names = {each.id: each.name_ko if lang == "ko" else each.name_en for each in clinic.repository.symptoms()}
    return SuspectedList(
        suspected=[_suspected(each, names, lang) for each in found.suspected[: request.limit]],
        reasons=list(found.reasons),
        warnings=list(dict.fromkeys([*intake.warnings, *found.warnings])),
        red_flags=plain(raised_flags(intake, clinic.repository.red_flags())),
        versions=clinic.tools.checker.versions(),
    )


def _suspected(row: SuspectedRegion, names: dict[str, str], lang: str) -> SuspectedRegionView:
    site = next(each for each in SIDED_REGIONS if (each.region.code, each.side.value) == (row.region, row.side))
    return SuspectedRegionView(
        region=row.region,
        side=row.side,
        name=site.name_ko if lang == "ko" else site.name_en,
        name_en=site.name_en,
        name_ko=site.name_ko,
        lobe=site.region.lobe.value,
        probability=round(row.probability, 4),
        touched_probability=round(row.touched_probability, 4),
        lift=round(row.lift, 2),
        reasons=[
            SuspectReasonView(symptom=each.symptom, name=names[each.symptom], side=each.side, share=each.share)
            for each in row.reasons
        ],
        center_mm=row.center_mm,
    )
