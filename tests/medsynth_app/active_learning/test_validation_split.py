"""A case keeps its side of the split for ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medsynth_app.active_learning.validation_split import fixed_validation

NAMES = [f"case_{number:03d}" for number in range(40)]


def test_share_is_kept_and_the_choice_does_not_follow_the_names(tmp_path: Path) -> None:
    kept = fixed_validation(tmp_path / "v.json", NAMES, 0.25)
    assert len(kept) == 10
    assert kept != set(NAMES[:10])
    assert kept == fixed_validation(tmp_path / "other.json", NAMES[::-1], 0.25)


def test_no_case_ever_changes_sides_as_cases_come(tmp_path: Path) -> None:
    sides: dict[str, bool] = {}
    for count in (1, 4, 5, 9, 20, 21, 40):
        kept = fixed_validation(tmp_path / "v.json", NAMES[:count], 0.2)
        assert len(kept) <= count * 0.2
        for name in NAMES[:count]:
            assert sides.setdefault(name, name in kept) == (name in kept)
    assert sum(sides.values()) == 8


def test_case_that_is_away_keeps_its_side(tmp_path: Path) -> None:
    kept = fixed_validation(tmp_path / "v.json", NAMES, 0.2)
    away = sorted(kept)[0]
    assert away not in fixed_validation(tmp_path / "v.json", [n for n in NAMES if n != away], 0.2)
    assert fixed_validation(tmp_path / "v.json", NAMES, 0.2) == kept


def test_another_share_later_moves_nobody(tmp_path: Path) -> None:
    kept = fixed_validation(tmp_path / "v.json", NAMES, 0.2)
    assert fixed_validation(tmp_path / "v.json", NAMES, 0.5) == kept
    assert fixed_validation(tmp_path / "v.json", NAMES, 0.0) == set()
    assert fixed_validation(tmp_path / "v.json", NAMES, 0.2) == kept


def test_no_validation_decides_nothing(tmp_path: Path) -> None:
    assert fixed_validation(tmp_path / "v.json", NAMES, 0.0) == set()
    assert not (tmp_path / "v.json").exists()


@pytest.mark.parametrize("content", ["", "{", "[1]", "3"])
def test_broken_file_is_chosen_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "v.json").write_text(content)
    kept = fixed_validation(tmp_path / "v.json", NAMES, 0.2)
    assert len(kept) == 8
    assert json.loads((tmp_path / "v.json").read_text()) == {name: name in kept for name in NAMES}


def test_two_names_of_one_case_have_one_role(tmp_path: Path) -> None:
    names = [f"case {n}" for n in range(20)]
    same = {name: names[n // 2] if n % 2 == 0 else names[(n - 1) // 2] for n, name in enumerate(names)}
    kept = fixed_validation(tmp_path / "roles.json", names, 0.5, same)
    assert 8 <= len(kept) <= 12
    for name in names:
        assert {other in kept for other in names if same[other] == same[name]} == {name in kept}


def test_another_name_of_a_training_case_that_comes_later_trains(tmp_path: Path) -> None:
    file = tmp_path / "roles.json"
    names = [f"case {n}" for n in range(10)]
    kept = fixed_validation(file, names, 0.5)
    for name in names:
        copy = f"{name} copy"
        assert (copy in fixed_validation(file, [*names, copy], 0.9, {copy: name})) == (name in kept)


def test_a_validation_case_found_to_be_a_training_case_validates_no_more(tmp_path: Path) -> None:
    file = tmp_path / "roles.json"
    file.write_text('{"a": true, "b": false, "c": true}')
    assert fixed_validation(file, ["a", "b", "c"], 0.5, {"a": "a", "b": "a"}) == {"c"}
    assert fixed_validation(file, ["a", "b", "c"], 0.5) == {"c"}, "it is noted"
