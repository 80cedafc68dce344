"""``medsynth cross-check``: how answers are written on a command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from medsynth_app.cli import application
from medsynth_app.commands.cross_check import parse_symptom
from medsynth_app.errors import InvalidValueError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("headache", {"symptom": "headache", "answer": "yes"}),
        ("arm_weakness=left", {"symptom": "arm_weakness", "answer": "yes", "side": "left"}),
        ("headache=no", {"symptom": "headache", "answer": "no"}),
        ("arm_weakness=right,sudden", {"symptom": "arm_weakness", "answer": "yes", "side": "right", "onset": "sudden"}),
    ],
)
def test_answers_are_read(text: str, expected: dict[str, Any]) -> None:
    assert parse_symptom(text) == expected


@pytest.mark.parametrize("text", ["", "arm weakness", "arm_weakness=up", "arm_weakness=left;no", "=left"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="--symptom: "):
        parse_symptom(text)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["--symptom", "arm_weaknes"], "nearest are arm_weakness"), (["--lang", "fr"], "--lang"), ([], "is no case")],
)
def test_what_is_wrong_is_said(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    database = ["--database", str(tmp_path / "clinical.db")]
    outcome = CliRunner().invoke(application, ["cross-check", str(tmp_path / "nothing"), *database, *arguments])
    assert isinstance(outcome.exception, InvalidValueError)
    assert complaint in outcome.exception.message


def test_hospitals_are_imported_and_found(tmp_path: Path) -> None:
    file = tmp_path / "hospitals.csv"
    file.write_text("name,lat,lon,services\nAlpha,37.5,127.0,awake_mapping\nBeta,127.0,37.5,\n", encoding="utf-8")
    database = ["--database", str(tmp_path / "clinical.db")]
    runner = CliRunner()
    arguments = ["hospitals", "import", str(file), "--source", "test", "--licence", "none", "--country", "KR"]
    imported = runner.invoke(application, [*arguments, *database])
    assert imported.exit_code == 0, imported.output
    assert "1 hospitals of test taken" in imported.output
    assert "row 3: coordinates_swapped" in imported.output
    result = tmp_path / "found.json"
    place = ["--region", "BROCA", "--lat", "37.5", "--lon", "127", "--limit", "100", "--json", str(result)]
    found = runner.invoke(application, ["hospitals", "find", *place, *database])
    assert found.exit_code == 0, found.output
    rows = {row["hospital"]["name"]: row for row in json.loads(result.read_text())["hospitals"]}
    assert rows["Alpha"]["distance_km"] == 0.0
    assert "awake_mapping" in rows["Alpha"]["offered"]
