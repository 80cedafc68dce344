"""A user's folder of volumes for training: NIfTI or NRRD files, BraTS-style case folders, DICOM series.

Every volume becomes a cube of one size and intensities 0..1, whatever its grid was; what says in its header that
it is synthetic is left out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmread
from scipy.ndimage import zoom

from medsynth_app.errors import InvalidValueError, MedSynthError
from medsynth_app.imaging.dicom.series_facts import SeriesFacts, facts_of
from medsynth_app.imaging.dicom.series_reading import read_series
from medsynth_app.imaging.dicom.series_roles import modality_of
from medsynth_app.imaging.geometry import foreground_box, reorient
from medsynth_app.imaging.provenance.marking import is_marked_synthetic
from medsynth_app.imaging.reading import is_image_name, read_volume
from medsynth_app.imaging.studies.file_roles import LABEL, sequence_of
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import Modality

logger = logging.getLogger(__name__)

CT_RANGE_HU = {"ct_chest": (-1000.0, 600.0), "ct_abdomen": (-300.0, 500.0), "ct_head": (-100.0, 200.0)}
"""HU that become 0 and 1."""
MR_PERCENTILES = (0.5, 99.5)
DICOM_ENDINGS = (".dcm", ".ima", "")
DICOM_MODALITIES = ("CT", "MR")


@dataclass(frozen=True)
class SourceVolume:
    """One volume by its files.

    Attributes:
        name: for choosing validation cases: the case folder's or the file's name.
        files: one image file, or the slices of a DICOM series.
        sequence: flair, t1, t1ce or t2, where name or header tell; else empty.
    """

    name: str
    files: tuple[Path, ...]
    sequence: str = ""

    def read(self) -> Volume:
        """The volume, (C, X, Y, Z); raises as the readers do."""
        if len(self.files) == 1 and is_image_name(self.files[0].name):
            return read_volume(self.files[0], self.name)
        return read_series(self.files, self.name)


@dataclass(frozen=True)
class Cubes:
    """Volumes that were read.

    Attributes:
        array: (N, 1, R, R, R) float32 in 0..1.
        spacings: mm, voxel size of each.
        sequences: of each, empty where unknown.
    """

    array: np.ndarray
    spacings: tuple[float, ...]
    sequences: tuple[str, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The sequences, where every volume's is known and there are several; else none."""
        found = tuple(name.value for name in Modality if name.value in self.sequences)
        return found if len(found) > 1 and "" not in self.sequences else ()


