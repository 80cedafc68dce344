"""Cases whose files a test can turn into DICOM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.imaging.studies.cases import CaseFiles

MakeCase = Callable[..., CaseFiles]


@pytest.fixture
def make_case(tmp_path: Path) -> MakeCase:
    """Builds a case of noise; ``axes`` are the ends its array axes point to."""

    def build(
        axes: tuple[str, str, str] = ("L", "P", "S"),
        shape: tuple[int, int, int] = (12, 10, 8),
        spacing: tuple[float, float, float] = (0.9, 1.1, 2.5),
        dtype: type = np.int16,
        oblique: bool = False,
        sequences: tuple[str, ...] = ("flair", "t1", "t1ce", "t2"),
        scale: float = 1000.0,
    ) -> CaseFiles:
        affine = axes_affine(axes, spacing)
        if oblique:
            affine[:3, :3] = rotation(0.3, 0.2) @ affine[:3, :3]
        affine[:3, 3] = [31.25, -40.5, 17.125]
        generator = np.random.default_rng(3)
        files = {}
        for name in sequences:
            array = (generator.uniform(0, 1, shape) * scale).astype(dtype)
            files[name] = tmp_path / "case" / f"case_{name}.nii.gz"
            files[name].parent.mkdir(exist_ok=True)
            nib.save(nib.Nifti1Image(array, affine), files[name])
        return CaseFiles("case", files)

    return build


def axes_affine(axes: tuple[str, str, str], spacing: tuple[float, float, float]) -> np.ndarray:
    """Voxel -> RAS mm for axes that point along the patient's."""
    places = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    affine = np.eye(4)
    affine[:3, :3] = 0
    for column, (end, step) in enumerate(zip(axes, spacing)):
        row, sign = places[end]
        affine[row, column] = sign * step
    return affine


def rotation(first: float, second: float) -> np.ndarray:
    """Turned by two angles (radians)."""
    c, s, d, t = np.cos(first), np.sin(first), np.cos(second), np.sin(second)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, d, -t], [0, t, d]])
