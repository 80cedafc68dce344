"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from medsynth_app.files import whole_file, whole_folder


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_takes_its_place_only_at_the_end(tmp_path: Path, durable: bool) -> None:
    target = tmp_path / "new" / "a.nii.gz"
    with whole_file(target, durable=durable) as beside:
        beside.write_text("one")
        assert beside.name.endswith(".nii.gz")
        assert not target.exists()
    assert target.read_text() == "one"
    assert [p.name for p in target.parent.iterdir()] == ["a.nii.gz"]


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises(TypeError), whole_file(target) as beside:
        beside.write_text(b"not a text")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_appears_filled(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "case") as beside:
        (beside / "a").write_text("1")
        assert not (tmp_path / "case").exists()
    assert (tmp_path / "case" / "a").read_text() == "1"


def test_a_failed_folder_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError), whole_folder(tmp_path / "case") as beside:
        (beside / "a").write_text(b"not a text")
    assert list(tmp_path.iterdir()) == []
