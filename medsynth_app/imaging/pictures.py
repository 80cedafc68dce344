"""Pictures a person can check: three planes with coloured labels, and whether the registration holds.

Radiological convention: the patient's right is on the left of axial and coronal pictures, and letters at the
edges say so (``?`` where the header does not tell). Every picture carries the research-only notice, on it and
in a PNG text chunk. Drawn with Pillow, without global state.
"""

from __future__ import annotations

import colorsys
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from scipy.ndimage import binary_dilation

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.brain_regions import SIDED_REGIONS, Lobe
from medsynth_app.imaging.geometry import foreground_box, reorient
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import RESEARCH_NOTICE, TumorLabel

Color = tuple[int, int, int]

TUMOR_COLORS: dict[int, Color] = {
    int(TumorLabel.NECROTIC_CORE): (70, 120, 255),
    int(TumorLabel.EDEMA): (70, 200, 90),
    int(TumorLabel.ENHANCING_TUMOR): (255, 80, 60),
}
OUTLINE_COLOR: Color = (255, 215, 0)
DEEP_COLOR: Color = (0, 220, 255)


@dataclass(frozen=True)
class PictureStyle:
    """How pictures look.

    Attributes:
        pixels_per_mm: size of the drawing.
        opacity: of label colours over the image, 0 to 1.
        margin_mm: black border kept around the head; empty field of view beyond it is cut off.
        gap: pixels between panels.
        font_pixels: height of letters.
    """

    pixels_per_mm: float = 2.0
    opacity: float = 0.5
    margin_mm: float = 14.0
    gap: int = 6
    font_pixels: int = 14


@dataclass(frozen=True)
class _Plane:
    """A plane of a RAS image: the axis it cuts, and the letters at its left, right, top and bottom."""

    name: str
    axis: int
    letters: tuple[str, str, str, str]


_PLANES = (
    _Plane("axial", 2, ("R", "L", "A", "P")),
    _Plane("coronal", 1, ("R", "L", "S", "I")),
    _Plane("sagittal", 0, ("A", "P", "S", "I")),
)


def label_color(label: int) -> Color:
    """A colour for an atlas label: neighbours in number get hues far apart."""
    hue = (label * 0.61803398875) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 1.0)
    return int(255 * red), int(255 * green), int(255 * blue)


def draw_labels(
    image: Volume,
    labels: np.ndarray | None,
    colors: Mapping[int, Color] | None = None,
    *,
    at_voxel: tuple[int, int, int] | None = None,
    side_known: bool = True,
    title: str = "",
    legend: Mapping[int, str] | None = None,
    style: PictureStyle = PictureStyle(),
) -> bytes:
    """Axial, coronal and sagittal slices with coloured labels.

    Args:
        image: (1, X, Y, Z), any orientation.
        labels: (X, Y, Z) on the same grid, 0 is transparent; None draws the image alone.
        colors: label -> RGB; by default the tumour's colours, and ``label_color`` for other values.
        at_voxel: where the planes meet, index of ``image``; by default where most labels are, or the middle.
        side_known: draw R and L, or ``?`` where the header does not tell them.
        title: words above the panels (Latin letters).
        legend: label -> its name (Latin letters), written below the panels beside the label's colour.
        style: how it looks.

    Returns:
        A PNG file.

    Raises:
        InvalidValueError: several channels, labels of another shape, or a voxel outside the image.
    """
    stack, point = _upright(image, [] if labels is None else [labels], at_voxel, style)
    canvas = _colored(stack.array[0], stack.array[1] if labels is not None else None, colors, style)
    panels = [_panel(canvas, stack.spacing, plane, point, side_known, style) for plane in _PLANES]
    names = [(_color_of(label, colors), name) for label, name in (legend or {}).items()]
    return _png([panels], title, style, names)


