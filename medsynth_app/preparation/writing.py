"""A prepared study as a BraTS-style case on disk, with how it was made and the way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from medsynth_app import __version__
from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_folder
from medsynth_app.imaging.itk_images import affine_about
from medsynth_app.imaging.volume import Volume
from medsynth_app.preparation.prepared import PreparedStudy
from medsynth_app.preparation.study_input import StudyInput, stacked
from medsynth_app.vocabulary import RESEARCH_NOTICE, Modality

RECORD_NAME = "preparation.json"


def write_prepared(study: PreparedStudy, out: Path) -> Path:
    """Write ``OUT/NAME/NAME_flair.nii.gz`` ..., the brain mask, the transforms and ``preparation.json``.

    Args:
        study: what to write.
        out: folder of the case folders; made.

    Returns:
        The case folder; it appears whole or not at all.

    Raises:
        InvalidValueError: the case folder exists and is not empty.
    """
    with _case_folder(out / study.name) as beside:
        for modality, array in zip(study.modalities, study.array):
            _write_image(array, study.affine, beside / f"{study.name}_{modality}.nii.gz")
        _write_image(study.brain.astype(np.uint8), study.affine, beside / f"{study.name}_brain.nii.gz")
        for modality, matrix in study.transforms.items():
            # ITK's text format, points of the prepared case (LPS mm) -> points of the series.
            sitk.WriteTransform(affine_about(matrix, np.zeros(3)), str(beside / f"{study.name}_to_{modality}.tfm"))
        _write_record(study.record(), beside)
    return out / study.name


def write_unchanged(study: StudyInput, volumes: dict[str, Volume], reason: str, out: Path) -> Path:
    """A study that was prepared already, as a case folder of the same voxels; raises as ``write_prepared``."""
    modalities = [m.value for m in Modality if m.value in volumes]
    volume = stacked(volumes, modalities)
    with _case_folder(out / study.name) as beside:
        for modality, array in zip(modalities, volume.array):
            _write_image(array, volume.affine, beside / f"{study.name}_{modality}.nii.gz")
        _write_record({"kind": "prepared", "reason": reason, "warnings": list(study.notes)}, beside)
    return out / study.name


def write_series(study: StudyInput, folder: Path) -> dict[str, Path]:
    """Each series of a study on its own grid: ``FOLDER/MODALITY.nii.gz`` by modality; raises as ``read``."""
    written = {}
    for modality, series in study.series.items():
        volume = series.read()
        written[modality] = folder / f"{modality}.nii.gz"
        _write_image(volume.array[0], volume.affine, written[modality])
    return written


def _case_folder(folder: Path) -> Any:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidValueError(f"out: {folder.name!r} exists and is not an empty folder")
    return whole_folder(folder)


def _write_record(record: dict[str, Any], folder: Path) -> None:
    record = {"medsynth": __version__, **record, "notice": RESEARCH_NOTICE}
    (folder / RECORD_NAME).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _write_image(array: np.ndarray, affine: np.ndarray, path: Path) -> None:
    whole = np.array_equal(array, np.round(array)) and np.abs(array).max(initial=0) < 2**15
    image = nib.Nifti1Image(array.astype(np.int16 if whole else np.float32), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
