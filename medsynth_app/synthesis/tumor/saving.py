"""A synthetic case as a BraTS-style case folder, every file marked."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np

from medsynth_app.errors import InvalidValueError, StaleError
from medsynth_app.files import whole_folder
from medsynth_app.imaging.provenance.generated_voxels import generated_here
from medsynth_app.imaging.provenance.marking import synthetic_nifti
from medsynth_app.synthesis.tumor.generator import TumorCase
from medsynth_app.vocabulary import LABEL_FILE_SUFFIXES, Modality

_ALLOWED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def save_tumor_case(case: TumorCase, studies: Path, name: str) -> Path:
    """Write ``NAME/NAME_flair.nii.gz``, ``_t1``, ``_t1ce``, ``_t2`` and ``_seg`` under a studies folder.

    The folder appears whole or not at all.

    Args:
        case: what to write.
        studies: existing folder.
        name: new case name: letters, digits, dot, underscore and hyphen, at most 100.

    Returns:
        The new case folder.

    Raises:
        InvalidValueError: the name is not allowed.
        StaleError: a case of that name exists already.
    """
    if not _ALLOWED_NAME.fullmatch(name):
        raise InvalidValueError(
            f"name: {name!r} must be 1 to 100 letters, digits, dots, underscores or hyphens"
        )
    target = studies / name
    if target.exists():
        raise StaleError(f"name: a case {name!r} exists already, choose another name")
    generated_here().remember(case.images.array, case.mark)
    with whole_folder(target) as beside:
        for suffix, array in _arrays(case).items():
            image = synthetic_nifti(array, case.images.affine, case.mark)
            nib.save(image, beside / f"{name}{suffix}.nii.gz")
    return target


def _arrays(case: TumorCase) -> dict[str, np.ndarray]:
    """File suffix (BraTS 2018-2021) -> array (X, Y, Z)."""
    arrays = {modality.file_suffixes[0]: channel for modality, channel in zip(Modality, case.images.array)}
    arrays[LABEL_FILE_SUFFIXES[0]] = case.label
    return arrays
