"""How large a file becomes when it is read: known before anything is allocated for it.

A few kilobytes of gzip can stand for gigabytes, and a header can claim any dimensions.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from medsynth_app.errors import InvalidValueError, TooLargeError

LARGEST_EXPANDED_BYTES = 4 << 30
"""240 x 240 x 155 voxels of four sequences as float32 are 0.14 GB."""
_CHUNK_BYTES = 1 << 20
_LONGEST_NRRD_HEADER = 1 << 16
_NRRD_TYPES = {"char": 1, "short": 2, "int": 4, "longlong": 8, "float": 4, "double": 8}
_NRRD_BYTES_BY_BITS = {"8": 1, "16": 2, "32": 4, "64": 8}


def check_expanded_size(path: Path, name: str, largest: int = LARGEST_EXPANDED_BYTES) -> None:
    """Refuse a file that is too large once it is read; other kinds than gzip and NRRD pass by their file size.

    Args:
        path: a file that somebody sent.
        name: how errors call it.
        largest: bytes.

    Raises:
        TooLargeError: more than ``largest`` bytes of voxels (413).
        InvalidValueError: an NRRD header whose sizes cannot be read (422).
    """
    lower = path.name.lower()
    if lower.endswith(".gz"):
        size = _unpacked_bytes(path, largest)
    elif lower.endswith(".nrrd"):
        size = _nrrd_bytes(path, name)
    else:
        size = path.stat().st_size
    if size > largest:
        raise TooLargeError(f"{name}: becomes larger than {largest >> 20} MB when it is read; that is the most allowed")


def _unpacked_bytes(path: Path, largest: int) -> int:
    """Bytes behind a gzip file, counted no further than the limit; nothing of it is kept."""
    seen = 0
    try:
        with gzip.open(path, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                seen += len(chunk)
                if seen > largest:
                    break
    except (gzip.BadGzipFile, EOFError, zlib.error):
        pass  # no gzip file, or cut off: said better where it is read
    return seen


def _nrrd_bytes(path: Path, name: str) -> int:
    """Bytes of voxels by the header's own ``sizes`` and ``type``."""
    fields = _nrrd_fields(path)
    try:
        sizes = [int(word) for word in fields.get("sizes", "").split()]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise InvalidValueError(f"{name}: its header has no sizes")
    return math.prod(sizes) * _nrrd_voxel_bytes(fields.get("type", ""))


def _nrrd_fields(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        head = file.read(_LONGEST_NRRD_HEADER).replace(b"\r\n", b"\n").split(b"\n\n")[0]
    rows = (line.partition(":") for line in head.decode("latin-1").splitlines())
    return {key.strip().lower(): value.strip().lower() for key, colon, value in rows if colon}


def _nrrd_voxel_bytes(kind: str) -> int:
    words = kind.replace("signed", "").replace("unsigned", "").replace(" ", "").replace("un", "")
    for bits, size in _NRRD_BYTES_BY_BITS.items():
        if bits in words:
            return size
    return _NRRD_TYPES.get(words, np.dtype(np.float64).itemsize)
