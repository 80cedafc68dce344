"""The one way a NIfTI file is opened: what its header claims is held against bounds before nibabel believes it.

nibabel reads as many bytes as an extension says it has, tries CIFTI's XML on NIfTI-2, and looks for a second file
where the magic is that of a pair. None of it is wanted of a file that somebody sent.
"""

from __future__ import annotations

import gzip
import math
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import nibabel as nib

from medsynth_app.errors import TooLargeError, UnsupportedKindError
from medsynth_app.imaging.formats.expanded_size import LARGEST_EXPANDED_BYTES

LARGEST_OFFSET = 16 << 20
"""Header and extensions together; 3D Slicer and FreeSurfer keep some KB there."""
_HEAD_BYTES = 544
_SHORTEST_EXTENSION = 16


class _PlainExtensions(nib.nifti1.Nifti1Extensions):
    """Extensions as bytes: nibabel would parse those that say they are DICOM or CIFTI."""

    @classmethod
    def from_fileobj(cls, fileobj: Any, size: int, byteswap: bool) -> _PlainExtensions:
        """As in the base class; that they fit was checked before."""
        found = cls()
        order = "<>"[(sys.byteorder == "little") == byteswap]
        while size >= _SHORTEST_EXTENSION:
            told, code = struct.unpack(f"{order}2i", fileobj.read(8))
            found.append(nib.nifti1.Nifti1Extension(code, fileobj.read(told - 8).rstrip(b"\0")))
            size -= told
        return found


class _FirstHeader(nib.Nifti1Header):
    exts_klass = _PlainExtensions


class _SecondHeader(nib.Nifti2Header):
    exts_klass = _PlainExtensions


class _FirstImage(nib.Nifti1Image):
    header_class = _FirstHeader


class _SecondImage(nib.Nifti2Image):
    header_class = _SecondHeader


_LAYOUTS: dict[int, tuple[Any, tuple[bytes, bytes], int, str, int]] = {
    348: (_FirstImage, (b"n+1\0", b"ni1\0"), 344, "f", 108),
    540: (_SecondImage, (b"n+2\0", b"ni2\0"), 4, "q", 168),
}
"""Size of header -> class, magics (whole file, pair), offset of the magic, type and offset of ``vox_offset``."""


def open_nifti(path: Path, name: str) -> Any:
    """A nibabel image whose voxels are not read yet.

    Args:
        path: ``.nii`` or ``.nii.gz``.
        name: how errors call it.

    Raises:
        UnsupportedKindError: no single-file NIfTI, or its header claims what cannot be (415).
        OSError, EOFError, zlib.error, ValueError, nibabel's errors: as nibabel, for a file cut off.
    """
    with _opened(path) as file:
        head = file.read(_HEAD_BYTES)
        order = next((o for o in "<>" if len(head) >= 4 and struct.unpack_from(f"{o}i", head)[0] in _LAYOUTS), None)
        if order is None:
            raise UnsupportedKindError(f"{name}: not a readable NIfTI file (.nii or .nii.gz)")
        size = struct.unpack_from(f"{order}i", head)[0]
        kind, magics, magic_at, offset_type, offset_at = _LAYOUTS[size]
        if len(head) < size + 4 or head[magic_at : magic_at + 4] not in magics:
            raise UnsupportedKindError(f"{name}: not a readable NIfTI file (.nii or .nii.gz)")
        if head[magic_at : magic_at + 4] == magics[1]:
            raise UnsupportedKindError(f"{name}: its voxels are in another file; must be a single NIfTI file")
        offset = struct.unpack_from(f"{order}{offset_type}", head, offset_at)[0]
        _check_start(file, head, order, offset, size, name)
    return kind.from_filename(path)


def check_voxel_bytes(image: Any, name: str) -> None:
    """Refuse an image before memory is asked for its voxels.

    Raises:
        TooLargeError: more than ``LARGEST_EXPANDED_BYTES`` (413).
    """
    if math.prod(map(int, image.shape)) * image.get_data_dtype().itemsize > LARGEST_EXPANDED_BYTES:
        limit = LARGEST_EXPANDED_BYTES >> 20
        raise TooLargeError(f"{name}: becomes larger than {limit} MB when it is read; that is the most allowed")


def _opened(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else open(path, "rb")  # type: ignore[return-value]


def _check_start(file: BinaryIO, head: bytes, order: str, offset: float, size: int, name: str) -> None:
    """Where the voxels begin, and that the extensions before them fit there."""
    has_extensions = head[size] != 0
    plain = math.isfinite(offset) and offset == int(offset)
    if not plain or not (size + 4 <= offset <= LARGEST_OFFSET or (offset == 0 and not has_extensions)):
        raise UnsupportedKindError(f"{name}: its voxels begin at byte {offset:g}, which cannot be")
    if not has_extensions:
        return
    rest = (head + file.read(max(0, int(offset) - len(head))))[size + 4 : int(offset)]
    place = 0
    while len(rest) - place >= _SHORTEST_EXTENSION:
        told = struct.unpack_from(f"{order}i", rest, place)[0]
        if told < _SHORTEST_EXTENSION or told > len(rest) - place:
            raise UnsupportedKindError(f"{name}: an extension of its header claims {told} bytes, which cannot be")
        place += told
