"""The border to SimpleITK: arrays (X, Y, Z) with RAS affines on this side, images in LPS on the other."""

from __future__ import annotations

from typing import Union

import numpy as np
import SimpleITK as sitk

from medsynth_app.imaging.volume import Volume

CenteredTransform = Union[sitk.AffineTransform, sitk.Similarity3DTransform]  # noqa: UP007 - evaluated on 3.10
"""A linear transform that ITK writes as matrix (p - center) + translation + center."""

_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])  # RAS mm <-> LPS mm


def to_itk(array: np.ndarray, affine: np.ndarray) -> sitk.Image:
    """(X, Y, Z) with a voxel -> RAS mm affine as an ITK image."""
    lps = _FLIP @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


def from_itk(image: sitk.Image) -> np.ndarray:
    """The voxels of a scalar image, (X, Y, Z)."""
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0)


def affine_from_itk(image: sitk.Image) -> np.ndarray:
    """(4, 4) voxel -> RAS mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return _FLIP @ affine


def shrunk(image: sitk.Image, spacing_mm: float) -> sitk.Image:
    """Averages of blocks of voxels of about ``spacing_mm``; axes that are coarser already stay."""
    return sitk.BinShrink(image, [max(1, round(spacing_mm / s)) for s in image.GetSpacing()])


def centroid_lps(image: sitk.Image, mask: np.ndarray) -> np.ndarray:
    """Centroid (3,) in LPS mm of a mask (X, Y, Z) on the image's grid."""
    return np.array(image.TransformContinuousIndexToPhysicalPoint(np.argwhere(mask).mean(axis=0).tolist()))


def volume_ml(image: sitk.Image, mask: np.ndarray) -> float:
    """Volume in ml of a mask on the image's grid."""
    return float(mask.sum()) * float(np.prod(image.GetSpacing())) / 1000.0


def similarity_about(
    center: np.ndarray, target: np.ndarray, rotation: np.ndarray, scale: float
) -> sitk.Similarity3DTransform:
    """Turn and scale about ``center``, then move it onto ``target`` (both LPS mm)."""
    transform = sitk.Similarity3DTransform()
    transform.SetCenter(center.tolist())
    transform.SetMatrix((scale * rotation).ravel().tolist())
    transform.SetTranslation((target - center).tolist())
    return transform


def affine_about(matrix: np.ndarray, center: np.ndarray) -> sitk.AffineTransform:
    """(4, 4) RAS mm -> RAS mm as an ITK transform that turns about ``center`` (LPS mm)."""
    lps = _FLIP @ matrix @ _FLIP
    transform = sitk.AffineTransform(3)
    transform.SetCenter(center.tolist())
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation((lps[:3, :3] @ center + lps[:3, 3] - center).tolist())
    return transform


def as_affine(transform: CenteredTransform) -> sitk.AffineTransform:
    """The same mapping with all twelve parameters free."""
    affine = sitk.AffineTransform(3)
    affine.SetCenter(transform.GetCenter())
    affine.SetMatrix(transform.GetMatrix())
    affine.SetTranslation(transform.GetTranslation())
    return affine


def matrix_of(transform: CenteredTransform) -> np.ndarray:
    """(4, 4) RAS mm -> RAS mm of a linear ITK transform."""
    center = np.array(transform.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
    matrix[:3, 3] = np.array(transform.GetTranslation()) + center - matrix[:3, :3] @ center
    return _FLIP @ matrix @ _FLIP


def field_from_itk(field_image: sitk.Image) -> Volume:
    """A displacement field as (3, X, Y, Z) float32 RAS mm."""
    array = sitk.GetArrayFromImage(field_image).transpose(3, 2, 1, 0).astype(np.float32)
    array[:2] *= -1.0
    return Volume(array, affine_from_itk(field_image))


def composed(matrix: np.ndarray, displacement: Volume | None) -> sitk.Transform:
    """First the displacement (where there is one), then the affine (4, 4) RAS mm -> RAS mm."""
    affine = affine_about(matrix, np.zeros(3))
    if displacement is None:
        return affine
    vectors = displacement.array.astype(np.float64)
    vectors[:2] *= -1.0
    image = sitk.GetImageFromArray(np.ascontiguousarray(vectors.transpose(3, 2, 1, 0)), isVector=True)
    image.CopyInformation(to_itk(np.zeros(displacement.spatial_shape, np.uint8), displacement.affine))
    return sitk.CompositeTransform([affine, sitk.DisplacementFieldTransform(image)])
