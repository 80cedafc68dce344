"""``medsynth train``: who may validate."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.provenance.generated_voxels import generated_here
from medsynth_app.imaging.provenance.marking import SyntheticMark, mark_synthetic
from medsynth_app.imaging.studies.cases import find_cases
from medsynth_app.segmentation.training.validation_cases import check_validation_cases


@pytest.fixture
def cases_dir(tmp_path: Path) -> Path:
    generator = np.random.default_rng(77)
    for name in ("real1", "real2", "real3"):
        (tmp_path / name).mkdir()
        for suffix in ("flair", "t1", "t1ce", "t2", "seg"):
            image = nib.Nifti1Image(generator.normal(size=(6, 7, 8)).astype(np.float32), np.eye(4))
            nib.save(image, tmp_path / name / f"{name}_{suffix}.nii.gz")
    return tmp_path


def check(cases_dir: Path, *held_out: str) -> None:
    check_validation_cases(list(find_cases(cases_dir)), set(held_out))


def test_real_cases_validate(cases_dir: Path) -> None:
    check(cases_dir, "real1", "real2")
    check(cases_dir)


def test_one_case_under_two_names_is_refused_by_name(cases_dir: Path) -> None:
    (cases_dir / "copy").mkdir()
    for path in (cases_dir / "real1").iterdir():
        image = sitk.DICOMOrient(sitk.ReadImage(str(path)), "PSR")
        sitk.WriteImage(image, str(cases_dir / "copy" / path.name.replace("real1", "copy")))
    with pytest.raises(InvalidValueError, match="validation: real1 and copy hold the same images"):
        check(cases_dir, "real1")
    check(cases_dir, "real1", "copy")


def test_a_synthetic_case_does_not_validate(cases_dir: Path) -> None:
    path = cases_dir / "real2" / "real2_t2.nii.gz"
    image: Any = nib.load(path)
    array = np.asarray(image.dataobj)
    generated_here().remember([array], SyntheticMark("g", "1", 1))
    with pytest.raises(InvalidValueError, match="validation: real2 are synthetic"):
        check(cases_dir, "real1", "real2")
    check(cases_dir, "real1")
    shutil.copyfile(cases_dir / "real3" / "real3_t2.nii.gz", path)
    image = nib.load(cases_dir / "real3" / "real3_t1.nii.gz")
    mark_synthetic(image, SyntheticMark("g", "1", 1))
    nib.save(image, cases_dir / "real3" / "real3_t1.nii.gz")
    with pytest.raises(InvalidValueError, match="validation: real3 are synthetic"):
        check(cases_dir, "real1", "real3")
