"""Where a NIfTI header places its voxels: as the viewers (ITK, 3D Slicer) read it, or refused.

A header can tell the place up to three times (sform, qform, voxel sizes alone), each in one of four units, and
programs choose differently. A label is only right if it lies where the viewer shows the image, so the rule here is
ITK's: the voxel size comes from ``pixdim``, the directions from the sform where it is scanner anatomy or the only
one, else from the qform; without either the axes are ITK's own (left, posterior, superior, from 0); all of it is
scaled by ``xyzt_units``. What ITK refuses, or where the two forms tell different places, is refused.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.openers import ImageOpener
from nibabel.quaternions import quat2mat

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.geometry import corner_distance
from medsynth_app.imaging.plausible_grid import check_header_grid

FORM_TOLERANCE_MM = 1.0
"""Forms of one header that place a corner further apart than this are refused."""
SAME_PLACE_MM = 1e-3
"""Closer than this to the header's own matrix, that is taken: it has lost less by rounding."""
SHEAR_TOLERANCE = 1e-4
"""Largest cosine between two axes of a matrix that ITK takes for a rotation."""
QUATERNION_TOLERANCE = 1e-5
SCANNER_ANATOMY = 1
CODES = range(6)
UNITS = {1: (1000.0, "metre"), 2: (1.0, "mm"), 3: (0.001, "micron")}
UNKNOWN_UNIT = (1.0, "unknown")
_WITHOUT_FORM = np.diag([-1.0, -1.0, 1.0])  # ITK's identity (left, posterior, superior) in RAS


def read_nifti_grid(path: Path, name: str) -> np.ndarray | None:
    """The affine of a NIfTI file.

    Args:
        path: ``.nii`` or ``.nii.gz``; only its header is read.
        name: how errors call the image.

    Returns:
        (4, 4) float64, voxel -> RAS mm; None for a header of another kind.

    Raises:
        InvalidValueError: the header contradicts itself, is sheared, or tells an implausible grid (422).
    """
    header = _raw_header(path)
    if header is None:
        return None
    shape = _shape(header)
    scale, unit = UNITS.get(int(header["xyzt_units"]) & 7, UNKNOWN_UNIT)
    sform, qform = _sform(header, name), _qform(header, name)
    _check_pixdim(header, name)
    _check_agreement(sform, qform, shape, scale, name)
    affine = _chosen(header, sform, qform, name)
    own = sform if sform is not None else qform
    if own is not None:
        affine = _checked_against(own, affine, shape, scale, name)
    # scale 1 is left alone: a product would be the same, a copy of the header's numbers is plainly so
    affine = affine if scale == 1.0 else np.vstack([affine[:3] * scale, affine[3:]])
    check_header_grid(affine, shape, name, because=f"pixdim {_numbers(header)}, xyzt_units {unit}")
    return affine


def _raw_header(path: Path) -> nib.Nifti1Header | None:
    """The header as it stands in the file: nibabel's own reading mends codes and signs without a word."""
    with ImageOpener(str(path)) as file:
        for kind in (nib.Nifti1Header, nib.Nifti2Header):
            block = file.read(kind.template_dtype.itemsize)
            if kind.may_contain_header(block):
                order = "<" if int(np.frombuffer(block[:4], "<i4")[0]) == kind.sizeof_hdr else ">"
                return kind(block, endianness=order, check=False)
            file.seek(0)
    return None


def _shape(header: nib.Nifti1Header) -> tuple[int, int, int]:
    sides = [int(side) for side in header["dim"][1:4]]
    return tuple(max(side, 1) for side in sides)  # type: ignore[return-value]


def _numbers(header: nib.Nifti1Header) -> str:
    return ", ".join(f"{float(value):g}" for value in header["pixdim"][1:4])


def _check_pixdim(header: nib.Nifti1Header, name: str) -> None:
    sizes = np.asarray(header["pixdim"][1:4], dtype=np.float64)
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        raise InvalidValueError(f"{name}: pixdim {_numbers(header)} must be three positive numbers")


def _code(header: nib.Nifti1Header, field: str, name: str) -> int:
    code = int(header[field])
    if code not in CODES:
        raise InvalidValueError(f"{name}: {field} {code} must be one of {', '.join(map(str, CODES))}")
    return code


def _sform(header: nib.Nifti1Header, name: str) -> np.ndarray | None:
    if _code(header, "sform_code", name) == 0:
        return None
    rows = [np.asarray(header[field], dtype=np.float64) for field in ("srow_x", "srow_y", "srow_z")]
    sform = np.vstack([*rows, [0.0, 0.0, 0.0, 1.0]])
    if not np.isfinite(sform).all() or np.linalg.norm(sform[:3, :3], axis=0).min() == 0:
        raise InvalidValueError(f"{name}: its sform must be invertible, with finite numbers")
    return sform


