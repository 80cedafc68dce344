"""Marks that tell a synthetic NIfTI image from a patient's.

Two places carry the mark: the header's ``descrip`` (80 bytes; it survives a rewrite by ITK, SimpleITK and
3D Slicer, in NRRD as the key/value pairs ``descrip`` and ``ITK_FileNotes``) and a header extension with the whole
record as JSON (kept by nibabel, dropped by ITK). All text that other tools keep is looked at. An image whose header
was taken away altogether is known by its voxels (``generated_voxels``).
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from medsynth_app.errors import InvalidValueError, MedSynthError
from medsynth_app.imaging.formats.nifti_file import open_nifti

SYNTHETIC_PREFIX = "SYNTHETIC"
DESCRIP_BYTES = 79
"""The field holds 80 bytes; the last stays 0 for readers in C."""
EXTENSION_CODE = 6
"""NIfTI-1 extension code of a plain-text comment (nifti1_io.h, NIFTI_ECODE_COMMENT)."""
MARK_KEY = "medsynth_synthetic"
"""Key of the record in NIfTI extensions, NRRD key/value pairs and PNG text chunks."""
UNKNOWN = "unknown"
_SHORT_TEXT = re.compile(SYNTHETIC_PREFIX + r" MedSynth (\S+) (\S+) seed=(\d+)")
TEXT_FIELDS = ("descrip", "aux_file", "intent_name", "db_name")
"""Fields of a NIfTI header that hold text; tools keep or copy some and overwrite others."""
HEADER_BYTES = 1 << 16
"""Where NRRD and PNG files keep theirs."""


@dataclass(frozen=True)
class SyntheticMark:
    """Where a synthetic image comes from.

    Attributes:
        generator: public name of the generator, for example ``tumor_case_synthesis``.
        version: version of MedSynth that made it.
        seed: the seed that makes it again.
        conditions: what was asked for; JSON values only.
        weights_hash: hash of the network's weights, or None for a generator without any.
        memorisation: ``flagged`` where the audit found the image too near to a training image, ``unavailable`` where it
            could not compare; empty where the image is news.
    """

    generator: str
    version: str
    seed: int
    conditions: Mapping[str, Any] = field(default_factory=dict)
    weights_hash: str | None = None
    memorisation: str = ""

    def __post_init__(self) -> None:
        if not self.generator or " " in self.generator:
            raise InvalidValueError(f"generator: {self.generator!r} must be one word without spaces")

    def as_dict(self) -> dict[str, Any]:
        """The record with JSON values, as it is kept in headers and in the datastore's info."""
        return {
            "synthetic": True,
            "generator": self.generator,
            "version": self.version,
            "weights_hash": self.weights_hash,
            "seed": self.seed,
            "conditions": dict(self.conditions),
            **({"memorisation": self.memorisation} if self.memorisation else {}),
        }

    @property
    def short_text(self) -> str:
        """The line for ``descrip``: starts with SYNTHETIC, at most 79 ASCII bytes."""
        text = f"{SYNTHETIC_PREFIX} MedSynth {self.version} {self.generator} seed={self.seed}"
        return text.encode("ascii", "replace")[:DESCRIP_BYTES].decode("ascii")


def synthetic_nifti(array: np.ndarray, affine: np.ndarray, mark: SyntheticMark) -> nib.Nifti1Image:
    """A NIfTI image that says in its header that it is synthetic.

    Args:
        array: (X, Y, Z) or (X, Y, Z, C), stored in its own dtype without scaling.
        affine: (4, 4), voxel -> RAS mm; written to sform and qform alike, both with code 1 (scanner).
        mark: origin of the image.

    Returns:
        The image with units mm, display range 0..maximum, the mark in ``descrip`` and in an extension.
    """
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header["cal_max"] = float(array.max()) if array.size else 0.0
    mark_synthetic(image, mark)
    return image


def mark_synthetic(image: nib.Nifti1Image, mark: SyntheticMark) -> None:
    """Write the mark into an image's header, replacing an earlier one."""
    image.header["descrip"] = mark.short_text
    others = [extension for extension in image.header.extensions if _record(extension) is None]
    text = json.dumps({MARK_KEY: mark.as_dict()}, sort_keys=True)
    image.header.extensions[:] = [*others, nib.nifti1.Nifti1Extension(EXTENSION_CODE, text.encode())]


