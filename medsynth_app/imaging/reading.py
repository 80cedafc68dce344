"""Files -> ``Volume``, refusing what cannot be trusted instead of guessing."""

from __future__ import annotations

import gzip
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from medsynth_app.errors import InvalidValueError, NotFoundError, UnsupportedKindError
from medsynth_app.imaging.formats.nifti_file import check_voxel_bytes, open_nifti
from medsynth_app.imaging.formats.nifti_grid import read_nifti_grid
from medsynth_app.imaging.formats.nrrd import image_shape, read_nrrd
from medsynth_app.imaging.formats.nrrd_header import read_nrrd_header
from medsynth_app.imaging.geometry import same_grid
from medsynth_app.imaging.plausible_grid import check_header_grid
from medsynth_app.imaging.volume import Volume

NIFTI_ENDINGS = (".nii", ".nii.gz")
IMAGE_ENDINGS = (*NIFTI_ENDINGS, ".nrrd")
LARGEST_VOXEL_COUNT = 1024**3
"""More voxels than this in a header are taken for a mistake or an attack, and not allocated."""


def is_image_name(name: str) -> bool:
    """Whether a file of this name is one that ``read_volume`` opens."""
    return name.lower().endswith(IMAGE_ENDINGS)


def read_volume(path: Path, name: str | None = None, *, may_be_thin: bool = False) -> Volume:
    """Read a NIfTI or NRRD file.

    Args:
        path: the file.
        name: how errors call the image; the file's name by default.
        may_be_thin: a NRRD file of one voxel along an axis is read too: a label that a viewer cropped to one slice.

    Returns:
        array (C, X, Y, Z) in the file's own dtype where it is unscaled, else float32; affine voxel -> RAS mm.

    Raises:
        NotFoundError: there is no such file (404).
        UnsupportedKindError: not a readable image of these kinds (415).
        InvalidValueError: no voxels, 2-D, colours, NaN, or a header that contradicts itself (422).
    """
    name = name or path.name
    if not path.is_file():
        raise NotFoundError(f"{name}: there is no such file")
    if path.stat().st_size == 0:
        raise UnsupportedKindError(f"{name}: the file is empty")
    if path.name.lower().endswith(".nrrd"):
        volume = _read_nrrd(path, name, least_side=1 if may_be_thin else 2)
    else:
        volume = _read_nifti(path, name)
    check_header_grid(volume.affine, volume.spatial_shape, name)
    if np.issubdtype(volume.array.dtype, np.floating):
        with np.errstate(over="ignore"):
            # float32 is what every later step computes in: 1e300 is infinite there.
            single = volume.array.astype(np.float32, copy=False)
        if not np.isfinite(single).all():
            raise InvalidValueError(f"{name}: holds NaN or infinite voxels, only finite values are allowed")
    return volume


def read_channels(paths: list[Path], names: list[str] | None = None) -> Volume:
    """Read several single-channel files on one grid, as the channels of one image.

    Args:
        paths: one file a channel.
        names: how errors call each of them.

    Returns:
        array (len(paths), X, Y, Z) float32.

    Raises:
        InvalidValueError: no file, the files do not share one grid, or one has several channels (422).
        UnsupportedKindError: as in ``read_volume``.
    """
    if not paths:
        raise InvalidValueError("channels: at least one file is needed, got none")
    names = names or [path.name for path in paths]
    with ThreadPoolExecutor(len(paths)) as pool:
        volumes = list(pool.map(read_volume, paths, names))
    first = volumes[0]
    for volume, name in zip(volumes, names):
        if volume.array.shape[0] != 1:
            raise InvalidValueError(
                f"{name}: must be a single 3-D image, has {volume.array.shape[0]} channels"
            )
        if not same_grid(first, volume):
            raise InvalidValueError(
                f"{name}: its grid {volume.spatial_shape} differs from {names[0]} {first.spatial_shape} "
                "in shape or position; all sequences of a case must share one grid"
            )
    # First axis fastest, as NIfTI stores it: whoever crops first then turns only what is left.
    array = np.empty((len(volumes), *first.spatial_shape[::-1]), dtype=np.float32).transpose(0, 3, 2, 1)
    for channel, volume in zip(array, volumes):
        channel[...] = volume.array[0]
    return Volume(array, first.affine)


def _read_nifti(path: Path, name: str) -> Volume:
    try:
        image: Any = open_nifti(path, name)
        _check_shape(image.shape, name)
        _check_type(image.get_data_dtype(), name)
        check_voxel_bytes(image, name)
        affine = read_nifti_grid(path, name)
        array = _voxels(image)
    except (
        ImageFileError,
        HeaderDataError,
        OSError,
        EOFError,
        ValueError,
        zlib.error,
        gzip.BadGzipFile,
    ) as error:
        raise UnsupportedKindError(
            f"{name}: not a readable NIfTI file (.nii or .nii.gz): {type(error).__name__}"
        ) from error
    array = array.reshape(array.shape[:3] + (-1,))
    affine = np.asarray(image.affine, dtype=np.float64) if affine is None else affine
    return _named_volume(np.moveaxis(array, 3, 0), affine, name)


def _named_volume(array: np.ndarray, affine: np.ndarray, name: str) -> Volume:
    try:
        return Volume(array, affine)
    except InvalidValueError as error:
        raise InvalidValueError(f"{name}: {error.message}") from error


def _voxels(image: Any) -> np.ndarray:
    """The voxels without a detour through float64 where the file stores plain integers."""
    slope, intercept = image.dataobj.slope, image.dataobj.inter
    if slope == 1 and intercept == 0:
        return np.asarray(image.dataobj.get_unscaled())
    return image.get_fdata(dtype=np.float32, caching="unchanged")


def _check_shape(shape: tuple[int, ...], name: str, least_side: int = 2) -> None:
    if len(shape) not in (3, 4) or min(shape) < 1 or min(shape[:3]) < least_side:
        raise InvalidValueError(f"{name}: must be a 3-D image (or 4-D with channels last), has shape {shape}")
    if int(np.prod([int(n) for n in shape])) > LARGEST_VOXEL_COUNT:
        raise InvalidValueError(f"{name}: shape {shape} exceeds {LARGEST_VOXEL_COUNT} voxels")


def _check_type(dtype: np.dtype, name: str) -> None:
    if dtype.kind not in "biuf":
        raise InvalidValueError(f"{name}: must hold one number a voxel, not colours or complex ({dtype})")


def _read_nrrd(path: Path, name: str, least_side: int = 2) -> Volume:
    header = read_nrrd_header(path, name)
    _check_shape(image_shape(header, name), name, least_side)
    try:
        return read_nrrd(path, header, name)
    except InvalidValueError as error:
        raise error if error.message.startswith(name) else InvalidValueError(f"{name}: {error.message}") from error