def _qform(header: nib.Nifti1Header, name: str) -> np.ndarray | None:
    if _code(header, "qform_code", name) == 0:
        return None
    b, c, d = (float(header[f"quatern_{letter}"]) for letter in "bcd")
    square = b * b + c * c + d * d
    if not square <= 1 + QUATERNION_TOLERANCE:
        raise InvalidValueError(
            f"{name}: its qform's quaternion ({b:g}, {c:g}, {d:g}) must have a length of at most 1, "
            f"has {np.sqrt(square):.4g}"
        )
    sizes = np.asarray(header["pixdim"][1:4], dtype=np.float64)
    sizes[2] *= -1.0 if float(header["pixdim"][0]) < 0 else 1.0
    qform = np.eye(4)
    qform[:3, :3] = quat2mat([np.sqrt(max(0.0, 1 - square)), b, c, d]) * sizes
    qform[:3, 3] = [float(header[f"qoffset_{letter}"]) for letter in "xyz"]
    if not np.isfinite(qform).all():
        raise InvalidValueError(f"{name}: its qform must be finite")
    return qform


def _check_agreement(
    sform: np.ndarray | None,
    qform: np.ndarray | None,
    shape: tuple[int, int, int],
    scale: float,
    name: str,
) -> None:
    """sform and qform must tell the same place: viewers and libraries read different ones of them."""
    if sform is None or qform is None:
        return
    distance = corner_distance(sform, qform, shape) * scale
    # In an image of two thin slices an axis can run the other way within the tolerance; NaN compares false.
    reversed_axis = ((sform[:3, :3] * qform[:3, :3]).sum(axis=0) < 0).any()
    if not distance <= FORM_TOLERANCE_MM or reversed_axis:
        raise InvalidValueError(
            f"{name}: its sform and qform disagree by {distance:.1f} mm "
            f"(allowed: {FORM_TOLERANCE_MM:.0f} mm, no axis reversed); "
            "left and right cannot be told, rewrite the header with the right one in both"
        )


def _chosen(
    header: nib.Nifti1Header, sform: np.ndarray | None, qform: np.ndarray | None, name: str
) -> np.ndarray:
    """The place that ITK takes, its axes as long as ``pixdim`` says; in the header's unit."""
    sizes = np.asarray(header["pixdim"][1:4], dtype=np.float64)
    affine = np.eye(4)
    if sform is None and qform is None:
        affine[:3, :3] = _WITHOUT_FORM * sizes
        return affine
    form = qform
    if sform is not None and _is_rotation(sform):
        scanner = int(header["sform_code"]) == SCANNER_ANATOMY
        form = sform if scanner or qform is None or np.allclose(sform, qform, rtol=0, atol=1e-4) else qform
    if form is None:
        raise InvalidValueError(
            f"{name}: the axes of its sform are not at right angles (sheared) and there is no qform; "
            "viewers refuse it, resample the image to a grid with right angles"
        )
    affine[:3, :3] = form[:3, :3] / np.linalg.norm(form[:3, :3], axis=0) * sizes
    affine[:3, 3] = form[:3, 3]
    return affine


def _is_rotation(form: np.ndarray) -> bool:
    directions = form[:3, :3] / np.linalg.norm(form[:3, :3], axis=0)
    return bool(np.abs(directions.T @ directions - np.eye(3)).max() <= SHEAR_TOLERANCE)


def _checked_against(
    own: np.ndarray, affine: np.ndarray, shape: tuple[int, int, int], scale: float, name: str
) -> np.ndarray:
    """The header's own matrix where ITK reads the same; ITK's where they differ by little.

    Raises:
        InvalidValueError: ITK would show the image elsewhere, because ``pixdim`` tells other voxel sizes.
    """
    distance = corner_distance(own, affine, shape) * scale
    if not distance <= FORM_TOLERANCE_MM:
        raise InvalidValueError(
            f"{name}: its sform tells voxels of {np.linalg.norm(own[:3, :3], axis=0).round(4).tolist()}, its pixdim "
            f"{np.linalg.norm(affine[:3, :3], axis=0).round(4).tolist()}: corners lie {distance:.1f} mm apart, "
            f"allowed is {FORM_TOLERANCE_MM:.0f} mm; rewrite the header with the right sizes in both"
        )
    return own if distance <= SAME_PLACE_MM else affine
