"""NRRD file -> ``Volume`` with NumPy alone: the voxels behind the header, unpacked no further than it says."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medsynth_app.errors import InvalidValueError, TooLargeError, UnsupportedKindError
from medsynth_app.imaging.formats.expanded_size import LARGEST_EXPANDED_BYTES
from medsynth_app.imaging.formats.nrrd_header import NrrdHeader
from medsynth_app.imaging.volume import Volume

_CHUNK_BYTES = 1 << 20
_PLACE_KINDS = ("domain", "space", "time")
_UNKNOWN_KINDS = ("", "???", "none")
_TO_LPS = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
_MILLIMETRES = {"", "mm", "millimeter", "millimeters", "millimetre", "millimetres", "???"}
_VECTOR = re.compile(r"none|\([^()]*\)")


def image_shape(header: NrrdHeader, name: str) -> tuple[int, ...]:
    """(X, Y, Z), or (X, Y, Z, C) where one axis is no place in space.

    Raises:
        InvalidValueError: not three axes in space (422).
    """
    channels = _channel_axis(header, name)
    sizes = list(header.sizes)
    return tuple(sizes if channels is None else [*sizes[:channels], *sizes[channels + 1 :], sizes[channels]])


def read_nrrd(path: Path, header: NrrdHeader, name: str) -> Volume:
    """Read the voxels behind a header.

    Args:
        path: the file.
        header: its header.
        name: how errors call it.

    Returns:
        array (C, X, Y, Z) in the file's type; affine voxel -> RAS mm. A file that names no space is taken for LPS, as
        ITK does.

    Raises:
        UnsupportedKindError: the voxels do not fit the header (415).
        InvalidValueError: not 3-D, or a place in space that is not told plainly (422).
        TooLargeError: more than ``LARGEST_EXPANDED_BYTES`` of voxels (413).
    """
    channels = _channel_axis(header, name)
    if header.voxel_bytes > LARGEST_EXPANDED_BYTES:
        raise TooLargeError(
            f"{name}: becomes larger than {LARGEST_EXPANDED_BYTES >> 20} MB when it is read; that is the most allowed"
        )
    affine = _affine(header, channels, name)
    array = np.frombuffer(_content(path, header, name), header.dtype).reshape(header.sizes, order="F")
    array = array[None] if channels is None else np.moveaxis(array, channels, 0)
    return Volume(np.ascontiguousarray(array.astype(header.dtype.newbyteorder("="), copy=False)), affine)


def _channel_axis(header: NrrdHeader, name: str) -> int | None:
    """The one axis that is no place, None where all three are."""
    kinds = header.fields.get("kinds", "").lower().split() or [""] * len(header.sizes)
    vectors = _vectors(header) or ["("] * len(header.sizes)
    if len(kinds) != len(header.sizes) or len(vectors) != len(header.sizes):
        raise InvalidValueError(f"{name}: kinds, space directions: must have an entry for each of its axes")
    others = [
        axis
        for axis, (kind, vector) in enumerate(zip(kinds, vectors))
        if vector == "none" or kind not in (*_PLACE_KINDS, *_UNKNOWN_KINDS)
    ]
    if len(header.sizes) - len(others) != 3 or len(others) > 1:
        raise InvalidValueError(
            f"{name}: must be a 3-D image, has {len(header.sizes) - len(others)} dimensions in space"
            f" and {len(others)} others"
        )
    return others[0] if others else None


def _affine(header: NrrdHeader, channels: int | None, name: str) -> np.ndarray:
    """(4, 4), voxel -> RAS mm."""
    for field in ("axis mins", "axis maxs"):
        if field in header.fields:
            raise InvalidValueError(f"{name}: {field}: is not read, give space directions and space origin")
    units = re.findall(r'"([^"]*)"', header.fields.get("space units", ""))
    strange = [unit for unit in units if unit.strip().lower() not in _MILLIMETRES]
    if strange:
        raise InvalidValueError(f"{name}: space units: {strange[0][:20]!r} must be mm")
    affine = np.eye(4)
    affine[:3, :3] = _directions(header, channels, name)
    affine[:3, 3] = _origin(header.fields, name)
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.diag([*_signs(header.fields, name), 1.0]) @ affine


def _signs(fields: Mapping[str, str], name: str) -> tuple[int, int, int]:
    """What turns the file's space to LPS."""
    if "space" in fields:
        found = _TO_LPS.get(fields["space"].lower())
        if found is None or "space dimension" in fields:
            known = ", ".join(word for word in _TO_LPS if "-" in word)
            raise InvalidValueError(f"{name}: space: {fields['space'][:40]!r} is not read, allowed are {known}")
        return found
    if fields.get("space dimension", "3") != "3":
        raise InvalidValueError(f"{name}: space dimension: {fields['space dimension'][:20]!r} must be 3")
    if "space dimension" not in fields and ("space directions" in fields or "space origin" in fields):
        raise InvalidValueError(f"{name}: space: is missing, though there are space directions or a space origin")
    return (1, 1, 1)


