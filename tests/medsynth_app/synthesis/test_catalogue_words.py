"""Every condition of every generator says what it means, in which unit and range, everywhere it is shown."""

from __future__ import annotations

from typing import Any

import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.brain_regions import REGION_CODES
from medsynth_app.synthesis.catalogue import CATALOGUE, CatalogueRow
from medsynth_app.synthesis.tumor.request import Side, TumorSite

FREE = {"host", "pathology", "sequence", "direction", "lesion_position_mm", "lesion_position"}
"""Cases, texts that the weights decide, and places whose range is the image's."""
CONDITIONS = [(row, record) for row in CATALOGUE.rows for record in row.conditions.described()]
IDS = [f"{row.task}/{row.generator}/{record['name']}" for row, record in CONDITIONS]
TUMOR = CATALOGUE.row("tumor_case_synthesis").conditions


@pytest.mark.parametrize(("row", "record"), CONDITIONS, ids=IDS)
def test_condition_has_words_and_a_range_or_choices(row: CatalogueRow, record: dict[str, Any]) -> None:
    assert len(record["description"]) >= 6
    bounded = {"minimum", "maximum"} <= set(record) or len(record.get("choices", ())) > 1
    assert bounded or record["kind"] == "bool" or "fields" in record or record["name"] in FREE
    if record["name"].endswith(("_mm", "_ml", "_t")):
        assert record["unit"]


@pytest.mark.parametrize("row", CATALOGUE.rows, ids=lambda row: f"{row.task}/{row.generator}")
def test_no_condition_is_hidden_from_the_viewers_and_all_come_back_as_they_went(row: CatalogueRow) -> None:
    shown = row.conditions.shown()
    assert set(shown) == {record["name"] for record in row.conditions.described()}
    assert row.conditions.parse(shown) == row.conditions.parse({})


def test_tumor_conditions_take_what_viewers_send() -> None:
    sent = {"site": ["frontal", "any"], "side": "left", "volume_ml": "40", "grade": "3", "edema_extent": "0.4",
            "contrast_agent": "false",
            "sequences": '{"t1": {"echo_time_ms": 12}}', "necrotic_fraction": "",}  # fmt: skip
    values = TUMOR.parse(sent)
    assert (values["site"], values["side"], values["volume_ml"], values["grade"]) == ("frontal", "left", 40.0, 3)
    assert (values["edema_extent"], values["necrotic_fraction"], values["contrast_agent"]) == (0.4, None, False)
    assert values["sequences"]["t1"]["echo_time_ms"] == 12
    assert TUMOR.parse({"seed_point_mm": "10, -20,30"})["seed_point_mm"] == [10.0, -20.0, 30.0]


@pytest.mark.parametrize("record", [r for r in TUMOR.described() if "minimum" in r], ids=lambda r: r["name"])
def test_told_range_is_the_one_that_is_checked(record: dict[str, Any]) -> None:
    name, low, high = record["name"], record["minimum"], record["maximum"]
    vector = (lambda value: [value, 0.0, 0.0]) if record["kind"] == "numbers" else (lambda value: value)
    for value in (low, high):
        given = {name: vector(value)}
        if name in ("enhancing_fraction", "necrotic_fraction"):
            other = {"enhancing_fraction": "necrotic_fraction", "necrotic_fraction": "enhancing_fraction"}[name]
            given[other] = 1.0 - value
        assert TUMOR.parse(given)[name] == vector(value)
    for value in (low - 1, high + 1):
        with pytest.raises(InvalidValueError, match=name):
            TUMOR.parse({name: vector(value)})


def test_every_site_and_side_is_a_choice() -> None:
    choices = {record["name"]: record["choices"] for record in TUMOR.described() if "choices" in record}
    assert set(choices["site"]) == {"any", *(site.value for site in TumorSite), *REGION_CODES}
    assert set(choices["side"]) == {"any", *(side.value for side in Side)}
