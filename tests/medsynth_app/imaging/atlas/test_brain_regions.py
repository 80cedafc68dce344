"""The table of regions: complete, unambiguous, and readable in two languages."""

from __future__ import annotations

import re

import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.brain_regions import (
    BRAIN_REGIONS,
    REGION_CODES,
    SIDED_REGIONS,
    BrainRegion,
    Eloquence,
    Lobe,
    Side,
    region_named,
)


def test_codes_are_unique_and_labels_count_from_one() -> None:
    assert len(set(REGION_CODES)) == len(REGION_CODES)
    assert [region.label for region in SIDED_REGIONS] == list(range(1, len(SIDED_REGIONS) + 1))
    assert len({region.key for region in SIDED_REGIONS}) == len(SIDED_REGIONS)


def test_only_midline_structures_have_one_label() -> None:
    midline = {region.region.code for region in SIDED_REGIONS if region.side is Side.MIDLINE}
    assert midline == {"CHIASM", "CC_GENU", "CC_BODY", "CC_SPLEN", "VERMIS"}
    assert len(SIDED_REGIONS) == 2 * len(BRAIN_REGIONS) - len(midline)


@pytest.mark.parametrize("region", BRAIN_REGIONS, ids=lambda region: region.code)
def test_every_region_is_fully_described(region: BrainRegion) -> None:
    assert re.fullmatch(r"C71\.[0-9]", region.icd10_site)
    assert re.search("[가-힣]", region.name_ko)
    assert region.name_en.isascii()


@pytest.mark.parametrize(
    ("lobe", "site"),
    [
        (Lobe.FRONTAL, "C71.1"), (Lobe.TEMPORAL, "C71.2"), (Lobe.PARIETAL, "C71.3"),
        (Lobe.OCCIPITAL, "C71.4"), (Lobe.VENTRICLE, "C71.5"), (Lobe.CEREBELLUM, "C71.6"),
        (Lobe.BRAINSTEM, "C71.7"),
    ],
)  # fmt: skip
def test_lobes_have_their_icd10_site(lobe: Lobe, site: str) -> None:
    assert {region.icd10_site for region in BRAIN_REGIONS if region.lobe is lobe} == {site}


@pytest.mark.parametrize(
    ("code", "eloquence"),
    [
        ("M1_HAND", Eloquence.MOTOR), ("BROCA", Eloquence.LANGUAGE), ("STG_POST", Eloquence.LANGUAGE),
        ("OCC_CALC", Eloquence.VISUAL), ("THAL", Eloquence.DEEP), ("PONS", Eloquence.BRAINSTEM),
        ("ORBITO", Eloquence.NONE),
    ],
)  # fmt: skip
def test_eloquence_of_well_known_regions(code: str, eloquence: Eloquence) -> None:
    assert region_named(code).eloquence is eloquence


def test_unknown_code_lists_the_known_ones() -> None:
    with pytest.raises(InvalidValueError, match="'M1_TOE' is not known; known are M1_FACE, M1_HAND"):
        region_named("M1_TOE")


def test_names_carry_the_side() -> None:
    by_key = {region.key: region for region in SIDED_REGIONS}
    assert by_key["INS", Side.LEFT].name_en == "left insula"
    assert by_key["INS", Side.RIGHT].name_ko == "오른쪽 뇌섬엽"
    assert by_key["VERMIS", Side.MIDLINE].name_en == "cerebellar vermis"


def test_mirroring_swaps_sides_and_keeps_the_midline() -> None:
    assert [side.mirrored for side in (Side.LEFT, Side.RIGHT, Side.MIDLINE)] == [
        Side.RIGHT,
        Side.LEFT,
        Side.MIDLINE,
    ]