def _vectors(header: NrrdHeader) -> list[str]:
    return _VECTOR.findall(header.fields.get("space directions", "").lower())


def _directions(header: NrrdHeader, channels: int | None, name: str) -> np.ndarray:
    """(3, 3), a column for each axis in space, in mm."""
    places = [axis for axis in range(len(header.sizes)) if axis != channels]
    if "space directions" in header.fields:
        vectors = _vectors(header)
        return np.array([_vector(vectors[axis], "space directions", name) for axis in places]).T
    words = header.fields.get("spacings", "").split()
    if not words:
        return np.eye(3)
    values = _numbers(words, len(header.sizes), "spacings", name)[places]
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise InvalidValueError(f"{name}: spacings: {' '.join(words)[:60]!r} must be numbers above 0")
    return np.diag(values)


def _origin(fields: Mapping[str, str], name: str) -> np.ndarray:
    return _vector(fields["space origin"], "space origin", name) if "space origin" in fields else np.zeros(3)


def _vector(text: str, field: str, name: str) -> np.ndarray:
    values = _numbers(text.strip().strip("()").split(","), 3, field, name)
    if not np.isfinite(values).all():
        raise InvalidValueError(f"{name}: {field}: {text[:60]!r} must be finite numbers")
    return values


def _numbers(words: list[str], count: int, field: str, name: str) -> np.ndarray:
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        values = np.empty(0)
    if len(values) != count:
        raise InvalidValueError(f"{name}: {field}: {' '.join(words)[:60]!r} must be {count} numbers")
    return values


def _content(path: Path, header: NrrdHeader, name: str) -> bytes | bytearray:
    """Exactly the bytes of the voxels; a file with fewer or more of them is refused."""
    wanted = header.voxel_bytes
    unfit = UnsupportedKindError(f"{name}: not a readable NRRD file: its voxels do not fit its sizes and type")
    with path.open("rb") as file:
        file.seek(header.offset)
        if header.encoding == "raw":
            content: bytes | bytearray = file.read(wanted + 1)
            if len(content) != wanted:
                raise unfit
            return content
        unpacker, content = zlib.decompressobj(16 + zlib.MAX_WBITS), bytearray()
        try:
            while not unpacker.eof and len(content) <= wanted:
                packed = unpacker.unconsumed_tail or file.read(_CHUNK_BYTES)
                if not packed:
                    break
                content += unpacker.decompress(packed, min(_CHUNK_BYTES, wanted + 1 - len(content)))
        except zlib.error as error:
            raise UnsupportedKindError(f"{name}: not a readable NRRD file: its voxels are no gzip data") from error
        if len(content) != wanted or not unpacker.eof or unpacker.unused_data or file.read(1):
            raise unfit
    return content
