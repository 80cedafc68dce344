"""A NIfTI file is opened only after what its header claims has been held against bounds."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.errors import MedSynthError, TooLargeError, UnsupportedKindError
from medsynth_app.imaging.formats.nifti_file import open_nifti
from medsynth_app.imaging.provenance.marking import is_marked_synthetic, mark_of_file
from medsynth_app.imaging.reading import read_volume

SHAPE = (4, 5, 6)


def nifti(*, extension: bytes | None = None, second: bool = False) -> bytearray:
    kind = nib.Nifti2Image if second else nib.Nifti1Image
    image = kind(np.arange(120, dtype=np.int16).reshape(SHAPE), np.diag([2.0, 2, 2, 1]))
    if extension is not None:
        image.header.extensions.append(nib.nifti1.Nifti1Extension(6, extension))
    return bytearray(image.to_bytes())


def write(folder: Path, content: bytes | bytearray, name: str = "a.nii.gz") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(bytes(content)) if name.endswith(".gz") else bytes(content))
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ"])
@pytest.mark.parametrize("second", [False, True])
def test_honest_files_are_opened(tmp_path: Path, name: str, second: bool) -> None:
    path = tmp_path / name
    raw = bytes(nifti(extension=b"a note", second=second))
    path.write_bytes(gzip.compress(raw) if name.lower().endswith(".gz") else raw)
    image = open_nifti(path, "a")
    np.testing.assert_array_equal(np.asarray(image.dataobj).ravel(), np.arange(120))
    assert image.header.extensions[0].get_content().rstrip(b"\0") == b"a note"


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("size", [-1, 0, 7, 12, 2**31 - 1, -(2**31)])
def test_an_extension_does_not_claim_more_than_there_is(tmp_path: Path, name: str, size: int) -> None:
    """nibabel reads as many bytes as the extension says: 2 MB of gzip would stand for 2 GB of memory."""
    raw = nifti(extension=b"a note")
    struct.pack_into("<i", raw, 352, size)
    path = write(tmp_path, raw + bytes(64 << 20), name)
    tracemalloc.start()
    with pytest.raises(UnsupportedKindError, match="extension"):
        read_volume(path, "label")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    assert not is_marked_synthetic(path)
    assert mark_of_file(path) is None


@pytest.mark.parametrize("offset", [1e30, -1.0, float("nan"), float("inf"), 100.0, 1e9, 352.5])
def test_voxels_begin_where_they_can(tmp_path: Path, offset: float) -> None:
    raw = nifti()
    struct.pack_into("<f", raw, 108, offset)
    with pytest.raises(UnsupportedKindError, match="voxels begin"):
        read_volume(write(tmp_path, raw), "label")


def test_a_header_without_its_voxels_is_refused(tmp_path: Path) -> None:
    """``ni1``: the voxels are in another file of the same stem."""
    raw = nifti()
    raw[344:348] = b"ni1\0"
    write(tmp_path, bytes(4096), "a.img")
    for name in ("a.nii", "a.nii.gz"):
        with pytest.raises(UnsupportedKindError, match="another file"):
            read_volume(write(tmp_path, raw, name), "label")


def test_a_file_of_gigabytes_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    raw = nifti()
    struct.pack_into("<8h", raw, 40, 3, 1000, 1000, 1000, 1, 1, 1, 1)
    struct.pack_into("<2h", raw, 70, 64, 64)
    with pytest.raises(TooLargeError, match="4096 MB"):
        read_volume(write(tmp_path, raw), "label")


NOT_NIFTI = [b"", b"x" * 1000, bytes(1000), bytes(nifti())[:200], bytes(nifti()).replace(b"n+1", b"abc")]


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("content", NOT_NIFTI)
def test_what_is_no_nifti_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(MedSynthError) as caught:
        read_volume(write(tmp_path, content, name), "label")
    assert caught.value.status == 415


def test_xml_inside_a_cifti_file_is_not_parsed(tmp_path: Path) -> None:
    """nibabel takes a NIfTI-2 file with a CIFTI extension for a surface file and parses its XML."""
    raw = nifti(extension=b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", second=True)
    struct.pack_into("<i", raw, 548, 32)
    struct.pack_into("<i", raw, 504, 3006)
    np.testing.assert_array_equal(read_volume(write(tmp_path, raw), "label").array.ravel()[:3], [0, 1, 2])
