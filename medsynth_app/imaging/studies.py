"""A studies folder: which cases lie in it, found by listing names only, so that thousands take a second.

Directly under the root lie case folders (see ``cases``) and single files; a single file is a 4-D image with
all four sequences, or one 3-D or 2-D image. Hidden names and the server's own folders are passed over.
"""

from __future__ import annotations

import logging
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
from nibabel.filebasedimages import ImageFileError

from medsynth_app.errors import InvalidValueError, MedSynthError, UnsupportedKindError
from medsynth_app.files import whole_file
from medsynth_app.imaging.cases import CaseFiles, case_in_folder, image_stem, sequence_of
from medsynth_app.imaging.nifti_file import check_voxel_bytes, open_nifti
from medsynth_app.imaging.reading import NIFTI_ENDINGS, is_image_name
from medsynth_app.vocabulary import Modality

logger = logging.getLogger(__name__)

CASE_NAME_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg")
PICTURE_FORMATS = ("PNG", "JPEG")
"""What Pillow may take a picture for. Left alone it looks at the first bytes only, whatever the ending says, and hands
PostScript to Ghostscript."""
RESERVED_NAMES = ("labels", "logs", "model")


@dataclass(frozen=True)
class Study:
    """A case by its place on disk; its files are looked up only when it is opened.

    Attributes:
        name: case name, matches ``CASE_NAME_PATTERN``.
        path: its folder or its single file.
        is_folder: which of the two.
    """

    name: str
    path: Path
    is_folder: bool


def check_case_name(name: object, field: str = "image") -> str:
    """The name itself, if it can be a case name.

    Raises:
        InvalidValueError: anything but 1-128 letters, digits, ``.``, ``_``, ``-`` (not starting with ``.`` or ``-``).
    """
    if isinstance(name, str) and CASE_NAME_PATTERN.fullmatch(name):
        return name
    shown = repr(name)[:60]
    raise InvalidValueError(
        f"{field}: {shown} is not a case name; allowed are 1 to 128 letters, digits, '.', '_' and '-', "
        "starting with a letter, a digit or '_'"
    )


def scan_studies(root: Path) -> dict[str, Study]:
    """All cases of a studies folder by name, sorted.

    Args:
        root: an existing folder.
    """
    studies: dict[str, Study] = {}
    for study in sorted(_entries(root), key=lambda s: (not s.is_folder, s.path.name)):
        if study.name in studies:
            logger.warning("case %s is there twice; the second one is passed over", study.name)
            continue
        studies[study.name] = study
    return dict(sorted(studies.items()))


def _entries(root: Path) -> Iterator[Study]:
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if entry.name not in RESERVED_NAMES and _holds_a_sequence(entry.path):
                    yield Study(case_name(entry.name), Path(entry.path), True)
            elif is_image_name(entry.name) or entry.name.lower().endswith(PICTURE_ENDINGS):
                if sequence_of(entry.name) != "label":
                    yield Study(case_name(image_stem(entry.name)), Path(entry.path), False)


def _holds_a_sequence(folder: str) -> bool:
    with os.scandir(folder) as entries:
        return any(is_image_name(e.name) and sequence_of(e.name) not in (None, "label") for e in entries)


def case_name(file_name: str) -> str:
    """A name that can be a case name: other characters than the allowed ones become ``_``."""
    cleaned = re.sub(r"[^A-Za-z0-9._-]", "_", file_name)[:128]
    return cleaned if CASE_NAME_PATTERN.fullmatch(cleaned) else f"_{cleaned}"[:128]


def open_study(study: Study, others: Mapping[str, Study] | None = None) -> CaseFiles:
    """The files of a case, looked up now.

    Args:
        study: the case.
        others: all cases of the folder; where given, a single file ``X_flair`` finds its siblings: the files
            ``X_t1``, ``X_t1ce`` and ``X_t2`` (four volumes uploaded one by one from a viewer), or the other
            sequences of a case folder ``X`` (one of its files, opened in a viewer and uploaded).

    Raises:
        InvalidValueError: the case's files are gone.
    """
    if not study.path.exists():
        raise InvalidValueError(f"case {study.name}: its files are gone", code="case_gone")
    if study.is_folder:
        case = case_in_folder(study.path)
        if case is None:
            raise InvalidValueError(
                f"case {study.name}: its folder holds no sequence any more", code="case_gone"
            )
        return CaseFiles(study.name, case.sequences, label=case.label)
    if _channel_count(study.path) == len(Modality):
        return CaseFiles(study.name, combined=study.path)
    return CaseFiles(study.name, _siblings(study, others or {}))


def _siblings(study: Study, others: Mapping[str, Study]) -> dict[str, Path]:
    own = sequence_of(study.path.name)
    if own is None:
        return {}
    for suffix in Modality(own).file_suffixes:
        if study.name.lower().endswith(suffix):
            stem = study.name[: -len(suffix)]
            folder = others.get(stem)
            found = dict(_folder_sequences(folder)) if folder else {}
            for modality in Modality:
                for name in (stem + s for s in modality.file_suffixes):
                    if name in others and not others[name].is_folder:
                        found[modality.value] = others[name].path
            return {**found, own: study.path}
    return {own: study.path}


def _folder_sequences(study: Study) -> Mapping[str, Path]:
    case = case_in_folder(study.path) if study.is_folder and study.path.is_dir() else None
    return case.sequences if case else {}


def _channel_count(path: Path) -> int:
    """Number of channels of a NIfTI file by its header, 1 for other kinds and for what cannot be read."""
    if not path.name.lower().endswith(NIFTI_ENDINGS):
        return 1
    try:
        header: Any = open_nifti(path, path.name)
        shape = header.shape
    except (MedSynthError, ImageFileError, OSError, EOFError, ValueError, zlib.error):
        return 1
    return shape[3] if len(shape) == 4 else 1


def display_file(study: Study, case: CaseFiles, modality: str | None, cache: Path) -> Path:
    """The file of one sequence, which viewers open as a scalar 3-D volume.

    Args:
        study: the case.
        case: its files.
        modality: wanted sequence; None = FLAIR, or the first there is.
        cache: where a sequence cut out of a 4-D file is kept.

    Raises:
        InvalidValueError: the case has no such sequence.
    """
    known = [m.value for m in Modality]
    if modality is not None and modality not in known:
        raise InvalidValueError(f"modality: {modality[:40]!r} must be one of {', '.join(known)}")
    if case.combined is not None:
        return _cut_channel(case.combined, study.name, modality or Modality.FLAIR.value, cache)
    if not study.is_folder and (modality is None or not case.sequences):
        return study.path
    wanted = modality or next((m for m in known if m in case.sequences), "")
    if wanted not in case.sequences:
        raise InvalidValueError(
            f"modality: case {study.name} has no {wanted}, it has {', '.join(case.sequences) or 'none'}",
            code="missing_sequence",
        )
    return case.sequences[wanted]


def _cut_channel(path: Path, name: str, modality: str, cache: Path) -> Path:
    target = cache / f"{name}_{modality}.nii.gz"
    if target.exists() and target.stat().st_mtime >= path.stat().st_mtime:
        return target
    try:
        image: Any = open_nifti(path, name)
        check_voxel_bytes(image, name)
        channel = [m.value for m in Modality].index(modality)
        picture = nib.Nifti1Image(image.dataobj[..., channel], image.affine, image.header)
    except (ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        raise UnsupportedKindError(f"{name}: not a readable NIfTI file (.nii or .nii.gz)") from error
    with whole_file(target) as beside:
        nib.save(picture, beside)
    return target