def is_synthetic(image: nib.Nifti1Image) -> bool:
    """Whether the header says that the image is synthetic, in any place."""
    return _marked_text(image) is not None or read_mark(image) is not None


def is_marked_synthetic(path: Path) -> bool:
    """Whether a NIfTI, NRRD or PNG file says that the image is synthetic; False for what is none of these."""
    try:
        with open(path, "rb") as file:
            start = file.read(HEADER_BYTES)
        if start.startswith(b"NRRD"):
            return any(_is_marking(key, value) for key, value in _nrrd_pairs(start))
        if start.startswith(b"\x89PNG"):
            return MARK_KEY.encode() in start
        image: Any = open_nifti(path, path.name)
        return is_synthetic(image)
    except (MedSynthError, ImageFileError, OSError, EOFError, ValueError, KeyError, zlib.error):
        return False


def mark_of_file(path: Path) -> SyntheticMark | None:
    """The mark of a NIfTI or NRRD file, for what is derived from it; None where it has none of ours.

    Where ITK dropped the record, what ``descrip`` says is left of it.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(HEADER_BYTES)
        if start.startswith(b"NRRD"):
            return _mark_of_pairs(_nrrd_pairs(start))
        image: Any = open_nifti(path, path.name)
    except (MedSynthError, ImageFileError, OSError, EOFError, ValueError, zlib.error):
        return None
    record = read_mark(image)
    mark = None if record is None else _mark_of_record(record)
    text = _marked_text(image)
    return mark or (None if text is None else _mark_of_text(text))


def _mark_of_record(record: Mapping[str, Any]) -> SyntheticMark | None:
    kept = {each.name: record[each.name] for each in fields(SyntheticMark) if each.name in record}
    try:
        mark = SyntheticMark(**kept)
        mark.as_dict()
    except (TypeError, ValueError, InvalidValueError):
        return None  # anybody can write a header: a record of another shape is no mark of ours
    return mark


def _mark_of_text(text: str) -> SyntheticMark | None:
    if not text.startswith(SYNTHETIC_PREFIX):
        return None
    told = _SHORT_TEXT.fullmatch(text)
    # A text cut short, or another program's: synthetic all the same.
    return SyntheticMark(told[2], told[1], int(told[3])) if told else SyntheticMark(UNKNOWN, UNKNOWN, 0)


def _marked_text(image: nib.Nifti1Image) -> str | None:
    """The first text of the header that says SYNTHETIC, None where none does."""
    for name in TEXT_FIELDS:
        if name in image.header:
            text = bytes(image.header[name].tobytes()).split(b"\0")[0].decode("latin-1")
            if text.startswith(SYNTHETIC_PREFIX):
                return text
    return None


def _nrrd_pairs(start: bytes) -> list[tuple[str, str]]:
    """Key/value pairs in the header at the start of an NRRD file."""
    header = re.split(rb"\r?\n\r?\n", start, maxsplit=1)[0]
    lines = re.split(r"[\r\n]+", header.decode("utf-8", "replace"))
    return [(key.strip(), value) for key, separator, value in (line.partition(":=") for line in lines) if separator]


def _is_marking(key: str, value: str) -> bool:
    return key == MARK_KEY or value.lstrip().startswith(SYNTHETIC_PREFIX)


def _mark_of_pairs(pairs: list[tuple[str, str]]) -> SyntheticMark | None:
    told = [(key, value) for key, value in pairs if _is_marking(key, value)]
    for key, value in told:
        try:
            mark = _mark_of_record(json.loads(value)) if key == MARK_KEY else None
        except (ValueError, TypeError, AttributeError):
            continue
        if mark is not None:
            return mark
    texts = [value.strip() for key, value in told if key != MARK_KEY]
    full = next((text for text in texts if _SHORT_TEXT.fullmatch(text)), SYNTHETIC_PREFIX)
    return _mark_of_text(full) if told else None


def read_mark(image: nib.Nifti1Image) -> dict[str, Any] | None:
    """The whole record from the header extension, or None where no reader-proof copy is left."""
    for extension in image.header.extensions:
        record = _record(extension)
        if record is not None:
            return record
    return None


def _record(extension: Any) -> dict[str, Any] | None:
    """The mark inside one header extension, or None if it is another's."""
    content = extension.get_content()
    try:
        text = content.decode() if isinstance(content, bytes) else str(content)
        record = json.loads(text.rstrip("\0"))[MARK_KEY]
    except (ValueError, KeyError, TypeError):
        return None
    return record if isinstance(record, dict) else None
