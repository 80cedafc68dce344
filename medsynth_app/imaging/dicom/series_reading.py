"""A DICOM series -> ``Volume``, refusing what is no regular stack of parallel slices.

Positions come from the images' own tags; ITK's reader only decodes the voxels (all its transfer syntaxes, and
the rescale slope of each slice). Voxel order is columns, rows, slices along the normal of the image plane:
the order in which DICOM viewers build their volumes.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from medsynth_app.errors import InvalidValueError, UnsupportedKindError
from medsynth_app.imaging.plausible_grid import check_header_grid
from medsynth_app.imaging.volume import Volume

DIRECTION_TOLERANCE = 1e-3
GAP_TOLERANCE = 0.05
"""Slice distances may differ by this part of their median: one missing slice makes a distance of 200 %."""
ASIDE_TOLERANCE_MM = 0.5
"""A slice further from the line through all of them, in its own plane, is not where a stack would have it."""
RESCALING = "PixelValueTransformationSequence"
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

_GDCM_LOCK = threading.Lock()
"""GDCM keeps global state: two series read at once have ended the process (segmentation fault)."""


@dataclass(frozen=True)
class Slice:
    """One image of a series.

    Attributes:
        path: its file.
        frame: its index in the file.
        position: (3,) centre of the first voxel, LPS mm.
        directions: (2, 3) unit vectors along which column and row index grow, LPS.
        spacing: (2,) mm between columns and between rows.
        size: columns, rows.
        slope, intercept: what turns the stored values of a multi-frame image's frame into those it shows; None where
            the image itself tells it, for the decoder to apply.
    """

    path: Path
    frame: int
    position: np.ndarray
    directions: np.ndarray
    spacing: np.ndarray
    size: tuple[int, int]
    slope: float | None = None
    intercept: float = 0.0

    @property
    def height(self) -> float:
        """Place along the normal of the image plane, mm."""
        return float(self.position @ np.cross(self.directions[0], self.directions[1]))


def read_series(paths: Sequence[Path], name: str = "series") -> Volume:
    """Read the images of one series.

    Args:
        paths: its files in any order; single-frame images, or one multi-frame image.
        name: how errors call it.

    Returns:
        array (1, columns, rows, slices) float32, affine voxel -> RAS mm.

    Raises:
        UnsupportedKindError: not DICOM images, or they cannot be decoded (415).
        InvalidValueError: no position, one slice only, slices that differ in direction or size, several images
            at one place, a missing slice, one that lies aside, mosaics, an implausible
            voxel size (422).
    """
    slices = sorted((s for path in paths for s in _slices(path, name)), key=lambda s: s.height)
    _check_stack(slices, name)
    affine = _affine(slices)
    check_header_grid(affine, (*slices[0].size, len(slices)), name)
    return Volume(_voxels(slices, name)[None], affine)


def _slices(path: Path, name: str) -> list[Slice]:
    try:
        with path.open("rb") as file:
            image = dcmread(file, stop_before_pixels=True)
            _check_length(image, path.stat().st_size - file.tell(), name)
        if "MOSAIC" in (str(word).upper() for word in _words(image, "ImageType")):
            raise InvalidValueError(f"{name}: its images are mosaics of slices (ImageType MOSAIC), which are not read")
        frames = int(image.get("NumberOfFrames") or 1)
        if frames == 1 and "ImagePositionPatient" in image:
            return [_slice(image, path, 0, image, image, image)]
        return [_multi_frame_slice(image, path, index) for index in range(frames)]
    except InvalidDicomError as error:
        raise UnsupportedKindError(f"{name}: not a DICOM file") from error
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise InvalidValueError(
            f"{name}: an image does not tell its place (ImagePositionPatient, ImageOrientationPatient, PixelSpacing)"
        ) from error


def _check_length(image: Dataset, left: int, name: str) -> None:
    """A file that ends too early must not be read: GDCM fills what is missing with whatever it has.

    Args:
        image: its attributes.
        left: bytes of the file from the voxels on.
        name: how errors call it.
    """
    syntax = image.file_meta.get("TransferSyntaxUID")
    if syntax is None or syntax.is_compressed or syntax.is_deflated:
        return
    voxels = int(image.get("Rows") or 0) * int(image.get("Columns") or 0) * int(image.get("NumberOfFrames") or 1)
    wanted = voxels * int(image.get("SamplesPerPixel") or 1) * int(image.get("BitsAllocated") or 0) // 8
    if left < wanted:
        raise UnsupportedKindError(f"{name}: a file ends too early: {max(left, 0)} of {wanted} bytes of voxels")


def _words(image: Dataset, key: str) -> list[str]:
    value = image.get(key)
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _multi_frame_slice(image: Dataset, path: Path, index: int) -> Slice:
    own = image.PerFrameFunctionalGroupsSequence[index]
    shared = (image.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]

    def group(key: str) -> Any:
        return (own.get(key) or shared.get(key))[0]

    found = _slice(
        image, path, index, group("PlanePositionSequence"), group("PlaneOrientationSequence"),
        group("PixelMeasuresSequence"),
    )  # fmt: skip
    # Images that keep the slope outside of the groups have one for all frames.
    transformation = (own.get(RESCALING) or shared.get(RESCALING) or [image])[0]
    slope = float(transformation.get("RescaleSlope") or 1.0)
    return replace(found, slope=slope, intercept=float(transformation.get("RescaleIntercept") or 0.0))


def _slice(image: Dataset, path: Path, frame: int, position: Any, orientation: Any, measures: Any) -> Slice:
    directions = np.array([float(v) for v in orientation.ImageOrientationPatient]).reshape(2, 3)
    rows_apart, columns_apart = (float(v) for v in measures.PixelSpacing)
    return Slice(
        path=path,
        frame=frame,
        position=np.array([float(v) for v in position.ImagePositionPatient]).reshape(3),
        directions=directions,
        spacing=np.array([columns_apart, rows_apart]),
        size=(int(image.Columns), int(image.Rows)),
    )


def _check_stack(slices: Sequence[Slice], name: str) -> None:
    if len(slices) < 2:
        raise InvalidValueError(f"{name}: has {len(slices)} image, at least 2 slices make a volume")
    first = slices[0]
    for other in slices:
        turned = np.abs(other.directions - first.directions).max() > DIRECTION_TOLERANCE
        if turned or other.size != first.size or not np.allclose(other.spacing, first.spacing, rtol=1e-3):
            raise InvalidValueError(f"{name}: its images differ in direction or size (a localizer?)")
    gaps = np.diff([s.height for s in slices])
    middle = float(np.median(gaps))
    if gaps.min() < 0.1 * middle or middle < 1e-3:
        raise InvalidValueError(f"{name}: has several images at one place (echoes, times or b-values)")
    if np.abs(gaps - middle).max() > GAP_TOLERANCE * middle:
        raise InvalidValueError(
            f"{name}: slices are missing: the distances are {gaps.min():.2f} to {gaps.max():.2f} mm"
        )
    _check_line(slices, name)


def _check_line(slices: Sequence[Slice], name: str) -> None:
    """The slices must lie on one straight line: their distances say nothing of a slice that is aside in its plane.

    A steady step from slice to slice (a tilted stack) is a line too, and the affine tells it.
    """
    positions = np.array([s.position for s in slices])
    # Between slices far apart: positions are rounded, and an error of a step would add up.
    apart = len(slices) // 2
    step = np.median(positions[apart:] - positions[:-apart], axis=0) / apart
    steps = positions - np.arange(len(slices))[:, None] * step
    aside = (steps - np.median(steps, axis=0)) @ slices[0].directions.T
    distances = np.linalg.norm(aside, axis=1)
    if distances.max() > ASIDE_TOLERANCE_MM:
        worst = int(distances.argmax())
        raise InvalidValueError(
            f"{name}: slice {worst + 1} of {len(slices)} lies {distances[worst]:.1f} mm aside in its plane "
            f"(allowed: {ASIDE_TOLERANCE_MM:g} mm)"
        )


def _affine(slices: Sequence[Slice]) -> np.ndarray:
    """(4, 4), voxel (column, row, slice) -> RAS mm; PS3.3 equation C.7.6.2.1-1 for the plane."""
    first, last = slices[0], slices[-1]
    affine = np.eye(4)
    affine[:3, 0] = first.directions[0] * first.spacing[0]
    affine[:3, 1] = first.directions[1] * first.spacing[1]
    affine[:3, 2] = (last.position - first.position) / (len(slices) - 1)
    affine[:3, 3] = first.position
    return LPS_TO_RAS @ affine


def _voxels(slices: Sequence[Slice], name: str) -> np.ndarray:
    """(columns, rows, slices) float32."""
    import SimpleITK as sitk  # noqa: PLC0415 - 0.5 s to import

    files = list(dict.fromkeys(str(s.path) for s in slices))
    try:
        with _GDCM_LOCK:
            if len(files) == len(slices) and all(s.slope is None for s in slices):
                series = sitk.ImageSeriesReader()
                series.SetImageIO("GDCMImageIO")
                series.SetFileNames(files)
                # The type of the first slice would be taken for all, and slopes differ from slice to slice.
                series.SetOutputPixelType(sitk.sitkFloat32)
                array = sitk.GetArrayFromImage(series.Execute())
            else:
                stored = {f: _stored_frames(f, sitk) for f in files}
                array = np.stack([_shown(stored[str(s.path)][s.frame], s) for s in slices])
    except (RuntimeError, IndexError) as error:
        raise UnsupportedKindError(f"{name}: its voxels cannot be decoded") from error
    if array.shape != (len(slices), *slices[0].size[::-1]):
        raise UnsupportedKindError(f"{name}: must hold one number a voxel, has shape {array.shape}")
    if not np.isfinite(array).all():
        raise InvalidValueError(f"{name}: holds NaN or infinite voxels")
    return np.ascontiguousarray(array.transpose(2, 1, 0))


def _shown(stored: np.ndarray, place: Slice) -> np.ndarray:
    """Stored values as the image shows them, float32."""
    if place.slope is None:
        return stored.astype(np.float32)
    return (stored * place.slope + place.intercept).astype(np.float32)


def _stored_frames(file: str, sitk: Any) -> np.ndarray:
    """The frames of an image, (N, rows, columns) float64, before any slope.

    GDCM applies the slope of the first frame to all of them: it is given a copy that has none.
    """
    image = dcmread(file)
    if not image.get("PerFrameFunctionalGroupsSequence"):
        return _frames(sitk.ReadImage(file, sitk.sitkFloat64, "GDCMImageIO"), sitk)
    groups = [*(image.get("SharedFunctionalGroupsSequence") or []), *image.PerFrameFunctionalGroupsSequence]
    for holder in (image, *groups):
        for key in (RESCALING, "RescaleSlope", "RescaleIntercept", "RealWorldValueMappingSequence"):
            if key in holder:
                delattr(holder, key)
    with tempfile.TemporaryDirectory(prefix="medsynth-") as folder:
        plain = f"{folder}/image.dcm"
        image.save_as(plain)
        return _frames(sitk.ReadImage(plain, sitk.sitkFloat64, "GDCMImageIO"), sitk)


def _frames(image: Any, sitk: Any) -> np.ndarray:
    array = sitk.GetArrayFromImage(image)
    return array if array.ndim > 2 else array[None]
