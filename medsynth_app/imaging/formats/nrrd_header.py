"""The header of a NRRD file, read once and strictly: what could be read in two ways is refused by name.

NrrdIO inside ITK ends a line at CR as well as at LF and opens whatever file ``data file`` names. A header that
somebody sent is therefore never given to it: this is the only parser, and
``medsynth_app.imaging.formats.nrrd`` reads the voxels itself. Definition of the format: http://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medsynth_app.errors import InvalidValueError, UnsupportedKindError

LONGEST_HEADER = 1 << 20
"""A segmentation of a hundred named segments needs some 60 KB."""
_MAGIC = re.compile(r"NRRD000[1-5]")
_CONTROL = ("Cc", "Cs", "Zl", "Zp")
_COUNT = re.compile(r"[0-9]{1,12}")
_FIELDS = (
    "type", "dimension", "sizes", "encoding", "endian", "content", "space", "space dimension", "space directions",
    "space origin", "space units", "spacings", "thicknesses", "axis mins", "axis maxs", "centers", "centerings",
    "kinds", "labels", "units", "sample units", "measurement frame", "min", "max", "old min", "old max", "number",
    "block size", "line skip", "byte skip", "data file",
)  # fmt: skip
_BY_LETTERS = {name.replace(" ", ""): name for name in _FIELDS}
_TYPES = {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}
_TYPE_OF_WORD = {word: kind for kind, words in _TYPES.items() for word in words.split("|")}
_ENCODINGS = {"raw": "raw", "gzip": "gzip", "gz": "gzip"}
_BYTE_ORDERS = {"little": "<", "big": ">"}


@dataclass(frozen=True)
class NrrdHeader:
    """What a header says, beside what ``medsynth_app.imaging.formats.nrrd`` makes of its place in space.

    Attributes:
        fields: the format's own fields by their names in small letters (``space directions``).
        pairs: key/value pairs that a program added (``Segment0_Name``), escapes undone.
        sizes: of each axis, fastest first.
        dtype: of a voxel, in the file's byte order.
        encoding: ``raw`` or ``gzip``.
        offset: bytes before the voxels.
    """

    fields: Mapping[str, str]
    pairs: Mapping[str, str]
    sizes: tuple[int, ...]
    dtype: np.dtype
    encoding: str
    offset: int

    @property
    def voxel_bytes(self) -> int:
        """Bytes of all voxels as they lie in memory."""
        return math.prod(self.sizes) * self.dtype.itemsize


def read_nrrd_header(path: Path, name: str) -> NrrdHeader:
    """Read the header of a single-file NRRD.

    Args:
        path: the file.
        name: how errors call it.

    Raises:
        UnsupportedKindError: no NRRD file of version 1 to 5, or of a type or encoding that is not read (415).
        InvalidValueError: it names another file, tells a field twice, has a field or a character that the format
            does not know, or sizes that are none (422).
    """
    with path.open("rb") as file:
        head = file.read(LONGEST_HEADER)
    lines, offset = _lines(head, name)
    fields, pairs = _rows(lines, name)
    sizes = _sizes(fields, name)
    for field in ("line skip", "byte skip"):
        if fields.get(field, "0") != "0":
            raise InvalidValueError(f"{name}: {field}: {fields[field][:20]!r} is not read, allowed is 0")
    encoding = _ENCODINGS.get(fields.get("encoding", "").lower())
    if encoding is None:
        told = fields.get("encoding", "")[:20]
        raise UnsupportedKindError(f"{name}: encoding: {told!r} is not read, allowed are raw, gzip")
    return NrrdHeader(fields, pairs, sizes, _dtype(fields, name), encoding, offset)


def _lines(head: bytes, name: str) -> tuple[list[str], int]:
    """The lines before the first empty one, and where the bytes behind it begin."""
    if not head.startswith(b"NRRD"):
        raise UnsupportedKindError(f"{name}: not a readable NRRD file")
    newline = b"\r\n" if head[8:10] == b"\r\n" else b"\n"
    end = head.find(2 * newline)
    if end < 0:
        raise UnsupportedKindError(
            f"{name}: not a readable NRRD file: no empty line ends its header (allowed: {LONGEST_HEADER >> 10} KB)"
        )
    try:
        lines = head[:end].decode().split(newline.decode())
    except UnicodeDecodeError:
        raise InvalidValueError(f"{name}: its NRRD header holds bytes that are no UTF-8") from None
    for number, line in enumerate(lines, start=1):
        strange = next((c for c in line if c != "\t" and unicodedata.category(c) in _CONTROL), None)
        if strange is not None:
            raise InvalidValueError(
                f"{name}: line {number} of its NRRD header holds the character U+{ord(strange):04X}; "
                "allowed are printable ones, and LF or CR LF as the end of every line"
            )
    if not _MAGIC.fullmatch(lines[0]):
        told = lines[0][:20]
        raise UnsupportedKindError(f"{name}: not a readable NRRD file: {told!r}, known are NRRD0001 to NRRD0005")
    return lines[1:], end + 2 * len(newline)


def _rows(lines: list[str], name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Fields and pairs; the first colon of a line decides which of the two it is."""
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    for line in lines:
        if line.startswith("#"):
            continue
        key, colon, rest = line.partition(":")
        is_pair = rest.startswith("=")
        field = key if is_pair else _BY_LETTERS.get("".join(key.lower().split()), "")
        if not colon or not field:
            raise InvalidValueError(f"{name}: {key[:40]!r} is no field of the NRRD format")
        if field == "data file" and not is_pair:
            raise InvalidValueError(f"{name}: names other files as its voxels, must be a single file")
        table = pairs if is_pair else fields
        if field in table:
            raise InvalidValueError(f"{name}: {field[:40]!r} is told twice in its NRRD header")
        table[field] = _unescaped(rest[1:]) if is_pair else rest.strip()
    return fields, pairs


def _unescaped(text: str) -> str:
    return re.sub(r"\\(n|\\)", lambda found: "\n" if found[1] == "n" else "\\", text)


def _sizes(fields: Mapping[str, str], name: str) -> tuple[int, ...]:
    dimension, words = fields.get("dimension", ""), fields.get("sizes", "").split()
    if not _COUNT.fullmatch(dimension) or not 1 <= int(dimension) <= 16:
        raise InvalidValueError(f"{name}: dimension: {dimension[:20]!r} must be a number from 1 to 16")
    if len(words) != int(dimension) or not all(_COUNT.fullmatch(word) and int(word) for word in words):
        raise InvalidValueError(f"{name}: sizes: {' '.join(words)[:60]!r} must be {dimension} numbers above 0")
    return tuple(int(word) for word in words)


def _dtype(fields: Mapping[str, str], name: str) -> np.dtype:
    word = " ".join(fields.get("type", "").lower().split())
    kind = _TYPE_OF_WORD.get(word)
    if kind is None:
        raise UnsupportedKindError(f"{name}: type: {word[:30]!r} is not read, allowed are whole numbers, float, double")
    if kind.endswith("1"):
        return np.dtype(kind)
    order = _BYTE_ORDERS.get(fields.get("endian", "").lower())
    if order is None:
        told = fields.get("endian", "")[:20]
        raise InvalidValueError(f"{name}: endian: {told!r} must be little or big where a voxel has several bytes")
    return np.dtype(order + kind)
