"""One picture of a user's folder as 8 bits: PNG, JPEG, a DICOM image or a NIfTI slice.

What is stored with more than 8 bits becomes grey levels by its own window, else by percentiles, as a viewer shows
it. A file that cannot be trusted is refused with its name.
"""

from __future__ import annotations

import logging
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from PIL import Image, UnidentifiedImageError

from medsynth_app.errors import InvalidValueError, NotFoundError, TooLargeError, UnsupportedKindError
from medsynth_app.imaging.dicom.series_facts import says_synthetic
from medsynth_app.imaging.formats.expanded_size import check_expanded_size
from medsynth_app.imaging.formats.nifti_file import open_nifti
from medsynth_app.imaging.provenance.marking import is_marked_synthetic
from medsynth_app.imaging.studies.folder_entries import PICTURE_FORMATS
from medsynth_app.imaging.upright_picture import flattened, is_transparent, upright

logger = logging.getLogger(__name__)

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg")
DICOM_ENDINGS = (".dcm", ".ima")
NIFTI_ENDINGS = (".nii", ".nii.gz")
ENDINGS = (*PICTURE_ENDINGS, *DICOM_ENDINGS, *NIFTI_ENDINGS)
LARGEST_SIDE = 8192
"""A mammogram has 4800 pixels a side."""
LARGEST_FILE_BYTES = 512 << 20
WINDOW_PERCENTILES = (0.5, 99.5)


def is_picture_name(name: str) -> bool:
    """Whether a file of this name is one that ``read_picture`` opens."""
    return name.lower().endswith(ENDINGS)


def read_picture(path: Path, name: str | None = None, *, paper: int = 255) -> Image.Image:
    """Read one picture, upright as its EXIF orientation says.

    Args:
        path: PNG, JPEG, single-frame DICOM, or NIfTI with one slice (shown as radiologists hang an axial slice: the
            patient's right is on the left, the front at the top).
        name: how errors call it; the file's name by default.
        paper: grey level of transparent places.

    Returns:
        A picture of mode ``L`` or ``RGB``.

    Raises:
        NotFoundError: there is no such file.
        UnsupportedKindError: it cannot be decoded.
        InvalidValueError: it is marked as synthetic, holds NaN, or several frames or slices.
        TooLargeError: more than 8192 pixels a side.
    """
    name = name or path.name
    if not path.is_file():
        raise NotFoundError(f"{name}: there is no such file")
    check_expanded_size(path, name, LARGEST_FILE_BYTES)
    lower = path.name.lower()
    if lower.endswith(DICOM_ENDINGS):
        return _read_dicom(path, name)
    if is_marked_synthetic(path):
        raise InvalidValueError(f"{name}: says that it is synthetic, generators learn from real images only")
    return _read_nifti(path, name) if lower.endswith(NIFTI_ENDINGS) else _read_encoded(path, name, paper)


def read_mask(path: Path, name: str | None = None) -> Image.Image:
    """A mask: mode ``L``, 255 where the file is not 0; raises as ``read_picture``."""
    grey = np.asarray(read_picture(path, name, paper=0).convert("L"))
    return Image.fromarray(np.where(grey > 0, 255, 0).astype(np.uint8))


def _read_encoded(path: Path, name: str, paper: int) -> Image.Image:
    try:
        with Image.open(path, formats=PICTURE_FORMATS) as picture:
            _check_size(picture.size, name)
            seen = upright(picture)
            if seen.mode in ("I", "F") or seen.mode.startswith("I;16"):
                return _grey(np.asarray(seen, dtype=np.float32), name)
            if is_transparent(seen):
                logger.warning("%s: is transparent in places, which were made %s", name, "white" if paper else "black")
            return flattened(seen, "L" if seen.mode in ("1", "L", "LA") else "RGB", paper)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnsupportedKindError(f"{name}: cannot be decoded as a picture") from error


def _read_dicom(path: Path, name: str) -> Image.Image:
    # Half a second to import, needed for this kind only.
    from pydicom import dcmread  # noqa: PLC0415
    from pydicom.errors import InvalidDicomError  # noqa: PLC0415
    from pydicom.pixel_data_handlers.util import apply_modality_lut, apply_voi_lut  # noqa: PLC0415

    try:
        dataset = dcmread(path)
        if says_synthetic(dataset):
            raise InvalidValueError(
                f"{name}: says that it is synthetic, generators learn from real images only"
            )
        _check_size((int(dataset.Columns), int(dataset.Rows)), name)
        pixels: Any = dataset.pixel_array
        if int(dataset.get("SamplesPerPixel", 1)) == 3 and pixels.ndim == 3:
            return Image.fromarray(np.ascontiguousarray(pixels, dtype=np.uint8))
        windowed = "WindowCenter" in dataset or "VOILUTSequence" in dataset
        grey = apply_modality_lut(pixels, dataset)
        grey = np.asarray(apply_voi_lut(grey, dataset) if windowed else grey, dtype=np.float32)
        inverted = str(dataset.get("PhotometricInterpretation", "")) == "MONOCHROME1"
    except (InvalidDicomError, AttributeError, ValueError, TypeError, LookupError, OSError, RuntimeError) as error:
        raise UnsupportedKindError(f"{name}: cannot be decoded as a DICOM image") from error
    return _grey(-grey if inverted else grey, name)


def _read_nifti(path: Path, name: str) -> Image.Image:
    try:
        image: Any = open_nifti(path, name)
        shape = tuple(int(n) for n in image.shape)
        if len(shape) > 2 and int(np.prod(shape[2:])) != 1:
            raise InvalidValueError(f"{name}: must be one slice, has shape {shape}")
        _check_size(shape[:2], name)
        if len(shape) == 3:
            image = nib.as_closest_canonical(image)
        flat = np.asarray(image.dataobj, dtype=np.float32).reshape(image.shape[:2])
    except (ImageFileError, OSError, EOFError, ValueError, TypeError, zlib.error) as error:
        raise UnsupportedKindError(f"{name}: cannot be decoded as a NIfTI slice") from error
    return _grey(flat[::-1, ::-1].T, name)


def _grey(values: np.ndarray, name: str) -> Image.Image:
    """Numbers of any range as 8 bits."""
    if values.ndim != 2:
        raise InvalidValueError(
            f"{name}: must be one picture of one number a pixel, has shape {values.shape}"
        )
    if not np.isfinite(values).all():
        raise InvalidValueError(f"{name}: holds NaN or infinite pixels")
    low, high = np.percentile(values, WINDOW_PERCENTILES)
    if high <= low:
        low, high = float(values.min()), float(values.max())
    scaled = np.clip((values - low) / max(float(high - low), 1e-6), 0.0, 1.0)
    return Image.fromarray(np.ascontiguousarray(np.rint(255.0 * scaled), dtype=np.uint8))


def _check_size(size: tuple[int, ...], name: str) -> None:
    if len(size) < 2 or min(size) < 2:
        raise InvalidValueError(f"{name}: must have at least 2 x 2 pixels, has {size}")
    if max(size) > LARGEST_SIDE:
        raise TooLargeError(
            f"{name}: has {size[0]} x {size[1]} pixels, at most {LARGEST_SIDE} a side are read"
        )
