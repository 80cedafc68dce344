"""Uploads lie in a folder of their own that is gone afterwards."""

from __future__ import annotations

import gzip
import io
import tempfile
from pathlib import Path

import pytest
from fastapi import UploadFile

from medsynth_app.api.uploads import UploadLimits, accepted_ending, received
from medsynth_app.errors import TooLargeError, UnsupportedKindError

PACKED = gzip.compress(b"abc")
LIMITS = UploadLimits(maximum_upload_mb=1, maximum_volume_mb=2)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def upload(content: bytes, name: str | None = "x.nii.gz") -> UploadFile:
    return UploadFile(io.BytesIO(content), filename=name)


def test_upload_is_there_inside_and_gone_outside(temporary: Path) -> None:
    with received(upload(PACKED), LIMITS) as path:
        assert path.read_bytes() == PACKED
        assert path.name == "upload.nii.gz"
    assert list(temporary.iterdir()) == []


def test_upload_is_gone_after_an_error(temporary: Path) -> None:
    with pytest.raises(ValueError, match="inside"), received(upload(PACKED), LIMITS):
        raise ValueError("inside")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("size", [(1 << 20) + 1, 3 << 20])
def test_too_many_bytes_are_refused_and_removed(temporary: Path, size: int) -> None:
    too_large = pytest.raises(TooLargeError, match="label: larger than the allowed 1 MB")
    with too_large, received(upload(bytes(size)), LIMITS, "label"):
        pytest.fail("it was too large")
    assert list(temporary.iterdir()) == []


def test_what_becomes_too_large_is_refused_and_removed(temporary: Path) -> None:
    too_large = pytest.raises(TooLargeError, match="label: becomes larger than 2 MB")
    with too_large, received(upload(gzip.compress(bytes(3 << 20))), LIMITS, "label"):
        pytest.fail("it was a bomb")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a.nii", ".nii"),
        ("A.NII.GZ", ".nii.gz"),
        ("a.b.c.nii.gz", ".nii.gz"),
        ("a.seg.nrrd", ".seg.nrrd"),
        ("a.nrrd", ".nrrd"),
        ("../../a.png", ".png"),
        ("/tmp/x/a.jpeg", ".jpeg"),
        ("w.safetensors", ".safetensors"),
    ],
)
def test_only_the_known_ending_of_a_name_is_used(name: str, ending: str) -> None:
    assert accepted_ending(name, "file") == ending


@pytest.mark.parametrize(
    "name", ["a", "a.py", "a.nii.gz.py", "nii", "a.dcm", "a.nii.gz/../b.sh", "a.pt", "a.nii "]
)
def test_unknown_endings_are_refused(name: str) -> None:
    with pytest.raises(UnsupportedKindError, match="label: .* unknown kind, allowed are"):
        accepted_ending(name, "label")
