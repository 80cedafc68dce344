"""Small pictures of synthetic images: one, or a film of several of another size than the sheet that is answered."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.synthesis.generator import Synthetic
from medsynth_app.synthesis.previews import film_pngs, preview_png

MARK = SyntheticMark("skin_lesion_progression", "1", 7, {}, None)


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def film(count: int) -> Synthetic:
    frames = tuple(np.full((32, 32, 3), 20 * n, np.uint8) for n in range(count))
    return Synthetic(np.zeros((80, 200, 3), np.uint8), None, MARK, frames=frames)


def test_a_film_is_shown_by_its_pictures_not_by_the_sheet_that_is_answered() -> None:
    assert opened(preview_png(film(3))).size == (3 * 32 + 2 * 4, 32)


def test_every_picture_of_a_film_is_marked() -> None:
    pictures = [opened(png) for png in film_pngs(film(12))]
    assert [picture.getpixel((0, 0))[0] for picture in pictures] == [20 * n for n in range(12)]
    assert all("synthetic" in str(picture.info).lower() for picture in pictures)


def test_a_picture_that_is_no_film_is_its_own_preview() -> None:
    result = Synthetic(np.zeros((20, 24), np.uint8), None, MARK)
    assert opened(preview_png(result)).size == (24, 20)
    assert film_pngs(result) == []
