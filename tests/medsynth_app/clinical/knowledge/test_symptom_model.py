"""Symptom records and their seed file."""

from __future__ import annotations

from pathlib import Path

import pytest

from medsynth_app.clinical.knowledge.symptom_model import (
    LateralityRule,
    ReportedSide,
    ReportedSymptom,
    SymptomDefinition,
    SymptomKind,
    SymptomState,
    load_symptom_definitions,
)
from medsynth_app.errors import InvalidValueError

HEADER = "id,strength,kind,laterality_rule,side_asked,regions,region_side_override\n"
ARM = "arm_weakness,0.75,deficit,contralateral,body,M1_HAND:0.6;CBL_HEM:0.4,CBL_HEM=ipsilateral\n"


def _file(folder: Path, text: str) -> Path:
    path = folder / "symptoms.csv"
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_seed_file_is_read(tmp_path: Path) -> None:
    definitions = load_symptom_definitions(_file(tmp_path, HEADER + ARM))
    arm = definitions["arm_weakness"]
    assert arm.regions == {"M1_HAND": 0.6, "CBL_HEM": 0.4}
    assert arm.region_side_override == {"CBL_HEM": LateralityRule.IPSILATERAL}
    assert arm.localises
    assert arm.needs_side
    assert not arm.depends_on_dominance


def test_a_remark_in_side_asked_is_dropped(tmp_path: Path) -> None:
    row = "dysphonia,0.35,deficit,ipsilateral,none (needs laryngoscopy),MEDULLA:1,\n"
    assert load_symptom_definitions(_file(tmp_path, HEADER + row))["dysphonia"].side_asked == "none"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ARM + ARM, "line 3: symptom 'arm_weakness' appears twice"),
        (ARM.replace("deficit", "odd"), "line 2: kind is 'odd'; allowed: deficit, irritative"),
        (ARM.replace("contralateral", "left"), "line 2: laterality_rule is 'left'"),
        (ARM.replace(":0.6", ":0"), "weight of region 'M1_HAND' in symptom 'arm_weakness' is 0.0"),
        (ARM.replace("0.75", "1.5"), "strength of symptom 'arm_weakness' is 1.5; allowed: 0 to 1"),
        (ARM.replace("0.75", "much"), "line 2: could not convert"),
        (ARM.replace("CBL_HEM=", "PONS="), r"names \['PONS'\], which are not among"),
        (ARM.replace("M1_HAND:0.6", "M1_HAND"), "line 2: 'M1_HAND' has no ':'"),
    ],
)
def test_bad_rows_are_refused(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        load_symptom_definitions(_file(tmp_path, HEADER + row))


def test_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="lacks the column 'strength'"):
        load_symptom_definitions(_file(tmp_path, "id,kind,region_side_override\na,icp,\n"))


@pytest.mark.parametrize(
    ("kind", "strength", "regions", "localises"),
    [
        (SymptomKind.DEFICIT, 0.5, {"PONS": 1.0}, True),
        (SymptomKind.ICP, 0.5, {"PONS": 1.0}, False),
        (SymptomKind.DEFICIT, 0.0, {"PONS": 1.0}, False),
        (SymptomKind.DEFICIT, 0.5, {}, False),
    ],
)
def test_what_localises(
    kind: SymptomKind, strength: float, regions: dict[str, float], localises: bool
) -> None:
    definition = SymptomDefinition("x", strength, kind, LateralityRule.NON_LATERALISING, "none", regions)
    assert definition.localises is localises


def test_words_become_members_and_wrong_words_are_refused() -> None:
    answer = ReportedSymptom("x", "denied", "left")  # type: ignore[arg-type]
    assert (answer.state, answer.side) == (SymptomState.DENIED, ReportedSide.LEFT)
    with pytest.raises(InvalidValueError, match="side of symptom 'x' is 'up'; allowed: left, right"):
        ReportedSymptom("x", SymptomState.PRESENT, "up")  # type: ignore[arg-type]
