"""A small picture of a stored image, for lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from medsynth_app.errors import UnsupportedKindError
from medsynth_app.files import whole_file
from medsynth_app.imaging.geometry import reorient
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.studies.folder_entries import PICTURE_ENDINGS, PICTURE_FORMATS
from medsynth_app.imaging.upright_picture import flattened, upright
from medsynth_app.imaging.volume import Volume

THUMBNAIL_PIXELS = 96
LARGEST_PICTURE_PIXELS = 64_000_000


def axial_thumbnail(volume: Volume) -> np.ndarray:
    """The axial slice through the most tissue, hung as in radiology: the patient's right on the left, front on top.

    Args:
        volume: (1, X, Y, Z), any orientation and range.

    Returns:
        (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS) uint8, square millimetres, black around.
    """
    upright = reorient(Volume(volume.array[:1].astype(np.float32), volume.affine))
    image = np.nan_to_num(upright.array[0], nan=0.0, posinf=0.0, neginf=0.0)
    inside = image > image.min()
    axial = image[:, :, int(inside.sum(axis=(0, 1)).argmax())]
    low, high = np.percentile(axial, [0.5, 99.5])
    grey = np.clip((axial - low) / max(float(high - low), 1e-6), 0.0, 1.0)
    rows = np.rint(255 * grey[::-1, ::-1].T).astype(np.uint8)
    right, front = (float(s) for s in upright.spacing[:2])
    return _framed(Image.fromarray(rows), (rows.shape[1] * right, rows.shape[0] * front))


def thumbnail_file(source: Path, target: Path) -> Path:
    """The thumbnail of an image file as a PNG, made when there is none or the image is newer.

    Args:
        source: NIfTI, NRRD, PNG or JPEG.
        target: where it is kept.

    Raises:
        UnsupportedKindError, InvalidValueError: the file cannot be read (415, 422).
    """
    if target.is_file() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns:
        return target
    if source.name.lower().endswith(PICTURE_ENDINGS):
        pixels = _picture_thumbnail(source)
    else:
        pixels = axial_thumbnail(read_volume(source, source.name))
    with whole_file(target) as beside:
        Image.fromarray(pixels).save(beside)
    return target


def _picture_thumbnail(path: Path) -> np.ndarray:
    try:
        with Image.open(path, formats=PICTURE_FORMATS) as picture:
            if picture.width * picture.height > LARGEST_PICTURE_PIXELS:
                raise UnsupportedKindError(f"image: {picture.width} x {picture.height} pixels are too many to show")
            seen = flattened(upright(picture), "RGB")
            return _framed(seen, seen.size)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise UnsupportedKindError("image: is not a readable picture") from error


def _framed(picture: Image.Image, sides: tuple[float, float]) -> np.ndarray:
    """The picture as large as fits into the square, in the middle of it.

    Args:
        picture: grey or RGB.
        sides: its width and height in mm or pixels, which give its proportions.
    """
    scale = THUMBNAIL_PIXELS / max(sides)
    wanted = (max(1, round(sides[0] * scale)), max(1, round(sides[1] * scale)))
    frame = Image.new(picture.mode, (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    smaller = max(picture.size) > max(wanted)
    small = picture.resize(wanted, Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR)
    frame.paste(small, ((THUMBNAIL_PIXELS - wanted[0]) // 2, (THUMBNAIL_PIXELS - wanted[1]) // 2))
    return np.asarray(frame)
