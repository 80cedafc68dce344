"""Condition tables refuse by name what is unknown or impossible."""

from __future__ import annotations

from typing import Any

import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.options import Option
from medsynth_app.synthesis.conditions import (
    LARGEST_SEED,
    ConditionTable,
    VectorOption,
    numbers_of,
    parse_seed,
)


def no_child_smokers(values: Any) -> None:
    if values["age"] < 10 and values["smoker"]:
        raise InvalidValueError(f"smoker: true is impossible at the age of {values['age']}")


TABLE = ConditionTable(
    (
        Option("age", 50, "Years.", minimum=0, maximum=110),
        Option("smoker", False, "Smokes."),
        Option("kind", "a", "Which.", ("a", "b")),
        VectorOption("spacing_mm", "", "Voxel size.", minimum=0.5, maximum=10),
    ),
    no_child_smokers,
)


def test_left_out_conditions_have_their_default() -> None:
    assert TABLE.parse({}) == {"age": 50, "smoker": False, "kind": "a", "spacing_mm": ""}
    assert numbers_of("") is None


@pytest.mark.parametrize("given", [[1, 2.5, 3], "1,2.5,3", "[1, 2.5, 3]"])
def test_several_numbers_come_as_list_or_text(given: Any) -> None:
    assert numbers_of(TABLE.parse({"spacing_mm": given})["spacing_mm"]) == (1.0, 2.5, 3.0)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"colour": 1}, "colour: is no condition of this generator, known are age, smoker"),
        ({"age": "old"}, "age: 'old' must be a whole number"),
        ({"age": 120}, "age: 120 must be between 0 and 110"),
        ({"kind": "c"}, "kind: 'c' must be one of a, b"),
        ({"spacing_mm": [1, 1]}, "spacing_mm: .* must be 3 numbers"),
        ({"spacing_mm": [1, 1, 0]}, "spacing_mm: 0 must be between 0.5 and 10"),
        ({"spacing_mm": [1, 1, float("nan")]}, "spacing_mm: .* must be 3 numbers"),
        ({"spacing_mm": [True, 1, 1]}, "spacing_mm: .* must be 3 numbers"),
        ({"age": 5, "smoker": True}, "smoker: true is impossible at the age of 5"),
    ],
)
def test_wrong_conditions_are_refused_by_name(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidValueError, match=complaint):
        TABLE.parse(given)


@pytest.mark.parametrize("seed", ["seven", 1.5, -1, None, "", [3], True, {}, LARGEST_SEED + 1])
def test_a_wrong_seed_is_refused(seed: object) -> None:
    with pytest.raises(InvalidValueError, match="seed"):
        parse_seed(seed)


def test_a_seed_may_come_as_text() -> None:
    assert parse_seed("41") == 41


def test_a_table_describes_itself() -> None:
    kinds = {row["name"]: row["kind"] for row in TABLE.described()}
    assert kinds == {"age": "int", "smoker": "bool", "kind": "str", "spacing_mm": "numbers"}
    assert TABLE.described()[0]["maximum"] == 110
