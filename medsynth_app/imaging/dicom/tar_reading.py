"""DICOM files that came as one uncompressed tar file, laid into a folder under numbers.

Nothing of what the archive says of its members is used but their sizes: no name becomes a path, links and other kinds
are passed over, and nothing is larger afterwards than it was. A plain tar file is what ``tar cf`` and the page make.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from medsynth_app.errors import InvalidValueError, TooLargeError, UnsupportedKindError

BLOCK = 512
MOST_MEMBERS = 50_000
_SIZE, _CHECKSUM, _TYPE = slice(124, 136), slice(148, 156), 156
_REGULAR = (b"0", b"\0")
_PREAMBLE, _MAGIC = 128, b"DICM"


def lay_out_dicom(archive: Path, folder: Path, field: str, largest_bytes: int) -> int:
    """Write the DICOM files of a tar file into a folder.

    Args:
        archive: uncompressed tar file.
        folder: where ``00001.dcm`` and so on are written; exists.
        field: how errors call it.
        largest_bytes: of the voxels of all images together.

    Returns:
        How many there are; other files are passed over.

    Raises:
        UnsupportedKindError: no tar file, it ends too early, or an image is deflated (415).
        InvalidValueError: no DICOM file in it, or too many members (422).
        TooLargeError: the images are larger than ``largest_bytes`` once they are read (413).
    """
    count = voxel_bytes = 0
    with archive.open("rb") as file:
        for _ in range(MOST_MEMBERS):
            header = file.read(BLOCK)
            if not header.strip(b"\0"):
                break
            size = _member_size(header, field)
            start = file.tell()
            if header[_TYPE : _TYPE + 1] in _REGULAR and _is_dicom(file, size):
                count += 1
                path = folder / f"{count:05d}.dcm"
                _copy(file, start, size, path, field)
                voxel_bytes += _voxel_bytes(path, field)
                if voxel_bytes > largest_bytes:
                    allowed = f"{largest_bytes >> 20} MB"
                    raise TooLargeError(f"{field}: its images are larger than {allowed} when they are read")
            file.seek(start + -(-size // BLOCK) * BLOCK)
        else:
            raise InvalidValueError(f"{field}: holds more than {MOST_MEMBERS} files; send one study")
    if not count:
        raise InvalidValueError(f"{field}: the tar file holds no DICOM file")
    return count


def _member_size(header: bytes, field: str) -> int:
    try:
        if len(header) < BLOCK:
            raise ValueError
        stored = int(header[_CHECKSUM].strip(b"\0 "), 8)
        told = sum(header) - sum(header[_CHECKSUM]) + 8 * ord(" ")
        size = int(header[_SIZE].strip(b"\0 ") or b"0", 8)
        if stored != told or size < 0:
            raise ValueError
    except ValueError:
        raise UnsupportedKindError(f"{field}: is no plain uncompressed tar file, or ends too early") from None
    return size


def _is_dicom(file: BinaryIO, size: int) -> bool:
    return size > _PREAMBLE + 4 and file.read(_PREAMBLE + 4)[_PREAMBLE:] == _MAGIC


def _copy(file: BinaryIO, start: int, size: int, path: Path, field: str) -> None:
    file.seek(start)
    left = size
    with path.open("wb") as target:
        while left:
            chunk = file.read(min(left, 1 << 20))
            if not chunk:
                raise UnsupportedKindError(f"{field}: the tar file ends too early")
            target.write(chunk)
            left -= len(chunk)


def _voxel_bytes(path: Path, field: str) -> int:
    """Bytes of an image's voxels as float32, from its header alone; 0 for what is no image."""
    try:
        if _is_deflated(path):
            raise UnsupportedKindError(f"{field}: holds a deflated DICOM file, which is not taken")
        image = dcmread(path, stop_before_pixels=True, specific_tags=["Rows", "Columns", "NumberOfFrames"])
        frames = max(int(image.get("NumberOfFrames") or 1), 1)
        return 4 * int(image.get("Rows") or 0) * int(image.get("Columns") or 0) * frames
    except (InvalidDicomError, AttributeError, KeyError, ValueError, TypeError, EOFError, OSError, NotImplementedError):
        return 0


def _is_deflated(path: Path) -> bool:
    """Whether all that follows the file's meta information is packed: it would be unpacked whole to be looked at."""
    syntax = read_file_meta_info(path).get("TransferSyntaxUID")
    return syntax is not None and bool(syntax.is_deflated)
