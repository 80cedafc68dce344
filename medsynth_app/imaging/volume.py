"""The image record that all rooms hand to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medsynth_app.errors import InvalidValueError


@dataclass(frozen=True)
class Volume:
    """An image of one or several channels with its place in the patient.

    Attributes:
        array: shape (C, X, Y, Z), any real dtype.
        affine: shape (4, 4), voxel index -> RAS millimetres.

    Raises:
        InvalidValueError: the array is not 4-D or the affine is not an invertible 4x4 matrix.
    """

    array: np.ndarray
    affine: np.ndarray

    def __post_init__(self) -> None:
        if self.array.ndim != 4:
            raise InvalidValueError(
                f"array must have shape (C, X, Y, Z), got {self.array.ndim} dimensions: {self.array.shape}"
            )
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise InvalidValueError(f"affine must be a finite 4x4 matrix, got shape {self.affine.shape}")
        if abs(float(np.linalg.det(self.affine[:3, :3]))) < 1e-6:
            raise InvalidValueError("affine must be invertible, its voxel axes are degenerate")

    @property
    def spatial_shape(self) -> tuple[int, int, int]:
        """(X, Y, Z)."""
        return self.array.shape[1:]  # type: ignore[return-value]

    @property
    def spacing(self) -> np.ndarray:
        """Voxel size in mm along each array axis, shape (3,)."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of a voxel in millilitres."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000.0
