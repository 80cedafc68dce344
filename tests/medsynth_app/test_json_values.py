"""What cannot be stored and read back is refused at the border; what was stored before is mended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from medsynth_app.errors import MalformedRequestError
from medsynth_app.json_values import DEEPEST, check_storable, mended, parse_json


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize("text", ['"a"', '{"a": [1, null, "뇌"]}', '"\\ud83d\\ude00"', nested(DEEPEST)])
def test_what_can_be_stored_is_let_in(text: str) -> None:
    value = parse_json(text, "params")
    json.dumps(value, ensure_ascii=False).encode()
    assert parse_json(text.encode(), "params") == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [('"\\ud800"', "surrogate"), ('{"\\udfff": 1}', "surrogate"), ('[{"a": ["x\\udc00y"]}]', "surrogate"),
     ('"\\ude00\\ud83d"', "surrogate"), (nested(DEEPEST + 1), "64 levels"), (nested(300), "64 levels"),
     (nested(100_000), "64 levels"), ('{"a":' * 300 + "1" + "}" * 300, "64 levels"), ("{", "is not JSON"),
     (b"\xff", "is not JSON"), ("1" * 5000, "is not JSON")],
    ids=range(11),
)  # fmt: skip
def test_the_rest_is_malformed(text: Any, reason: str) -> None:
    with pytest.raises(MalformedRequestError, match=f"^params: .*{reason}"):
        parse_json(text, "params")


def test_constants_are_taken_where_wanted_only() -> None:
    assert parse_json("[Infinity]", "params") == [float("inf")]
    with pytest.raises(MalformedRequestError):
        parse_json("[NaN]", "body", constants=False)


def test_what_was_stored_before_can_be_answered() -> None:
    value = {"a\ud800": ["x\udfff", 1, None, True, 0.5], "deep": json.loads(nested(300))}
    found = mended(value)
    check_storable(found, "info")
    assert found["a\N{REPLACEMENT CHARACTER}"] == ["x\N{REPLACEMENT CHARACTER}", 1, None, True, 0.5]
    json.dumps(found, ensure_ascii=False).encode()


def test_what_is_whole_stays_as_it_is() -> None:
    value = {"a": [1, {"b": "뇌"}], "c": None}
    assert mended(value) == value
