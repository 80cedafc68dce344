"""A head with skull, brain and tumour, described in millimetres and scanned on any grid in any position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from medsynth_app.imaging.volume import Volume

AXES = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
BRAIN_RADII = np.array([62.0, 78.0, 58.0])
TUMOR_CENTER = np.array([25.0, 15.0, 10.0])
TUMOR_RADII = {2: 20.0, 3: 14.0, 1: 8.0}
#            air, scalp, bone, grey, white, csf, core 1, oedema 2, enhancing 3
LEVELS = {
    "flair": (0, 700, 40, 420, 330, 60, 420, 900, 800),
    "t1": (0, 900, 60, 300, 430, 120, 180, 260, 280),
    "t1ce": (0, 900, 60, 310, 440, 130, 170, 270, 950),
    "t2": (0, 600, 40, 420, 320, 1000, 950, 800, 560),
}
NOISE = 12.0


def codes_at(places: np.ndarray) -> np.ndarray:
    """Tissue of places (..., 3) in RAS mm of the head."""
    away = np.sqrt(((places / BRAIN_RADII) ** 2).sum(-1))
    depth = (away - 1) * BRAIN_RADII.mean()
    x, y, z = places[..., 0], places[..., 1], places[..., 2]
    folds = np.sin(x / 9 + 1) * np.sin(y / 11 + 0.4) + np.sin(z / 8 + 2) * np.sin(x / 13 + 0.7)
    codes = np.where(folds > 0, 4, 3)
    ventricle = (np.abs(x) - 9) ** 2 / 40 + (y - 3) ** 2 / 600 + (z - 4) ** 2 / 60 < 1
    codes = np.where(ventricle, 5, codes)
    codes = np.where(depth > -3, 5, codes)
    codes = np.where(depth > 0, 2, codes)
    codes = np.where(depth > 7, 1, codes)
    codes = np.where(depth > 14 + 3 * np.sin(y / 20), 0, codes)
    distance = np.sqrt(((places - TUMOR_CENTER) ** 2).sum(-1))
    for label, radius in TUMOR_RADII.items():
        codes = np.where(distance < radius, 5 + label, codes)
    return codes


@dataclass(frozen=True)
class Scanned:
    """An image of the head.

    Attributes:
        volume: (1, X, Y, Z) float32.
        codes: (X, Y, Z), tissue at the voxels' middles.
        motion: (4, 4) RAS mm of the head -> RAS mm of the scan.
    """

    volume: Volume
    codes: np.ndarray
    motion: np.ndarray

    @property
    def brain(self) -> np.ndarray:
        """(X, Y, Z) bool."""
        return self.codes >= 3

    @property
    def labels(self) -> np.ndarray:
        """(X, Y, Z) uint8, 0..3."""
        return np.where(self.codes > 5, self.codes - 5, 0).astype(np.uint8)


def motion_of(rotation_deg: tuple[float, float, float], shift_mm: tuple[float, float, float]) -> np.ndarray:
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("xyz", rotation_deg, degrees=True).as_matrix()
    motion[:3, 3] = shift_mm
    return motion


def scan(
    modality: str,
    spacing: tuple[float, float, float] = (3.0, 3.0, 3.0),
    axes: str = "LPS",
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    *,
    stripped: bool = False,
    field_mm: float = 230.0,
    seed: int = 0,
) -> Scanned:
    """Scan the head."""
    columns = np.array([AXES[letter] for letter in axes], float).T * np.array(spacing)
    shape = tuple(int(round(field_mm / s)) for s in spacing)
    affine = np.eye(4)
    affine[:3, :3] = columns
    affine[:3, 3] = -columns @ ((np.array(shape) - 1) / 2)
    motion = motion_of(rotation_deg, shift_mm)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    back = np.linalg.inv(motion)
    places = (index @ affine[:3, :3].T + affine[:3, 3]) @ back[:3, :3].T + back[:3, 3]
    codes = codes_at(places)
    image = np.take(LEVELS[modality], codes).astype(np.float32)
    image = np.abs(image + np.random.default_rng(seed).normal(0, NOISE, shape).astype(np.float32))
    if stripped:
        image = np.where(codes >= 3, image, 0)
    return Scanned(Volume(np.round(image)[None], affine), codes, motion)


def write(path: Path, volume: Volume) -> Path:
    """Store a volume as NIfTI."""
    image = nib.Nifti1Image(volume.array[0].astype(np.int16), volume.affine)
    image.set_sform(volume.affine, 1)
    image.set_qform(volume.affine, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def raw_scans() -> dict[str, Scanned]:
    """A raw study: T1ce fine, the others in thick slices after the head has moved."""
    thick = (2.5, 2.5, 6.0)
    return {
        "flair": scan("flair", thick, rotation_deg=(6.0, -4.0, 5.0), shift_mm=(4.0, -5.0, 3.0), seed=1),
        "t1": scan("t1", thick, rotation_deg=(-5.0, 3.0, 2.0), shift_mm=(-3.0, 2.0, 4.0), seed=2),
        "t1ce": scan("t1ce", axes="PIR", seed=3),
        "t2": scan("t2", thick, rotation_deg=(2.0, 5.0, -6.0), shift_mm=(2.0, 4.0, -4.0), seed=4),
    }


@dataclass(frozen=True)
class Scanner:
    """The builders, as one fixture."""

    scan: Callable[..., Scanned] = scan
    write: Callable[..., Path] = write
    raw_scans: Callable[[], dict[str, Scanned]] = raw_scans
    motion_of: Callable[..., np.ndarray] = motion_of


@pytest.fixture(scope="session")
def scanner() -> Scanner:
    """The builders of scanned heads."""
    return Scanner()


@pytest.fixture(scope="session")
def raw_study(tmp_path_factory: Any) -> tuple[Path, dict[str, Scanned]]:
    """A folder with a raw study, a mask of the brain on T1ce beside it, and the truth. Not to be changed."""
    scans = raw_scans()
    root = tmp_path_factory.mktemp("raw")
    for modality, scanned in scans.items():
        write(root / "head" / f"head_{modality}.nii.gz", scanned.volume)
    truth = scans["t1ce"]
    write(root / "mask.nii.gz", Volume(truth.brain[None].astype(np.int16), truth.volume.affine))
    return root / "head", scans
