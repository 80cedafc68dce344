"""The cases of a studies folder for the server: found by names only (see ``case_listing``), opened when asked for."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
from nibabel.filebasedimages import ImageFileError

from medsynth_app.errors import InvalidValueError, UnsupportedKindError
from medsynth_app.files import whole_file
from medsynth_app.imaging.formats.nifti_file import check_voxel_bytes, open_nifti
from medsynth_app.imaging.studies.case_listing import RESERVED_NAMES, Study, StudyListing, list_studies
from medsynth_app.imaging.studies.case_names import (
    CASE_NAME_PATTERN,
    case_name,
    check_case_name,
    name_and_file,
    original_name,
)
from medsynth_app.imaging.studies.cases import CaseFiles, case_in_folder, channel_count, label_beside
from medsynth_app.imaging.studies.file_groups import channel_order, group_files
from medsynth_app.imaging.studies.file_roles import LABEL, file_role, image_stem
from medsynth_app.imaging.studies.folder_entries import PICTURE_ENDINGS, is_regular
from medsynth_app.vocabulary import Modality

__all__ = [
    "CASE_NAME_PATTERN", "PICTURE_ENDINGS", "RESERVED_NAMES", "Study", "StudyListing", "case_name", "check_case_name",
    "display_file", "list_studies", "name_and_file", "open_study", "original_name", "scan_studies",
]  # fmt: skip

logger = logging.getLogger(__name__)


def scan_studies(root: Path) -> dict[str, Study]:
    """All cases of a studies folder by name, sorted; what is passed over is logged.

    Args:
        root: an existing folder.
    """
    listing = list_studies(root)
    for place, reason in listing.left_out.items():
        logger.warning("passed over: %s: %s", place, reason)
    return listing.studies


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
    there = study.path.is_dir() if study.is_folder else is_regular(study.path)
    if not there:
        raise InvalidValueError(f"case {study.name}: its files are gone", code="case_gone")
    if study.is_folder:
        case = case_in_folder(study.path, study.stem, study.name)
        if case is None:
            raise InvalidValueError(
                f"case {study.name}: its folder holds no sequence any more", code="case_gone"
            )
        return case
    if channel_count(study.path) == len(Modality):
        label = label_beside(study.path.parent, image_stem(study.path.name))
        return CaseFiles(study.name, combined=study.path, label=label)
    return _with_siblings(study, others or {})


def _with_siblings(study: Study, others: Mapping[str, Study]) -> CaseFiles:
    """A single file and those of the same folder whose original names begin alike, however both are escaped."""
    role = file_role(study.path.name)
    if role.kind in (None, LABEL):
        return CaseFiles(study.name)
    folder = study.path.parent
    names = {study.path.name}
    for other in others.values():
        if not other.is_folder and other.path.parent == folder and file_role(other.path.name).stem == role.stem:
            names.add(other.path.name)
    order = channel_order(folder) if role.channel is not None else None
    group = group_files(names, order).get(role.stem)
    if group is None:
        return CaseFiles(study.name)
    found = {modality: folder / name for modality, name in group.sequences.items()}
    problems = dict(group.problems)
    if role.channel is None:
        # The file itself is what was asked for, whatever else could be the same sequence.
        found[str(role.kind)] = study.path
        problems.pop(str(role.kind), None)
    whole = others.get(case_name(role.stem))
    if whole is not None and whole.is_folder and whole.path.name == role.stem:
        found = {**_folder_sequences(whole), **found}
    return CaseFiles(study.name, found, notes=group.notes, problems=problems)


def _folder_sequences(study: Study) -> Mapping[str, Path]:
    case = case_in_folder(study.path, study.stem) if study.path.is_dir() else None
    return case.sequences if case else {}


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
