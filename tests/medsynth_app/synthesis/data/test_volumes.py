"""Volumes to learn from: DICOM series are told apart by their UID, and a head CT loses its table and face."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.dicom.study_writing import write_study
from medsynth_app.imaging.studies.cases import find_cases
from medsynth_app.synthesis.data.volumes import find_volumes, read_cubes


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory, build: Any) -> Path:
    """Two studies of four series, all images of a study in one folder, and a synthetic third one."""
    root = tmp_path_factory.mktemp("dicom")
    for number in range(3):
        build.write_case(root / "nifti", f"case_{number}")
    for number, case in enumerate(find_cases(root / "nifti")):
        write_study(case, root / "studies" / f"patient_{number}", synthetic=number == 2)
    return root / "studies"


def test_every_series_of_a_folder_is_a_volume_and_synthetic_ones_are_left_out(studies: Path) -> None:
    found = find_volumes(studies)
    assert [volume.name for volume in found] == [
        f"patient_{number} {words}" for number in (0, 1) for words in ("FLAIR", "T1", "T1 contrast-enhanced", "T2")
    ]


@pytest.mark.parametrize("sequence", ["flair", "t1ce"])
def test_one_sequence_is_chosen_by_what_the_series_says(studies: Path, sequence: str) -> None:
    found = find_volumes(studies, sequence)
    assert len(found) == 2
    cubes = read_cubes(found, 16, "mri_brain")
    assert cubes.array.shape == (2, 1, 16, 16, 16)
    assert np.ptp(cubes.array) == pytest.approx(1.0, abs=0.01)
    assert cubes.spacings[0] == pytest.approx(52 / 16, rel=0.1)
    assert cubes.sequences == (sequence, sequence)
    assert cubes.kinds == (), "nothing to choose from"


def test_the_sequences_of_a_folder_are_kinds_that_can_be_asked_for(studies: Path) -> None:
    assert read_cubes(find_volumes(studies), 16, "mri_brain").kinds == ("flair", "t1", "t1ce", "t2")


def test_a_sequence_that_no_series_has_is_told(studies: Path) -> None:
    with pytest.raises(InvalidValueError, match="holds 0 volumes of the sequence 'dwi'"):
        find_volumes(studies, "dwi")


def test_a_head_ct_is_brought_without_table_and_face(tmp_path: Path) -> None:
    """A ball of soft tissue in a shell of bone, a nose, and a thin table behind it; voxels of 2 mm, superior last."""
    x, y, z = np.mgrid[0:100, 0:110, 0:100]
    radius = np.hypot(np.hypot(x - 50, y - 55), z - 55)
    hu = np.where(radius < 38, 40, np.where(radius < 41, 900, -1000))
    hu[47:54, 90:104, 20:34] = 60  # the nose
    hu[:, 3:4, :] = 500  # the table
    nib.save(nib.Nifti1Image(hu.astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0])), tmp_path / "head.nii.gz")
    script = Path(__file__).resolve().parents[4] / "examples" / "prepare_head_ct.py"
    made = tmp_path / "out" / "head.nii.gz"
    subprocess.run(
        [sys.executable, script, tmp_path / "head.nii.gz", made, "--top-mm", "100"], check=True, capture_output=True
    )
    kept = np.asarray(nib.load(made).dataobj)  # type: ignore[attr-defined]
    assert (kept[50, 55, 50:90] == 40).all(), "the inside is as it was"
    assert (kept[:, 3] == -1000).all(), "no table"
    assert (kept[:, :, :45] == -1000).all(), "nothing below the cut"
    assert 48 <= kept.max(axis=(0, 1)).tolist().count(900) <= 51
