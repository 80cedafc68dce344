"""Small pictures of stored images: which way up, how large, made again when the image changes."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from medsynth_app.errors import UnsupportedKindError
from medsynth_app.imaging.thumbnails import THUMBNAIL_PIXELS, axial_thumbnail, thumbnail_file
from medsynth_app.imaging.volume import Volume

RIGHT_FRONT = (slice(14, 18), slice(20, 24))
"""A bright block near the right and front end of a RAS image of 20 x 30 x 10 voxels."""


def head(axes: tuple[str, str, str] = ("R", "A", "S")) -> Volume:
    array = np.zeros((20, 30, 10), np.float32)
    array[2:18, 3:27, 1:9] = 40
    array[(*RIGHT_FRONT, slice(1, 9))] = 100
    image = nib.Nifti1Image(array, np.eye(4))
    change = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(np.eye(4)), nib.orientations.axcodes2ornt(axes)
    )
    turned = image.as_reoriented(change)
    return Volume(np.asarray(turned.dataobj)[None], turned.affine)


@pytest.mark.parametrize("axes", [("R", "A", "S"), ("L", "P", "S"), ("S", "L", "A"), ("P", "I", "R")])
def test_right_is_on_the_left_and_front_on_top_whatever_the_file_says(axes: tuple[str, str, str]) -> None:
    picture = axial_thumbnail(head(axes))
    assert picture.shape == (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS)
    assert picture.dtype == np.uint8
    rows, columns = np.nonzero(picture > 200)
    assert columns.mean() < THUMBNAIL_PIXELS / 2
    assert rows.mean() < THUMBNAIL_PIXELS / 2


def test_millimetres_are_square() -> None:
    flat = head()
    stretched = Volume(flat.array, flat.affine @ np.diag([3.0, 1.0, 1.0, 1.0]))
    shown = axial_thumbnail(stretched) > 0
    width, height = shown.any(axis=0).sum(), shown.any(axis=1).sum()
    assert width / height == pytest.approx(3 * 16 / 24, rel=0.1)


def test_values_that_are_no_numbers_are_black_and_a_constant_image_is_no_defect() -> None:
    volume = head()
    volume.array[0, :3] = np.nan
    assert axial_thumbnail(volume).max() == 255
    assert axial_thumbnail(Volume(np.ones((1, 4, 4, 4)), np.eye(4))).max() == 0


def test_a_file_is_made_once_and_again_when_the_image_changes(tmp_path: Path) -> None:
    source, target = tmp_path / "image.nii.gz", tmp_path / "kept" / "image.png"
    nib.save(nib.Nifti1Image(head().array[0], np.eye(4)), source)
    first = thumbnail_file(source, target)
    made = first.stat().st_mtime_ns
    assert thumbnail_file(source, target).stat().st_mtime_ns == made
    nib.save(nib.Nifti1Image(head().array[0, ::-1], np.eye(4)), source)
    os.utime(source, ns=(made + 10**9,) * 2)
    before = np.asarray(Image.open(target))
    assert not np.array_equal(np.asarray(Image.open(thumbnail_file(source, target))), before)


def test_pictures_keep_their_colours(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20), (200, 30, 30)).save(tmp_path / "skin.png")
    shown = np.asarray(Image.open(thumbnail_file(tmp_path / "skin.png", tmp_path / "small.png")))
    assert tuple(shown[48, 48]) == (200, 30, 30)
    assert tuple(shown[5, 48]) == (0, 0, 0)


def test_a_file_that_is_no_picture_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(UnsupportedKindError, match="not a readable picture"):
        thumbnail_file(tmp_path / "broken.png", tmp_path / "small.png")
    assert list(tmp_path.iterdir()) == [tmp_path / "broken.png"]


@pytest.mark.parametrize("kind", ["EPS", "BMP", "TIFF", "GIF"])
def test_an_ending_does_not_let_other_kinds_in(tmp_path: Path, kind: str) -> None:
    """Pillow alone would look at the first bytes and start Ghostscript for PostScript."""
    source = tmp_path / "image.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(source, kind)
    with pytest.raises(UnsupportedKindError):
        thumbnail_file(source, tmp_path / "kept.png")
