"""A user's DICOM folder: series are told apart by their UID, wherever their files lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.cases import find_cases
from medsynth_app.imaging.dicom.study_writing import write_study
from medsynth_app.synthesis.volume_data import find_volumes, read_cubes


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
