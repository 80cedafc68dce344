"""A case keeps its side of the split for ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lib.trainers.validation_split import fixed_validation

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
