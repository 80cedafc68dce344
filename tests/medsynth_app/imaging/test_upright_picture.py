"""A photograph is read as a viewer shows it, at every door that takes pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.thumbnails import thumbnail_file
from medsynth_app.imaging.upright_picture import flattened, is_transparent, upright
from medsynth_app.synthesis.data.image_file import read_mask, read_picture
from medsynth_app.synthesis.data.images import PictureSource, read_pictures
from medsynth_app.synthesis.skin.dataset import read_lesions
from medsynth_app.synthesis.skin.inversion import read_lesion_picture

ORIENTATION = 0x0112
TURNS = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.swapaxes(0, 1),
         6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: np.rot90}  # fmt: skip
"""EXIF orientation -> stored pixels as they are seen."""


def scene() -> np.ndarray:
    """96 x 64 pixels, a blue lesion near one corner of reddish skin."""
    pixels = np.full((64, 96, 3), (220, 150, 130), np.uint8)
    pixels[8:24, 10:40] = (60, 50, 140)
    return pixels


def save(path: Path, pixels: np.ndarray, orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 95, "subsampling": 0} if path.suffix.lower() in (".jpg", ".jpeg") else {}
    Image.fromarray(pixels).save(path, exif=exif, **options)
    return path


READERS: dict[str, Callable[[Path], Image.Image]] = {
    "folders for training": read_picture,
    "inversion upload": read_lesion_picture,
    "inversion bytes": lambda path: read_lesion_picture(path.read_bytes()),
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_picture_is_upright(
    tmp_path: Path, read: Callable[[Path], Image.Image], orientation: int, ending: str
) -> None:
    stored = scene()
    path = save(tmp_path / f"a{ending}", stored, orientation)
    seen = np.asarray(read(path).convert("RGB")).astype(int)
    expected = TURNS[orientation](stored).astype(int)
    assert seen.shape == expected.shape
    assert np.abs(seen - expected).mean() < 3


def test_thumbnail_is_upright(tmp_path: Path) -> None:
    turned = thumbnail_file(save(tmp_path / "a.jpg", scene(), 6), tmp_path / "a.png")
    plain = thumbnail_file(save(tmp_path / "b.jpg", np.ascontiguousarray(np.rot90(scene(), -1))), tmp_path / "b.png")
    difference = np.asarray(Image.open(turned)).astype(int) - np.asarray(Image.open(plain)).astype(int)
    assert np.abs(difference).mean() < 3


def test_mask_of_a_turned_picture_lies_on_the_lesion_or_is_refused(tmp_path: Path) -> None:
    picture = save(tmp_path / "a.jpg", scene(), 6)
    seen = np.rot90(scene(), -1)
    lesion = np.where(seen[..., 2] > seen[..., 0], 255, 0).astype(np.uint8)
    source = PictureSource(picture, "a", "retina", "normal", "p1", mask=save(tmp_path / "a_mask.png", lesion))
    read = read_pictures([source], 32)
    blue = read.images[0, 2].astype(int) > read.images[0, 0].astype(int)
    assert (blue == read.masks[0]).mean() > 0.97
    save(tmp_path / "a_mask.png", np.ascontiguousarray(np.rot90(lesion)))
    with pytest.raises(InvalidValueError, match=r"mask of a: has \(96, 64\) pixels, the picture \(64, 96\)"):
        read_pictures([source], 32)


def test_transparent_places_become_white_and_it_is_told(tmp_path: Path, caplog: Any) -> None:
    pixels = np.dstack([np.zeros_like(scene()), np.zeros((64, 96), np.uint8)])
    pixels[:, :48] = (*(200, 120, 100), 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with caplog.at_level(logging.WARNING):
        assert np.asarray(read_picture(tmp_path / "a.png"))[0, -1].tolist() == [255, 255, 255]
    assert "transparent" in caplog.text
    told = read_lesion_picture(tmp_path / "a.png")
    assert np.asarray(told)[0, -1].tolist() == [255, 255, 255]
    assert "transparent" in told.info["note"]
    assert read_lesion_picture(save(tmp_path / "b.png", scene())).info == {}
    # in a mask, transparent is nothing
    assert np.asarray(read_mask(tmp_path / "a.png"))[0, -1] == 0


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_every_kind_of_transparency_is_seen(mode: str) -> None:
    over = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    picture = over.convert("P") if mode in ("P", "PA") else over.convert(mode)
    if mode in ("P", "PA"):
        picture = Image.new("P", (4, 4), 0)
        picture.info["transparency"] = 0
        picture = picture.convert("PA") if mode == "PA" else picture
    assert is_transparent(picture)
    assert np.asarray(flattened(picture, "L")).min() == 255
    assert not is_transparent(Image.new("RGBA", (4, 4), (9, 9, 9, 255)))
    assert upright(Image.new("L", (3, 2))).size == (3, 2)


@pytest.mark.parametrize(
    ("table", "ending"),
    [("HAM10000_metadata.csv", ".jpg"), ("metadata.csv", ".JPG"), ("HAM10000_metadata", ".jpeg"),
     ("Metadata.CSV", ".Jpg")],
)  # fmt: skip
def test_kaggles_names_are_found(tmp_path: Path, table: str, ending: str) -> None:
    (tmp_path / table).write_text("lesion_id,image_id,dx\nHAM_1,ISIC_1,nv\nHAM_2,ISIC_2,mel\n", encoding="utf-8")
    for number in (1, 2):
        save(tmp_path / "HAM10000_images_part_1" / f"ISIC_{number}{ending}", scene())
    assert read_lesions(tmp_path, 32).names.tolist() == ["ISIC_1", "ISIC_2"]


def test_lesion_with_a_turned_mask_is_left_out_and_named(tmp_path: Path, caplog: Any) -> None:
    (tmp_path / "metadata.csv").write_text("lesion_id,image_id,dx\nHAM_1,A,nv\nHAM_2,B,mel\n", encoding="utf-8")
    for name, turns in (("A", 0), ("B", 1)):
        save(tmp_path / f"{name}.jpg", scene())
        mask = np.where(scene()[..., 2] > 135, 255, 0).astype(np.uint8)
        save(tmp_path / f"{name}.png", np.ascontiguousarray(np.rot90(mask, turns)))
    with caplog.at_level(logging.WARNING):
        assert read_lesions(tmp_path, 32, masks=True).names.tolist() == ["A"]
    assert "mask of B" in caplog.text
