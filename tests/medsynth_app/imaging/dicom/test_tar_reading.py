"""A DICOM folder that came as a tar file: images laid out under numbers, nothing else used of it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medsynth_app.errors import InvalidValueError, MedSynthError, TooLargeError, UnsupportedKindError
from medsynth_app.imaging.dicom.study_writing import write_study
from medsynth_app.imaging.dicom.tar_reading import lay_out_dicom
from medsynth_app.imaging.studies.cases import CaseFiles


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The DICOM files of one small series."""
    import nibabel as nib

    folder = tmp_path_factory.mktemp("images")
    path = folder / "x_flair.nii.gz"
    nib.save(nib.Nifti1Image(np.arange(8 * 8 * 6, dtype=np.int16).reshape(8, 8, 6), np.eye(4)), path)
    write_study(CaseFiles("x", {"flair": path}), folder / "study")
    return sorted((folder / "study").rglob("*.dcm"))


def packed(path: Path, members: dict[str, bytes], **more: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in more.values():
            archive.addfile(info)
    return path


def test_images_are_numbered_and_other_files_passed_over(images: list[Path], tmp_path: Path) -> None:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members = {"../../out.dcm": images[0].read_bytes(), "DICOM/" + "long" * 60: images[1].read_bytes(), "a.txt": b"no"}
    archive = packed(tmp_path / "a.tar", members, link=link)
    target = tmp_path / "laid"
    target.mkdir()
    assert lay_out_dicom(archive, target, "dicom", 1 << 20) == 2
    assert sorted(path.name for path in target.iterdir()) == ["00001.dcm", "00002.dcm"]
    assert (target / "00001.dcm").read_bytes() == images[0].read_bytes()
    assert not (tmp_path.parent / "out.dcm").exists()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"no tar file at all", UnsupportedKindError),
        (b"\x1f\x8b" + bytes(600), UnsupportedKindError),
        (bytes(1024), InvalidValueError),
    ],
)
def test_what_is_no_tar_of_dicom_is_refused(content: bytes, error: type[MedSynthError], tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(error, match="dicom: "):
        lay_out_dicom(tmp_path / "a.tar", tmp_path, "dicom", 1 << 20)


def test_one_that_ends_too_early_is_refused(images: list[Path], tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.tar", {"a": images[0].read_bytes()})
    archive.write_bytes(archive.read_bytes()[:900])
    with pytest.raises(UnsupportedKindError, match="ends too early"):
        lay_out_dicom(archive, tmp_path, "dicom", 1 << 20)


def test_images_that_become_too_large_are_refused(images: list[Path], tmp_path: Path) -> None:
    image = dcmread(images[0])
    image.Rows, image.Columns = 30_000, 30_000
    image.save_as(tmp_path / "large.dcm")
    archive = packed(tmp_path / "a.tar", {"a": (tmp_path / "large.dcm").read_bytes()})
    with pytest.raises(TooLargeError, match="larger than 64 MB"):
        lay_out_dicom(archive, tmp_path, "dicom", 64 << 20)


def test_deflated_images_are_refused(images: list[Path], tmp_path: Path) -> None:
    image = dcmread(images[0])
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    image.save_as(tmp_path / "deflated.dcm")
    archive = packed(tmp_path / "a.tar", {"a": (tmp_path / "deflated.dcm").read_bytes()})
    with pytest.raises(UnsupportedKindError, match="deflated"):
        lay_out_dicom(archive, tmp_path, "dicom", 1 << 20)
