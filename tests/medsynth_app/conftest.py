"""Small synthetic heads: the same head, described in RAS millimetres, stored on any voxel grid.

The builders compute voxel places with plain numpy, apart from the library under test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import Modality

HEAD_CENTER_MM = np.array([4.0, -12.0, 20.0])
HEAD_RADII_MM = np.array([22.0, 26.0, 19.0])
TUMOR_CENTER_MM = HEAD_CENTER_MM + (8.0, 6.0, -5.0)
"""Right, front and below of the middle: every flip or swap of axes moves it."""
TUMOR_RADII_MM = {2: np.array([9.0, 8.0, 7.0]), 3: np.array([6.5, 6.0, 5.0]), 1: np.array([4.0, 3.5, 3.0])}
"""Label -> radii of nested ellipsoids: oedema around enhancing tumour around necrotic core."""

TISSUE = {"flair": 300.0, "t1": 400.0, "t1ce": 410.0, "t2": 350.0}
TUMOR = {
    "flair": {1: 420.0, 2: 700.0, 3: 600.0},
    "t1": {1: 200.0, 2: 330.0, 3: 340.0},
    "t1ce": {1: 150.0, 2: 380.0, 3: 900.0},
    "t2": {1: 800.0, 2: 650.0, 3: 500.0},
}
DIRECTIONS = {
    "R": (1, 0, 0),
    "L": (-1, 0, 0),
    "A": (0, 1, 0),
    "P": (0, -1, 0),
    "S": (0, 0, 1),
    "I": (0, 0, -1),
}


@dataclass(frozen=True)
class Head:
    """A head on a grid: sequences FLAIR, T1, T1ce, T2 (4, X, Y, Z) float32 and its labels (X, Y, Z) uint8."""

    volume: Volume
    labels: np.ndarray


def grid_affine(
    axes: str,
    spacing: tuple[float, float, float],
    shape: tuple[int, int, int],
    rotation: np.ndarray | None = None,
) -> np.ndarray:
    """Voxel -> RAS mm of a grid around the head; its axes point to ``axes``, then turned by ``rotation``."""
    columns = np.array([DIRECTIONS[letter] for letter in axes], dtype=float).T * np.array(spacing)
    affine = np.eye(4)
    affine[:3, :3] = columns if rotation is None else rotation @ columns
    affine[:3, 3] = HEAD_CENTER_MM - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def places_mm(affine: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """RAS mm of every voxel centre, (X, Y, Z, 3)."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def inside(places: np.ndarray, center: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Which places lie in an ellipsoid."""
    return (((places - center) / radii) ** 2).sum(axis=-1) <= 1


def make_head(
    axes: str = "RAS",
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    shape: tuple[int, int, int] | None = None,
    rotation: np.ndarray | None = None,
) -> Head:
    """The head on a grid of any orientation; the shape holds the whole head by default."""
    if shape is None:
        extent = {"R": 50, "L": 50, "A": 58, "P": 58, "S": 44, "I": 44}
        sides = [64] * 3 if rotation is not None else [extent[letter] for letter in axes]
        shape = tuple(int(np.ceil(side / step)) for side, step in zip(sides, spacing))
    affine = grid_affine(axes, spacing, shape, rotation)
    places = places_mm(affine, shape)
    labels = np.zeros(shape, dtype=np.uint8)
    for label in (2, 3, 1):
        labels[inside(places, TUMOR_CENTER_MM, TUMOR_RADII_MM[label])] = label
    brain = inside(places, HEAD_CENTER_MM, HEAD_RADII_MM)
    # A smooth pattern in space instead of noise: the same tissue value at the same place on every grid.
    pattern = 20 * np.sin(places @ (0.31, 0.17, 0.23))
    channels = []
    for modality in Modality:
        channel = TISSUE[modality.value] + pattern
        for label, value in TUMOR[modality.value].items():
            channel = np.where(labels == label, value + pattern, channel)
        channels.append(np.where(brain, channel, 0))
    return Head(Volume(np.stack(channels).astype(np.float32), affine), labels)


def labels_at(labels: np.ndarray, affine: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The label of the nearest voxel at each place (..., 3) in RAS mm; 0 outside the grid."""
    inverse = np.linalg.inv(affine)
    index = np.rint(places @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    known = ((index >= 0) & (index < labels.shape)).all(axis=-1)
    result = np.zeros(places.shape[:-1], dtype=labels.dtype)
    result[known] = labels[tuple(index[known].T)]
    return result


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Dice of two masks."""
    return 2 * float((first & second).sum()) / float(first.sum() + second.sum())


def write_nifti(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    """Store an array (X, Y, Z[, C]) with the same sform and qform."""
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def write_case(
    root: Path,
    name: str = "case_1",
    head: Head | None = None,
    *,
    naming: str = "brats2021",
    ending: str = ".nii.gz",
    leave_out: tuple[str, ...] = (),
    with_label: bool = True,
    enhancing_value: int = 4,
) -> Path:
    """A case folder in either BraTS naming; ``leave_out`` names the sequences that get no file."""
    head = head or make_head()
    suffix = {m.value: m.file_suffixes[0 if naming == "brats2021" else 1] for m in Modality}
    for modality, channel in zip(Modality, head.volume.array):
        if modality.value not in leave_out:
            path = root / name / f"{name}{suffix[modality.value]}{ending}"
            write_nifti(path, channel.astype(np.int16), head.volume.affine)
    if with_label:
        labels = np.where(head.labels == 3, enhancing_value, head.labels).astype(np.uint8)
        label_suffix = "_seg" if naming == "brats2021" else "-seg"
        write_nifti(root / name / f"{name}{label_suffix}{ending}", labels, head.volume.affine)
    return root / name


@dataclass(frozen=True)
class Builders:
    """The builders, as one fixture (test modules cannot import each other)."""

    head: Callable[..., Head] = make_head
    affine: Callable[..., np.ndarray] = grid_affine
    places_mm: Callable[..., np.ndarray] = places_mm
    labels_at: Callable[..., np.ndarray] = labels_at
    dice: Callable[[np.ndarray, np.ndarray], float] = dice
    write_nifti: Callable[..., Path] = write_nifti
    write_case: Callable[..., Path] = write_case


@pytest.fixture(scope="session")
def build() -> Builders:
    """The builders of synthetic heads and files."""
    return Builders()


@pytest.fixture(scope="session")
def head() -> Head:
    """The head on 1 mm voxels, RAS axes. Shared: not to be changed."""
    return make_head()


@pytest.fixture(scope="session")
def tumor_center_mm() -> np.ndarray:
    """Middle of the tumour in RAS mm."""
    return TUMOR_CENTER_MM
