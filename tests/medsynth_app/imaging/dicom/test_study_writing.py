"""Case -> DICOM -> volume: the same voxels in the same places, and what the headers say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.dicom.series_facts import facts_of
from medsynth_app.imaging.dicom.series_reading import read_series
from medsynth_app.imaging.dicom.series_roles import resolve
from medsynth_app.imaging.dicom.study_writing import write_study
from medsynth_app.imaging.geometry import reorient
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.studies.cases import CaseFiles, case_in_folder
from medsynth_app.vocabulary import RESEARCH_NOTICE

SYNTHETIC_DATA = 0x0008001C
ORIENTATIONS = [
    (("L", "P", "S"), ("L", "P", "S")),
    (("R", "A", "S"), ("L", "P", "S")),
    (("L", "A", "S"), ("L", "P", "S")),
    (("A", "S", "R"), ("P", "I", "R")),
    (("P", "I", "L"), ("P", "I", "R")),
    (("R", "S", "A"), ("L", "I", "P")),
    (("S", "L", "P"), ("L", "I", "P")),
]


@pytest.mark.parametrize("oblique", [False, True])
@pytest.mark.parametrize(("axes", "stored"), ORIENTATIONS)
def test_round_trip(
    make_case: Any, tmp_path: Path, axes: tuple[str, str, str], stored: tuple[str, str, str], oblique: bool
) -> None:
    case = make_case(axes=axes, oblique=oblique)
    write_study(case, tmp_path / "out")
    for name, path in case.sequences.items():
        expected = reorient(read_volume(path), stored)
        found = read_series(list((tmp_path / "out").glob(f"{name}_*.dcm")))
        np.testing.assert_array_equal(found.array, expected.array)
        np.testing.assert_allclose(found.affine, expected.affine, atol=1e-4)


def test_itk_reads_the_same(make_case: Any, tmp_path: Path) -> None:
    case = make_case(axes=("R", "A", "S"), oblique=True)
    write_study(case, tmp_path / "out")
    reader = sitk.ImageSeriesReader()
    series = {facts_of(dcmread(p)).description: facts_of(dcmread(p)).uid for p in (tmp_path / "out").glob("*.dcm")}
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "out"), series["T2"]))
    image = reader.Execute()
    expected = reorient(read_volume(case.sequences["t2"]), ("L", "P", "S"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).transpose(2, 1, 0), expected.array[0])
    for index in ((0, 0, 0), (11, 0, 0), (0, 9, 0), (0, 0, 7)):
        place = np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
        np.testing.assert_allclose(place, (expected.affine @ [*index, 1])[:3], atol=1e-3)


@pytest.mark.parametrize(
    ("dtype", "scale", "tolerance"),
    [(np.uint8, 255, 0), (np.uint16, 65535, 0), (np.int16, -3000, 0), (np.int32, 1e6, 1e6 / 65535),
     (np.float32, 0.5, 0.5 / 65535)],
)  # fmt: skip
def test_voxels_of_every_type(
    make_case: Any, tmp_path: Path, dtype: type, scale: float, tolerance: float
) -> None:
    case = make_case(dtype=dtype, scale=scale, sequences=("flair",))
    write_study(case, tmp_path / "out")
    found = read_series(list((tmp_path / "out").glob("*.dcm")))
    np.testing.assert_allclose(found.array, read_volume(case.sequences["flair"]).array, atol=tolerance, rtol=0)


def test_the_headers_of_a_sample_case(repository: Path, tmp_path: Path) -> None:
    case = case_in_folder(repository / "sample-data" / "studies" / "MedSynth_002")
    assert case is not None
    study = write_study(case, tmp_path / "out")
    assert (study.synthetic, study.missing, study.files) == (True, (), 312)
    images = {p.name[:-9]: dcmread(p) for p in (tmp_path / "out").glob("*_0001.dcm")}
    for name, image in images.items():
        assert image.SOPClassUID == "1.2.840.10008.5.1.4.1.1.4"
        assert image[SYNTHETIC_DATA].value == "YES"
        assert image.ImageComments == RESEARCH_NOTICE
        assert image.StudyInstanceUID == study.study_uid
        assert image.SeriesInstanceUID == study.series_uids[name]
        assert len(image.SOPInstanceUID) <= 64
    assert len({image.FrameOfReferenceUID for image in images.values()}) == 1
    found = resolve([facts_of(image) for image in images.values()], study.series_uids["t1"])
    assert {name: facts.uid for name, facts in found.series.items()} == study.series_uids


def test_the_same_case_gives_the_same_uids_and_another_one_others(make_case: Any, tmp_path: Path) -> None:
    case = make_case()
    first, again = (write_study(case, tmp_path / name) for name in ("one", "two"))
    assert first == again
    assert (tmp_path / "one" / "t1_0003.dcm").read_bytes() == (tmp_path / "two" / "t1_0003.dcm").read_bytes()
    other = write_study(CaseFiles("other", case.sequences), tmp_path / "three")
    assert other.study_uid != first.study_uid


def test_patients_are_not_called_synthetic_and_synthetic_can_be_said(make_case: Any, tmp_path: Path) -> None:
    case = make_case(sequences=("t1",))
    assert not write_study(case, tmp_path / "a").synthetic
    assert SYNTHETIC_DATA not in dcmread(tmp_path / "a" / "t1_0001.dcm")
    assert write_study(case, tmp_path / "b", synthetic=True).synthetic
    assert dcmread(tmp_path / "b" / "t1_0001.dcm")[SYNTHETIC_DATA].value == "YES"


def test_what_a_nifti_file_does_not_tell_is_not_made_up(make_case: Any, tmp_path: Path) -> None:
    study = write_study(make_case(sequences=("t1", "t2")), tmp_path / "out")
    image = dcmread(tmp_path / "out" / "t2_0001.dcm")
    assert study.missing == ("flair", "t1ce")
    assert (image.EchoTime, image.RepetitionTime, image.StudyDate, image.ScanningSequence) == (None, None, "", "RM")


def test_a_four_dimensional_file(make_case: Any, tmp_path: Path) -> None:
    case = make_case()
    volume = case.read()
    nib.save(nib.Nifti1Image(np.moveaxis(volume.array, 0, 3), volume.affine), tmp_path / "case.nii.gz")
    study = write_study(CaseFiles("case", combined=tmp_path / "case.nii.gz"), tmp_path / "out")
    assert sorted(study.series_uids) == ["flair", "t1", "t1ce", "t2"]


def test_a_folder_in_use_is_left_alone(make_case: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(InvalidValueError, match="'out' exists and is not an empty folder"):
        write_study(make_case(), tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]


def test_a_sheared_grid_is_refused_and_leaves_nothing(make_case: Any, tmp_path: Path) -> None:
    case = make_case(sequences=("t1",))
    image = nib.load(case.sequences["t1"])
    affine = image.affine.copy()
    affine[0, 2] = 0.5
    nib.save(nib.Nifti1Image(image.get_fdata(), affine), case.sequences["t1"])
    with pytest.raises(InvalidValueError, match=r"case (Modality\.T1|t1): .*sheared"):
        write_study(case, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_case_without_sequences_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="empty: holds no sequence"):
        write_study(CaseFiles("empty"), tmp_path / "out")
