"""Bombs: small files that become large, refused before they do."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError, TooLargeError
from medsynth_app.imaging.formats.expanded_size import check_expanded_size

LIMIT = 1 << 20


def nrrd(path: Path, **fields: object) -> Path:
    head = {"type": "uint8", "dimension": 3, "sizes": "4 4 4", "encoding": "gzip", "endian": "little", **fields}
    lines = ["NRRD0004", *(f"{key}: {value}" for key, value in head.items()), "", ""]
    path.write_bytes("\n".join(lines).encode() + gzip.compress(bytes(64)))
    return path


def test_honest_files_pass(tmp_path: Path) -> None:
    for name in ("a.nii", "a.nii.gz"):
        nib.save(nib.Nifti1Image(np.zeros((16, 16, 16), np.int16), np.eye(4)), tmp_path / name)
        check_expanded_size(tmp_path / name, "file", LIMIT)
    check_expanded_size(nrrd(tmp_path / "a.nrrd"), "file", LIMIT)


def test_a_gzip_bomb_is_unpacked_no_further_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    with gzip.open(path, "wb", 9) as file:
        for _ in range(400):
            file.write(bytes(1 << 20))
    assert path.stat().st_size < LIMIT
    begin = time.perf_counter()
    with pytest.raises(TooLargeError, match="larger than 1 MB"):
        check_expanded_size(path, "file", LIMIT)
    assert time.perf_counter() - begin < 0.2, "400 MB take longer"


@pytest.mark.parametrize(
    ("sizes", "kind"),
    [("2000000 1 1", "uint8"), ("300 300 12", "unsigned char"), ("600000 1 1", "short"), ("600000 1 1", "int16_t"),
     ("300000 1 1", "float"), ("140000 1 1", "double"), ("99999999999 99999999999 1", "uint8"),
     ("140000 1 1", "signed long long int"), ("300000 1 1", "uint32")],
)  # fmt: skip
def test_a_header_that_claims_much_is_refused(tmp_path: Path, sizes: str, kind: str) -> None:
    with pytest.raises(TooLargeError):
        check_expanded_size(nrrd(tmp_path / "a.nrrd", sizes=sizes, type=kind), "file", LIMIT)


@pytest.mark.parametrize("sizes", ["", "a b c", "0 4 4", "-1 4 4"])
def test_a_header_without_sizes_is_refused(tmp_path: Path, sizes: str) -> None:
    with pytest.raises(InvalidValueError, match="sizes"):
        check_expanded_size(nrrd(tmp_path / "a.nrrd", sizes=sizes), "file", LIMIT)


@pytest.mark.parametrize("content", [b"", b"no gzip", gzip.compress(bytes(1000))[:-6], gzip.compress(b"x") + b"junk"])
def test_what_is_no_whole_gzip_file_is_left_to_the_reader(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(content)
    check_expanded_size(path, "file", LIMIT)
