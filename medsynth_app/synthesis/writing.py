"""Synthetic images as files, each of which says that it is synthetic."""

from __future__ import annotations

import io
import json
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file, whole_folder
from medsynth_app.imaging.labels import write_label
from medsynth_app.imaging.provenance.generated_voxels import generated_here
from medsynth_app.imaging.provenance.marking import MARK_KEY, SYNTHETIC_PREFIX, SyntheticMark, synthetic_nifti
from medsynth_app.synthesis.generator import Synthetic
from medsynth_app.vocabulary import LABEL_FILE_SUFFIXES, RESEARCH_NOTICE

VOLUME_ENDINGS = (".nii.gz", ".nii", ".nrrd")
PICTURE_ENDINGS = (".png", ".nii.gz", ".nii")
PICTURE_AFFINE = np.array(
    [[-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
"""(column, row, 0) -> RAS mm of a frontal picture: columns run to the patient's left, rows down."""


def default_ending(is_picture: bool) -> str:
    """The kind of file where nobody asks for another."""
    return PICTURE_ENDINGS[0] if is_picture else VOLUME_ENDINGS[0]


def write_synthetic(result: Synthetic, path: Path) -> None:
    """Write the image by the ending of ``path``; the file appears whole or not at all, and is known by its voxels.

    Raises:
        InvalidValueError: an ending that this image cannot have.
    """
    remember_voxels(result)
    if result.is_picture:
        write_picture(result.array, result.mark, path)
    else:
        write_volume(result.array, _affine(result), result.mark, path)


def write_result_label(result: Synthetic, path: Path) -> None:
    """Write what is labelled, by the ending of ``path``.

    Raises:
        InvalidValueError: nothing is labelled, or an ending that it cannot have.
    """
    if result.label is None:
        raise InvalidValueError("result: this image has no label, ask for 'image'")
    if result.is_picture:
        write_picture(result.label, result.mark, path)
    else:
        write_volume(result.label[None], _affine(result), result.mark, path)


def write_volume(array: np.ndarray, affine: np.ndarray, mark: SyntheticMark, path: Path) -> None:
    """A volume (C, X, Y, Z) as NIfTI or NRRD, marked.

    Raises:
        InvalidValueError: another ending.
    """
    name = path.name.lower()
    if not name.endswith(VOLUME_ENDINGS):
        raise InvalidValueError(f"result_extension: a volume can be {', '.join(VOLUME_ENDINGS)}")
    voxels = array[0] if array.shape[0] == 1 else np.moveaxis(array, 0, 3)
    with whole_file(path) as beside:
        if name.endswith(".nrrd"):
            nrrd.write(str(beside), voxels, _nrrd_header(voxels, affine, mark))
        else:
            nib.save(synthetic_nifti(voxels, affine, mark), beside)


def write_picture(array: np.ndarray, mark: SyntheticMark, path: Path) -> None:
    """A picture (H, W) or (H, W, 3) uint8 as PNG or NIfTI, marked.

    In NIfTI its columns run to the patient's left and its rows down, a millimetre each, as a radiograph is hung.

    Raises:
        InvalidValueError: another ending, or colours in NIfTI.
    """
    name = path.name.lower()
    if name.endswith(".png"):
        with whole_file(path) as beside:
            beside.write_bytes(marked_png(array, mark))
    elif name.endswith((".nii", ".nii.gz")):
        if array.ndim == 3:
            raise InvalidValueError("result_extension: a colour picture can be .png only")
        write_volume(array.T[None, :, :, None], PICTURE_AFFINE, mark, path)
    else:
        raise InvalidValueError(f"result_extension: a picture can be {', '.join(PICTURE_ENDINGS)}")


def marked_png(array: np.ndarray, mark: SyntheticMark) -> bytes:
    """A PNG file whose text chunks say that it is synthetic."""
    chunks = PngInfo()
    for key, text in _texts(mark).items():
        chunks.add_text(key, text)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(buffer, format="PNG", pnginfo=chunks)
    return buffer.getvalue()


def write_case(result: Synthetic, folder: Path, name: str) -> Path:
    """Store a result in a folder: a case folder where it has several named channels, else single files.

    Args:
        result: what to store.
        folder: existing.
        name: of the case; must be new.

    Returns:
        The case folder, or the image's file.

    Raises:
        InvalidValueError: something of that name exists.
    """
    if not result.channels:
        path = folder / f"{name}{default_ending(result.is_picture)}"
        if path.exists():
            raise InvalidValueError(f"name: {path.name!r} exists already, choose another name")
        write_synthetic(result, path)
        return path
    if (folder / name).exists():
        raise InvalidValueError(f"name: a case {name!r} exists already, choose another name")
    remember_voxels(result)
    with whole_folder(folder / name) as beside:
        for channel, path in channel_files(result, beside, name).items():
            write_volume(result.array[result.channels.index(channel)][None], _affine(result), result.mark, path)
        if result.label is not None:
            label = beside / f"{name}{LABEL_FILE_SUFFIXES[0]}.nii.gz"
            nib.save(synthetic_nifti(result.label, _affine(result), result.mark), label)
    return folder / name


def write_sequences(result: Synthetic, folder: Path) -> tuple[dict[str, Path], Path | None]:
    """Channel -> file, and the canonical label, in a folder; what the datastore takes as a new case."""
    remember_voxels(result)
    files = channel_files(result, folder, "image")
    for channel, path in files.items():
        write_volume(result.array[result.channels.index(channel)][None], _affine(result), result.mark, path)
    if result.label is None:
        return files, None
    label = folder / "label.nii.gz"
    write_label(result.label, _affine(result), label, result.mark)
    return files, label


def remember_voxels(result: Synthetic) -> None:
    """Note what leaves MedSynth, so that it is known again when its header is gone (`generated_voxels`)."""
    images = [result.array, *result.frames] if result.is_picture else list(result.array)
    generated_here().remember(images, result.mark)


def channel_files(result: Synthetic, folder: Path, name: str) -> dict[str, Path]:
    """Where each named channel goes."""
    return {channel: folder / f"{name}_{channel}.nii.gz" for channel in result.channels}


def _affine(result: Synthetic) -> np.ndarray:
    assert result.affine is not None  # noqa: S101 - callers have asked is_picture
    return result.affine


def _texts(mark: SyntheticMark) -> dict[str, str]:
    record = json.dumps(mark.as_dict(), sort_keys=True)
    return {MARK_KEY: record, "Description": mark.short_text, "Disclaimer": RESEARCH_NOTICE}


def _nrrd_header(voxels: np.ndarray, affine: np.ndarray, mark: SyntheticMark) -> dict[str, object]:
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    directions = [lps[:3, axis] for axis in range(3)]
    kinds = ["domain"] * 3
    if voxels.ndim == 4:
        directions.append(np.full(3, np.nan))
        kinds.append("list")
    header: dict[str, object] = {
        "space": "left-posterior-superior",
        "space directions": np.array(directions),
        "space origin": lps[:3, 3],
        "kinds": kinds,
        "encoding": "gzip",
    }
    # ITK keeps its file notes when it writes another kind of file: in NIfTI they become ``descrip``.
    return {**header, **_texts(mark), "synthetic": SYNTHETIC_PREFIX, "ITK_FileNotes": mark.short_text}
