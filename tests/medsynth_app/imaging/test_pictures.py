"""Pictures: the patient's right on the left, labels in their colours, the notice on every one."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.geometry import reorient
from medsynth_app.imaging.pictures import (
    OUTLINE_COLOR,
    PictureStyle,
    draw_labels,
    draw_registration,
    label_color,
)
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import RESEARCH_NOTICE

STYLE = PictureStyle(pixels_per_mm=2.0, opacity=1.0, margin_mm=0.0)
SHAPE = (40, 50, 30)


def head() -> Volume:
    """A gray box in RAS that fills its field of view."""
    return Volume(np.full((1, *SHAPE), 100.0), np.eye(4))


def block(where: tuple[slice, slice, slice], value: int = 3) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[where] = value
    return labels


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def centers(png: bytes, color: tuple[int, int, int]) -> np.ndarray:
    """(N, 2) columns and rows of the pixels of about that colour."""
    pixels = np.asarray(opened(png).convert("RGB")).astype(int)
    rows, columns = np.nonzero(np.abs(pixels - color).max(axis=-1) < 12)
    return np.stack([columns, rows], axis=1)


def axial_width() -> int:
    return 40 * 2


def test_the_patients_right_front_is_on_the_left_top_of_the_axial_picture() -> None:
    labels = block((slice(30, 36), slice(40, 46), slice(10, 20)))
    png = draw_labels(head(), labels, {3: (255, 0, 0)}, style=STYLE)
    red = centers(png, (255, 0, 0))
    axial = red[red[:, 0] < axial_width()]
    height = 50 * 2
    assert axial[:, 0].mean() < 0.35 * axial_width()
    assert axial[:, 1].mean() - (STYLE.font_pixels + 8 + STYLE.gap) < 0.35 * height


@pytest.mark.parametrize("axes", [("L", "P", "S"), ("A", "S", "R"), ("I", "R", "A")])
def test_storage_order_does_not_change_the_picture(axes: tuple[str, str, str]) -> None:
    labels = block((slice(30, 36), slice(40, 46), slice(10, 20)))
    both = reorient(Volume(np.stack([head().array[0], labels]), np.eye(4)), axes)
    plain = draw_labels(head(), labels, style=STYLE, at_voxel=(33, 43, 15))
    image = Volume(both.array[:1], both.affine)
    index = np.rint(np.linalg.inv(both.affine) @ (33, 43, 15, 1))[:3].astype(int)
    turned = draw_labels(image, both.array[1], style=STYLE, at_voxel=tuple(index.tolist()))
    np.testing.assert_array_equal(np.asarray(opened(plain)), np.asarray(opened(turned)))


def test_every_picture_carries_the_notice() -> None:
    image = opened(draw_labels(head(), None))
    assert image.format == "PNG"
    assert image.text["Notice"] == RESEARCH_NOTICE  # type: ignore[attr-defined]


def test_an_unknown_side_shows_no_letters_for_it() -> None:
    known = np.asarray(opened(draw_labels(head(), None, side_known=True)))
    unknown = np.asarray(opened(draw_labels(head(), None, side_known=False)))
    assert known.shape == unknown.shape
    assert (known != unknown).any()


def test_millimetres_are_square() -> None:
    thick = Volume(np.full((1, 40, 50, 10), 100.0), np.diag([1.0, 1.0, 3.0, 1.0]))
    assert opened(draw_labels(thick, None)).size == opened(draw_labels(head(), None)).size


def test_default_planes_go_through_most_of_the_tumor() -> None:
    labels = block((slice(5, 15), slice(5, 15), slice(2, 12)), 2)
    green = centers(draw_labels(head(), labels, {2: (0, 255, 0)}, style=STYLE), (0, 255, 0))
    edges = np.cumsum([0, *(STYLE.gap + 2 * width for width in (40, 40, 50))])
    assert (np.histogram(green[:, 0], edges)[0] > 100).all()


def test_registration_picture_draws_the_template_outline() -> None:
    atlas_labels = block((slice(5, 35), slice(5, 45), slice(5, 25)), 7)
    png = draw_registration(head(), atlas_labels, style=STYLE)
    outline = centers(png, OUTLINE_COLOR)
    assert len(outline) > 500
    assert opened(png).size[1] > 2 * opened(draw_labels(head(), None, style=STYLE)).size[1]


def test_neighbouring_labels_look_different() -> None:
    colors = [np.array(label_color(label)) for label in range(1, 80)]
    assert min(np.abs(a - b).max() for a, b in zip(colors, colors[1:])) > 100
    assert len({tuple(color.tolist()) for color in colors}) == 79


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw_labels(Volume(np.ones((2, 4, 4, 4)), np.eye(4)), None), "must have one channel, has 2"),
        (lambda: draw_labels(head(), np.zeros((4, 4, 4))), r"labels: shape \(4, 4, 4\) differs"),
        (lambda: draw_labels(head(), None, at_voxel=(0, 50, 0)), r"at_voxel: \(0, 50, 0\) lies outside"),
        (lambda: draw_registration(head(), np.zeros(SHAPE)), "atlas_labels: are empty"),
    ],
)
def test_bad_input_is_refused(call: object, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        call()  # type: ignore[operator]
