"""One table of options: what viewers are shown, and every odd form in which they send it back."""

from __future__ import annotations

from typing import Any

import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.options import Option, parse_options, shown_options

FLAG = Option("flag", False, "On or off.")
COUNT = Option("count", 3, "How many.", minimum=1, maximum=10)
SHARE = Option("share", 0.5, "Which part.", minimum=0.0, maximum=1.0)
KIND = Option("kind", "b", "Which.", ("a", "b", "c"))
TEXT = Option("text", "96,96,96", "Free.")
TABLE = (FLAG, COUNT, SHARE, KIND, TEXT)


def test_viewers_are_shown_defaults_and_choices_with_the_default_first() -> None:
    assert shown_options(TABLE) == {
        "flag": False, "count": 3, "share": 0.5, "kind": ["b", "a", "c"], "text": "96,96,96",
    }  # fmt: skip


@pytest.mark.parametrize("params", [{}, dict.fromkeys(["flag", "count", "share", "kind", "text"], "")])
def test_nothing_and_empty_texts_mean_the_defaults(params: dict[str, Any]) -> None:
    values, warnings = parse_options(TABLE, params)
    assert values == {"flag": False, "count": 3, "share": 0.5, "kind": "b", "text": "96,96,96"}
    assert warnings == []


def test_everything_shown_comes_back_as_the_default() -> None:
    assert parse_options(TABLE, shown_options(TABLE))[0] == parse_options(TABLE, {})[0]


@pytest.mark.parametrize(
    ("option", "sent", "value"),
    [
        (FLAG, True, True), (FLAG, "true", True), (FLAG, "True", True), (FLAG, 1, True), (FLAG, "on", True),
        (FLAG, "0.0", False), (FLAG, 0, False), (FLAG, "False", False), (FLAG, None, False), (FLAG, [True], True),
        (COUNT, 4, 4), (COUNT, "4", 4), (COUNT, "4.0", 4), (COUNT, 4.0, 4), (COUNT, [7], 7), (COUNT, " 4 ", 4),
        (SHARE, 0, 0.0), (SHARE, "0.0", 0.0), (SHARE, "1", 1.0), (SHARE, "2.5e-1", 0.25), (SHARE, [], 0.5),
        (KIND, "c", "c"), (KIND, ["a", "b", "c"], "a"), (KIND, ("c",), "c"), (KIND, [], "b"),
        (TEXT, "1,2,3", "1,2,3"),
    ],
)  # fmt: skip
def test_forms_that_viewers_send_are_understood(option: Option, sent: object, value: object) -> None:
    parsed = option.parse(sent)
    assert parsed == value
    assert type(parsed) is type(option.default)


@pytest.mark.parametrize(
    ("option", "sent", "message"),
    [
        (FLAG, "maybe", "flag: 'maybe' must be true or false"),
        (FLAG, 2, "flag: 2 must be true or false"),
        (FLAG, {}, r"flag: \{\} must be true or false"),
        (COUNT, 0, "count: 0 must be between 1 and 10"),
        (COUNT, "11", "count: '11' must be between 1 and 10"),
        (COUNT, 2.5, "count: 2.5 must be a whole number"),
        (COUNT, True, "count: True must be a whole number"),
        (COUNT, "many", "count: 'many' must be a whole number"),
        (COUNT, {"a": 1}, "count: .* must be a whole number"),
        (COUNT, [[1]], "count: .* must be a whole number"),
        (COUNT, "nan", "count: 'nan' must be a whole number"),
        (COUNT, float("inf"), "count: inf must be"),
        (COUNT, "-inf", "count: '-inf' must be"),
        (COUNT, 10**400, "count: .* must be"),
        (SHARE, "1.01", r"share: '1\.01' must be between 0 and 1"),
        (SHARE, float("nan"), "share: nan must be a number"),
        (SHARE, "inf", "share: 'inf' must be between"),
        (KIND, "d", "kind: 'd' must be one of a, b, c"),
        (KIND, "B", "kind: 'B' must be one of"),
        (KIND, 1, "kind: 1 must be a text"),
        (KIND, ["d"], "kind: 'd' must be one of"),
        (TEXT, 96, "text: 96 must be a text"),
    ],
)
def test_wrong_values_are_refused_by_name(option: Option, sent: object, message: str) -> None:
    with pytest.raises(InvalidValueError, match=f"^{message}") as caught:
        option.parse(sent)
    assert caught.value.status == 422


def test_infinity_passes_no_unbounded_whole_number() -> None:
    with pytest.raises(InvalidValueError, match="n: inf must be a whole number"):
        Option("n", 1, "Unbounded.").parse(float("inf"))


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(InvalidValueError) as caught:
        KIND.parse("x" * 10_000)
    assert len(caught.value.message) < 200


def test_unknown_keys_are_reported_unless_ignored() -> None:
    values, warnings = parse_options(
        TABLE, {"count": 5, "client_id": "x", "speed": 1}, ignored=("client_id",)
    )
    assert values["count"] == 5
    assert warnings == ["unknown option 'speed' was ignored"]


def test_many_unknown_keys_are_reported_in_part() -> None:
    assert len(parse_options(TABLE, {f"k{i}": i for i in range(1000)})[1]) == 20
