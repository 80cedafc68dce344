"""``/medsynth/api/regions``: the brain regions and the symptoms that point to them."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from medsynth_app.api.dependencies import ClinicHere
from medsynth_app.api.schemas import LinkView, RegionList, RegionView
from medsynth_app.imaging.brain_regions import BRAIN_REGIONS

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