def draw_registration(
    image: Volume,
    atlas_labels: np.ndarray,
    *,
    tumor: np.ndarray | None = None,
    side_known: bool = True,
    title: str = "",
    style: PictureStyle = PictureStyle(),
) -> bytes:
    """Contours of the template over the patient, at three levels of each plane.

    A good registration has the yellow line on the edge of the brain and the blue lines on the ventricles.

    Args:
        image: (1, X, Y, Z) the registered image.
        atlas_labels: (X, Y, Z) atlas labels brought to the image's grid.
        tumor: (X, Y, Z) mask shown in red.
        side_known: draw R and L, or ``?``.
        title: words above the panels (Latin letters).
        style: how it looks.

    Returns:
        A PNG file.

    Raises:
        InvalidValueError: as in ``draw_labels``, or an atlas that lies outside the image.
    """
    if not np.any(atlas_labels):
        raise InvalidValueError("atlas_labels: are empty, the registration moved the atlas out of the image")
    ventricles = np.isin(atlas_labels, [r.label for r in SIDED_REGIONS if r.region.lobe is Lobe.VENTRICLE])
    mask = np.zeros(image.spatial_shape, bool) if tumor is None else tumor != 0
    stack, _ = _upright(image, [atlas_labels != 0, ventricles, mask], None, style)
    canvas = _colored(stack.array[0], (stack.array[3] > 0).astype(np.uint8), {1: (255, 80, 60)}, style)
    inside = np.argwhere(stack.array[1] > 0)
    low, high = inside.min(axis=0), inside.max(axis=0)
    rows = []
    for share in (0.35, 0.5, 0.65):
        point = np.round(low + share * (high - low)).astype(int)
        outlines = ((stack.array[1] > 0, OUTLINE_COLOR), (stack.array[2], DEEP_COLOR))
        rows.append([
            _panel(canvas, stack.spacing, plane, point, side_known, style, outlines) for plane in _PLANES
        ])  # fmt: skip
    return _png(rows, title, style)


# --------------------------------------------------------------------------------------------- panels


def _upright(
    image: Volume,
    layers: Sequence[np.ndarray],
    at_voxel: tuple[int, int, int] | None,
    style: PictureStyle,
) -> tuple[Volume, np.ndarray]:
    """Image and layers as channels in RAS, cut to the head, and the index in them where the planes meet."""
    if image.array.shape[0] != 1:
        raise InvalidValueError(f"image: must have one channel, has {image.array.shape[0]}")
    for layer in layers:
        if layer.shape != image.spatial_shape:
            raise InvalidValueError(
                f"labels: shape {layer.shape} differs from the image {image.spatial_shape}",
                code="shape_mismatch",
            )
    meeting = _meeting_point(image, layers, at_voxel)
    seen = image.array[0] != 0
    for layer in layers:
        seen = seen | (layer != 0)
    seen[meeting] = True
    box = foreground_box(seen, int(np.ceil(style.margin_mm / image.spacing.min())))
    x, y, z = box.slices
    mark = np.zeros(box.shape, np.float32)
    mark[tuple(i - start for i, start in zip(meeting, box.start))] = 1
    channels = [image.array[0, x, y, z], *(layer[x, y, z] for layer in layers), mark]
    stack = reorient(Volume(np.stack(channels).astype(np.float32), image.affine))
    return stack, np.argwhere(stack.array[-1])[0]


def _meeting_point(
    image: Volume, layers: Sequence[np.ndarray], at_voxel: tuple[int, int, int] | None
) -> tuple[int, int, int]:
    if at_voxel is not None:
        if any(not 0 <= i < n for i, n in zip(at_voxel, image.spatial_shape)):
            raise InvalidValueError(f"at_voxel: {at_voxel} lies outside the image {image.spatial_shape}")
        return at_voxel
    if layers and np.any(layers[0]):
        most = [
            int(np.count_nonzero(layers[0], axis=tuple(a for a in range(3) if a != axis)).argmax())
            for axis in range(3)
        ]
        return most[0], most[1], most[2]
    x, y, z = image.spatial_shape
    return x // 2, y // 2, z // 2


def _colored(
    image: np.ndarray, labels: np.ndarray | None, colors: Mapping[int, Color] | None, style: PictureStyle
) -> np.ndarray:
    """(X, Y, Z, 3) uint8: gray image, label colours over it."""
    values = image[image != 0]
    low, high = np.percentile(values, (0.5, 99.5)) if values.size else (0.0, 1.0)
    gray = np.clip((image - min(low, 0)) / max(float(high - min(low, 0)), 1e-6), 0, 1) * 255
    canvas = np.repeat(gray.astype(np.uint8)[..., None], 3, axis=3)
    if labels is None:
        return canvas
    for value in np.unique(labels[labels != 0]).astype(int).tolist():
        where = labels == value
        blended = (1 - style.opacity) * canvas[where] + style.opacity * np.array(_color_of(value, colors))
        canvas[where] = blended.astype(np.uint8)
    return canvas


def _color_of(label: int, colors: Mapping[int, Color] | None) -> Color:
    return (colors or {}).get(label) or TUMOR_COLORS.get(label) or label_color(label)


