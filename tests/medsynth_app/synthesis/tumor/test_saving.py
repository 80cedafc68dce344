"""A case on disk: complete, marked, whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError, StaleError
from medsynth_app.imaging.provenance.marking import read_mark
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.studies.cases import case_in_folder
from medsynth_app.synthesis.tumor import saving
from medsynth_app.synthesis.tumor.generator import TumorCase
from medsynth_app.synthesis.tumor.saving import save_tumor_case

MakeCase = Callable[..., TumorCase]


def test_saved_case_reads_back(make_case: MakeCase, tmp_path: Path) -> None:
    case = make_case()
    files = case_in_folder(save_tumor_case(case, tmp_path, "synthetic-4"))
    volume = files.read()
    np.testing.assert_array_equal(volume.array, case.images.array)
    np.testing.assert_allclose(volume.affine, case.images.affine, atol=1e-4)
    np.testing.assert_array_equal(read_volume(files.label).array[0], case.label)
    assert read_mark(nib.load(files.label))["conditions"] == case.conditions
    assert [path.name for path in tmp_path.iterdir()] == ["synthetic-4"]


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 101])
def test_names_that_could_escape_are_refused(make_case: MakeCase, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidValueError, match="name: "):
        save_tumor_case(make_case(), tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_an_existing_case_is_not_touched(make_case: MakeCase, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(StaleError, match="name: a case 'a' exists already"):
        save_tumor_case(make_case(), tmp_path, "a")


def test_a_failure_leaves_nothing_behind(
    make_case: MakeCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(saving.nib, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_tumor_case(make_case(), tmp_path, "a")
    assert not list(tmp_path.iterdir())