def find_volumes(folder: Path, sequence: str = "", fewest: int = 2) -> list[SourceVolume]:
    """All volumes in a folder and below, sorted by name; labels and synthetic images are left out.

    Args:
        folder: the user's.
        sequence: only image files whose name says that sequence or ends with ``_SEQUENCE`` or ``-SEQUENCE``, and
            DICOM series that are that sequence (flair, t1, t1ce, t2) or have the word in their description; empty = all
        fewest: volumes that are needed.

    Raises:
        InvalidValueError: fewer than that.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and is_image_name(path.name) and _is_wanted(path, folder, sequence):
            stem = path.name[
                : -len("".join(path.suffixes[-2:] if path.name.endswith(".nii.gz") else path.suffixes[-1:]))
            ]
            found.append(SourceVolume(stem, (path,), sequence_of(path.name) or ""))
    found += _dicom_series(folder, sequence)
    if len(found) < fewest:
        wanted = f" of the sequence {sequence!r}" if sequence else ""
        raise InvalidValueError(
            f"data: {folder.name} holds {len(found)} volumes{wanted} to learn from; at least {fewest} NIfTI, "
            "NRRD or DICOM volumes are needed (labels and synthetic images do not count)"
        )
    return found


def _dicom_series(folder: Path, sequence: str) -> list[SourceVolume]:
    """The CT and MR series below a folder, however their images are spread over files and folders."""
    files: dict[str, list[Path]] = {}
    facts: dict[str, SeriesFacts] = {}
    for path in sorted(folder.rglob("*")):
        if not _is_slice(path):
            continue
        series = facts_of(dcmread(path, stop_before_pixels=True, force=True))
        facts.setdefault(series.uid, series)
        files.setdefault(series.uid, []).append(path)
    found = []
    for uid, series in facts.items():
        if series.modality in DICOM_MODALITIES and not series.synthetic and _is_sequence(series, sequence):
            paths = tuple(files[uid])
            known = modality_of(series)
            name = f"{paths[0].parent.name} {series.title}"
            found.append(SourceVolume(name, paths, known.value if known else ""))
    return sorted(found, key=lambda volume: volume.name)


def _is_sequence(series: SeriesFacts, sequence: str) -> bool:
    if not sequence:
        return True
    known = modality_of(series)
    return (known is not None and known.value == sequence) or sequence.lower() in series.description.lower().split()


def split(
    volumes: Sequence[SourceVolume], validation: str, seed: int
) -> tuple[list[SourceVolume], list[SourceVolume]]:
    """Training and validation volumes.

    Args:
        volumes: all.
        validation: beginnings of names, separated by commas; empty = a seeded fifth (none of fewer than five).
        seed: of the fifth.

    Raises:
        InvalidValueError: a beginning that no name has, or nothing is left to train on.
    """
    beginnings = tuple(part.strip() for part in validation.split(",") if part.strip())
    for beginning in beginnings:
        if not any(volume.name.startswith(beginning) for volume in volumes):
            raise InvalidValueError(f"validation: no volume's name begins with {beginning!r}")
    if beginnings:
        kept = {volume.name for volume in volumes if volume.name.startswith(beginnings)}
    else:
        order = np.random.default_rng(seed).permutation(len(volumes))
        kept = {volumes[i].name for i in order[: len(volumes) // 5]}
    training = [volume for volume in volumes if volume.name not in kept]
    if not training:
        raise InvalidValueError("validation: takes every volume, none is left to train on")
    return training, [volume for volume in volumes if volume.name in kept]


def read_cubes(volumes: Sequence[SourceVolume], resolution: int, volume_type: str) -> Cubes:
    """Volumes as cubes; what cannot be read is left out with a warning.

    Raises:
        InvalidValueError: none could be read.
    """
    read: list[tuple[np.ndarray, float, str]] = []
    for volume in volumes:
        try:
            read.append((*to_cube(volume.read(), resolution, volume_type), volume.sequence))
        except MedSynthError as error:
            logger.warning("left out: %s", error.message)
    if not read:
        raise InvalidValueError(f"data: none of {len(volumes)} volumes can be read")
    cubes, spacings, sequences = zip(*read)
    return Cubes(np.stack(cubes), spacings, sequences)


def to_cube(volume: Volume, resolution: int, volume_type: str) -> tuple[np.ndarray, float]:
    """A volume's foreground in the middle of a cube, axes right, anterior, superior.

    Args:
        volume: of one channel.
        resolution: voxels a side.
        volume_type: fixes the range of intensities.

    Returns:
        (1, R, R, R) float32 in 0..1, and the size of its cubic voxels in mm.
    """
    if volume.array.shape[0] != 1:
        raise InvalidValueError(f"volume: must have one channel, has {volume.array.shape[0]}")
    upright = reorient(volume)
    image = scaled(upright.array[0].astype(np.float32), volume_type)
    box = foreground_box(image > 0.02) if (image > 0.02).any() else None
    if box is not None:
        image = image[box.slices]
    extent = np.array(image.shape) * upright.spacing
    spacing = float(extent.max()) / resolution
    wanted = [max(1, min(resolution, round(float(e) / spacing))) for e in extent]
    small = zoom(image, [w / n for w, n in zip(wanted, image.shape)], order=1, grid_mode=True, mode="nearest")
    cube = np.zeros((1, resolution, resolution, resolution), np.float32)
    starts = [(resolution - n) // 2 for n in small.shape]
    x, y, z = (slice(a, a + n) for a, n in zip(starts, small.shape))
    cube[0, x, y, z] = small
    return cube, spacing


def scaled(image: np.ndarray, volume_type: str) -> np.ndarray:
    """Intensities as 0..1: a fixed range of HU, or percentiles of what is not background in MR."""
    if volume_type in CT_RANGE_HU:
        low, high = CT_RANGE_HU[volume_type]
    else:
        seen = image[image > image.min()]
        low, high = np.percentile(seen, MR_PERCENTILES) if seen.size else (0.0, 1.0)
        low = min(float(low), 0.0) if image.min() >= 0 else float(low)
    return np.clip((image - low) / max(float(high) - float(low), 1e-6), 0.0, 1.0).astype(np.float32)


def unscaled(cube: np.ndarray, volume_type: str) -> np.ndarray:
    """0..1 as int16: HU, or levels from 0 to 1000 in MR."""
    low, high = CT_RANGE_HU.get(volume_type, (0.0, 1000.0))
    return np.rint(low + np.clip(cube, 0.0, 1.0) * (high - low)).astype(np.int16)


def rescaled(levels: np.ndarray, volume_type: str) -> np.ndarray:
    """The way back from ``unscaled``: float32, 0..1."""
    low, high = CT_RANGE_HU.get(volume_type, (0.0, 1000.0))
    return ((levels.astype(np.float32) - low) / (high - low)).astype(np.float32)


def _is_wanted(path: Path, folder: Path, sequence: str) -> bool:
    stem = path.name.split(".")[0]
    hidden = any(part.startswith(".") or part == "labels" for part in path.relative_to(folder).parts)
    role = sequence_of(path.name)
    if hidden or role == LABEL:
        return False
    if sequence and role != sequence and not stem.endswith((f"_{sequence}", f"-{sequence}")):
        return False
    return not is_marked_synthetic(path)


def _is_slice(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() not in DICOM_ENDINGS or path.name.startswith("."):
        return False
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"
