"""How large a file becomes when it is read: known before anything is allocated for it.

A few kilobytes of gzip can stand for gigabytes, and a header can claim any dimensions.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from medsynth_app.errors import TooLargeError
from medsynth_app.imaging.formats.nrrd_header import read_nrrd_header

LARGEST_EXPANDED_BYTES = 4 << 30
"""240 x 240 x 155 voxels of four sequences as float32 are 0.14 GB."""
_CHUNK_BYTES = 1 << 20


def check_expanded_size(path: Path, name: str, largest: int = LARGEST_EXPANDED_BYTES) -> None:
    """Refuse a file that is too large once it is read; other kinds than gzip and NRRD pass by their file size.

    Args:
        path: a file that somebody sent.
        name: how errors call it.
        largest: bytes.

    Raises:
        TooLargeError: more than ``largest`` bytes of voxels (413).
        InvalidValueError, UnsupportedKindError: a NRRD header that is not plain (422, 415).
    """
    lower = path.name.lower()
    if lower.endswith(".gz"):
        size = _unpacked_bytes(path, largest)
    elif lower.endswith(".nrrd"):
        size = read_nrrd_header(path, name).voxel_bytes
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
