"""The table of what was generated, and cases that hold the same images."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.imaging.provenance.generated_voxels import GeneratedVoxels, generated_here
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.imaging.provenance.same_images import case_digests, file_digests, same_examination
from medsynth_app.imaging.provenance.voxel_digest import voxel_digest
from medsynth_app.imaging.studies.cases import case_in_folder

MARK = SyntheticMark("tumor_case_synthesis", "1.2", 2**70)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(6, 7, 8)).astype(np.float32)


@pytest.fixture
def table(tmp_path: Path) -> GeneratedVoxels:
    return GeneratedVoxels(tmp_path / "own" / "generated.db")


def test_what_was_generated_is_known_with_its_origin(table: GeneratedVoxels) -> None:
    assert table.is_empty()
    assert table.find([voxel_digest(noise(0))]) is None
    table.remember([noise(0), noise(1), np.zeros((3, 3, 3))], MARK)
    table.remember([noise(0)], MARK)
    assert not table.is_empty()
    found = table.find([voxel_digest(noise(2)), voxel_digest(noise(1))])
    assert found == SyntheticMark("tumor_case_synthesis", "1.2", 2**70)
    assert table.find([voxel_digest(noise(2)), ""]) is None


def _fill(path: Path, first: int) -> None:
    for seed in range(first, first + 10):
        GeneratedVoxels(path).remember([noise(seed)], MARK)


def test_several_processes_write_at_once(table: GeneratedVoxels) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_fill, args=(table.path, first)) for first in (0, 10, 20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(table.find([voxel_digest(noise(seed))]) for seed in range(30))


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000])
def test_a_table_that_is_broken_stops_nobody(table: GeneratedVoxels, content: bytes, caplog: Any) -> None:
    table.path.parent.mkdir()
    table.path.write_bytes(content)
    assert table.find([voxel_digest(noise(0))]) is None
    assert "cannot be read" in caplog.text
    table.remember([noise(0)], MARK)
    assert content == b"" or "not noted" in caplog.text


def test_the_file_is_the_users_or_the_one_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDSYNTH_GENERATED")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert generated_here().path == tmp_path / "medsynth" / "generated.db"
    monkeypatch.setenv("MEDSYNTH_GENERATED", str(tmp_path / "x.db"))
    assert generated_here().path == tmp_path / "x.db"


def test_cases_that_share_an_image_are_one_examination() -> None:
    digests = {"a": ["1", "2"], "b": ["3"], "c": ["3", "4"], "d": [], "e": ["5", "2"], "f": ["4", "6"], "g": []}
    assert same_examination(digests) == {"a": "a", "b": "b", "c": "b", "d": "d", "e": "a", "f": "b", "g": "g"}


def test_a_file_is_read_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.nii"
    nib.save(nib.Nifti1Image(noise(0), np.eye(4)), path)
    assert file_digests(path) == (voxel_digest(noise(0)),)
    nib.save(nib.Nifti1Image(np.concatenate([noise(1)] * 2), np.eye(4)), path)
    assert file_digests(path) == (voxel_digest(np.concatenate([noise(1)] * 2)),)


def test_one_bad_file_costs_only_itself(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    for seed, name in enumerate(("flair", "t1", "t1ce", "t2")):
        nib.save(nib.Nifti1Image(noise(seed), np.eye(4)), folder / f"a_{name}.nii.gz")
    whole = case_digests(case_in_folder(folder))  # type: ignore[arg-type]
    assert len(set(whole)) == 4
    shutil.copyfile(__file__, folder / "a_t2.nii.gz")
    assert case_digests(case_in_folder(folder)) == whole[:-1]  # type: ignore[arg-type]