def _panel(
    canvas: np.ndarray,
    spacing: np.ndarray,
    plane: _Plane,
    point: np.ndarray,
    side_known: bool,
    style: PictureStyle,
    outlines: Sequence[tuple[np.ndarray, Color]] = (),
) -> Image.Image:
    """One plane, in square millimetres, with its letters."""
    slab = _as_seen(canvas.take(int(point[plane.axis]), axis=plane.axis))
    across, up = [axis for axis in range(3) if axis != plane.axis]
    width = max(1, round(slab.shape[1] * spacing[across] * style.pixels_per_mm))
    height = max(1, round(slab.shape[0] * spacing[up] * style.pixels_per_mm))
    picture = np.array(Image.fromarray(slab).resize((width, height), Image.Resampling.BILINEAR))
    for labels, color in outlines:
        flat = _as_seen(labels.take(int(point[plane.axis]), axis=plane.axis)).astype(np.float32)
        large = Image.fromarray(flat).resize((width, height), Image.Resampling.NEAREST)
        picture[_edges(np.array(large))] = color
    panel = Image.fromarray(picture)
    _write_letters(panel, plane, side_known, style)
    return panel


def _as_seen(flat: np.ndarray) -> np.ndarray:
    """(across, up, ...) in RAS -> rows from the top, with the patient's right, or front, on the left."""
    return np.ascontiguousarray(np.swapaxes(flat, 0, 1)[::-1, ::-1])


def _edges(flat: np.ndarray) -> np.ndarray:
    """Where a 2-D label picture changes its value, two pixels wide."""
    edges = np.zeros(flat.shape, bool)
    edges[:-1] |= flat[:-1] != flat[1:]
    edges[:, :-1] |= flat[:, :-1] != flat[:, 1:]
    return binary_dilation(edges, np.ones((2, 2)))


def _write_letters(panel: Image.Image, plane: _Plane, side_known: bool, style: PictureStyle) -> None:
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(style.font_pixels)
    middle_x, middle_y, pad = panel.width // 2, panel.height // 2, 3
    places = (((pad, middle_y), "lm"), ((panel.width - pad, middle_y), "rm"),
              ((middle_x, pad), "mt"), ((middle_x, panel.height - pad), "mb"))  # fmt: skip
    for letter, (place, anchor) in zip(plane.letters, places):
        word = letter if side_known or letter not in "RL" else "?"
        draw.text(place, word, (255, 255, 255), font, anchor, stroke_width=1, stroke_fill=(0, 0, 0))


def _png(
    rows: Sequence[Sequence[Image.Image]],
    title: str,
    style: PictureStyle,
    legend: Sequence[tuple[Color, str]] = (),
) -> bytes:
    """Panels in rows, the title above, names of colours and the notice below."""
    gap, line = style.gap, style.font_pixels + 8
    widths = [sum(p.width for p in row) + gap * (len(row) + 1) for row in rows]
    heights = [max(p.height for p in row) for row in rows]
    width, above = max(widths), line if title else 0
    below = _legend_rows(legend, width - 2 * gap, style)
    height = above + sum(heights) + gap * (len(rows) + 1) + line * (len(below) + 1)
    sheet = Image.new("RGB", (width, height), (0, 0, 0))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(style.font_pixels)
    draw.text((gap, line // 2), title, fill=(230, 230, 230), font=font, anchor="lm")
    y = above + gap
    for row, tallest in zip(rows, heights):
        x = gap
        for panel in row:
            sheet.paste(panel, (x, y + (tallest - panel.height) // 2))
            x += panel.width + gap
        y += tallest + gap
    for names in below:
        for x, color, name in names:
            square = style.font_pixels
            draw.rectangle((gap + x, y + 4, gap + x + square, y + 4 + square), fill=color)
            draw.text((gap + x + square + 5, y + line // 2), name, fill=(230, 230, 230), font=font, anchor="lm")
        y += line
    small = ImageFont.load_default(max(8, style.font_pixels - 3))
    draw.text((gap, sheet.height - line // 2), RESEARCH_NOTICE, fill=(200, 200, 200), font=small, anchor="lm")
    note = PngInfo()
    note.add_text("Notice", RESEARCH_NOTICE)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", pnginfo=note)
    return buffer.getvalue()


def _legend_rows(
    legend: Sequence[tuple[Color, str]], width: int, style: PictureStyle
) -> list[list[tuple[int, Color, str]]]:
    """Names of colours in rows that fit: (x, colour, name)."""
    font = ImageFont.load_default(style.font_pixels)
    rows: list[list[tuple[int, Color, str]]] = []
    x = width
    for color, name in legend:
        needed = style.font_pixels + 24 + round(font.getlength(name))
        if not rows or x + needed > width:
            rows.append([])
            x = 0
        rows[-1].append((x, color, name))
        x += needed
    return rows
