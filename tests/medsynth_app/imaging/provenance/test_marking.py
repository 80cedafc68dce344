"""Marks of synthetic NIfTI files."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.provenance.marking import (
    EXTENSION_CODE,
    MARK_KEY,
    SyntheticMark,
    is_marked_synthetic,
    is_synthetic,
    mark_of_file,
    mark_synthetic,
    read_mark,
    synthetic_nifti,
)

AFFINE = np.array([[-1.0, 0, 0, 0], [0, -1.0, 0, 239], [0, 0, 1.0, 0], [0, 0, 0, 1]])
MARK = SyntheticMark("tumor_case_synthesis", "0.1.0", 7, {"volume_ml": 60.0, "site": None})


@pytest.fixture
def image() -> nib.Nifti1Image:
    return synthetic_nifti(np.arange(60, dtype=np.uint8).reshape(3, 4, 5), AFFINE, MARK)


def test_mark_survives_a_file(image: nib.Nifti1Image, tmp_path: Path) -> None:
    nib.save(image, tmp_path / "a.nii.gz")
    back = nib.load(tmp_path / "a.nii.gz")
    assert is_synthetic(back)
    assert read_mark(back) == MARK.as_dict()
    assert mark_of_file(tmp_path / "a.nii.gz") == MARK
    assert back.header["descrip"].item() == b"SYNTHETIC MedSynth 0.1.0 tumor_case_synthesis seed=7"


def test_mark_survives_a_rewrite_by_simpleitk(image: nib.Nifti1Image, tmp_path: Path) -> None:
    import SimpleITK as sitk

    nib.save(image, tmp_path / "a.nii.gz")
    sitk.WriteImage(sitk.ReadImage(str(tmp_path / "a.nii.gz")), str(tmp_path / "b.nii.gz"))
    assert is_synthetic(nib.load(tmp_path / "b.nii.gz"))
    assert mark_of_file(tmp_path / "b.nii.gz") == SyntheticMark(MARK.generator, MARK.version, MARK.seed)


@pytest.mark.parametrize(
    ("descrip", "found"),
    [
        (b"SYNTHETIC by another program", SyntheticMark("unknown", "unknown", 0)),
        (SyntheticMark("g" * 80, "0.1.0", 7).short_text.encode(), SyntheticMark("unknown", "unknown", 0)),
        (b"TE=3.2 a patient", None),
    ],
)
def test_what_is_derived_from_a_synthetic_image_is_synthetic_whoever_made_it(
    tmp_path: Path, descrip: bytes, found: SyntheticMark | None
) -> None:
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
    image.header["descrip"] = descrip
    nib.save(image, tmp_path / "x.nii.gz")
    assert mark_of_file(tmp_path / "x.nii.gz") == found


def test_header_places_the_image_alike_for_every_reader(image: nib.Nifti1Image) -> None:
    (sform, sform_code), (qform, qform_code) = image.get_sform(coded=True), image.get_qform(coded=True)
    np.testing.assert_allclose(sform, AFFINE)
    np.testing.assert_allclose(qform, AFFINE)
    assert (int(sform_code), int(qform_code)) == (1, 1)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_a_new_mark_replaces_the_old_one_and_keeps_other_extensions(image: nib.Nifti1Image) -> None:
    image.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"a comment"))
    mark_synthetic(image, SyntheticMark("other", "0.2.0", 8))
    assert len(image.header.extensions) == 2
    assert read_mark(image)["generator"] == "other"


def test_an_ordinary_image_is_not_synthetic() -> None:
    plain = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
    plain.header["descrip"] = b"TE=3.2 a patient"
    plain.header.extensions.append(nib.nifti1.Nifti1Extension(6, b'{"a": 1}'))
    assert not is_synthetic(plain)
    assert read_mark(plain) is None


def test_long_names_fit_the_header_field() -> None:
    assert len(SyntheticMark("g" * 200, "0.1.0", 2**62).short_text) == 79


def test_generator_name_is_one_word() -> None:
    with pytest.raises(InvalidValueError, match="generator: 'two words'"):
        SyntheticMark("two words", "0.1.0", 1)


@pytest.mark.parametrize(
    "record",
    [{"seed": 1}, {"generator": "two words", "version": "1", "seed": 1}, {"generator": 7, "version": "1", "seed": 1},
     {"generator": "x", "version": "1", "seed": 1, "conditions": 3}],
)  # fmt: skip
def test_a_record_that_somebody_made_up_is_no_mark_and_no_defect(tmp_path: Path, record: dict[str, Any]) -> None:
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
    text = json.dumps({MARK_KEY: record}).encode()
    image.header.extensions.append(nib.nifti1.Nifti1Extension(EXTENSION_CODE, text))
    nib.save(image, tmp_path / "x.nii.gz")
    assert mark_of_file(tmp_path / "x.nii.gz") is None


# ---- what other tools keep ----


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    array = np.random.default_rng(0).random((6, 7, 8)).astype(np.float32)
    nib.save(synthetic_nifti(array, np.diag([1.0, 2.0, 3.0, 1.0]), SyntheticMark("g", "1.2", 3)), tmp_path / "a.nii.gz")
    return tmp_path / "a.nii.gz"


@pytest.mark.parametrize("ending", [".nrrd", ".nii", ".nii.gz"])
def test_the_mark_survives_simpleitk(marked: Path, tmp_path: Path, ending: str) -> None:
    import SimpleITK as sitk  # noqa: PLC0415 - slow

    again = tmp_path / f"again{ending}"
    sitk.WriteImage(sitk.ReadImage(str(marked)), str(again))
    assert is_marked_synthetic(again)
    found = mark_of_file(again)
    assert found is not None
    assert (found.generator, found.version, found.seed) == ("g", "1.2", 3)


def test_the_mark_of_our_own_nrrd_survives_as_nifti(tmp_path: Path) -> None:
    import SimpleITK as sitk  # noqa: PLC0415 - slow

    from medsynth_app.synthesis.writing import write_volume  # noqa: PLC0415

    array = np.random.default_rng(0).random((1, 6, 7, 8)).astype(np.float32)
    write_volume(array, np.eye(4), SyntheticMark("g", "1.2", 3, {"a": 1}), tmp_path / "a.nrrd")
    found = mark_of_file(tmp_path / "a.nrrd")
    assert found is not None
    assert found.conditions == {"a": 1}
    sitk.WriteImage(sitk.ReadImage(str(tmp_path / "a.nrrd")), str(tmp_path / "b.nii"))
    assert is_marked_synthetic(tmp_path / "b.nii")


@pytest.mark.parametrize("field", ["descrip", "aux_file", "intent_name", "db_name"])
def test_a_mark_in_any_text_field_counts(tmp_path: Path, field: str) -> None:
    image = nib.Nifti1Image(np.zeros((3, 3, 3), np.float32), np.eye(4))
    image.header[field] = b"SYNTHETIC x"
    nib.save(image, tmp_path / "a.nii")
    assert is_marked_synthetic(tmp_path / "a.nii")
    assert mark_of_file(tmp_path / "a.nii") is not None


@pytest.mark.parametrize(
    ("line", "synthetic"),
    [
        (b"descrip:=SYNTHETIC MedSynth 1.0 g seed=1", True),
        (b"any key:= SYNTHETIC", True),
        (b"medsynth_synthetic:=not json", True),
        (b"medsynth_synthetic:={\"generator\": 1}", True),
        (b"note:=not SYNTHETIC", False),
        (b"# SYNTHETIC", False),
    ],
)
def test_key_value_pairs_of_an_nrrd(tmp_path: Path, line: bytes, synthetic: bool) -> None:
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\ntype: float\n" + line + b"\nsizes: 1 1 1\n\nx:=SYNTHETIC")
    assert is_marked_synthetic(tmp_path / "a.nrrd") is synthetic
    assert (mark_of_file(tmp_path / "a.nrrd") is not None) is synthetic
