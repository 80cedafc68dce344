"""Contact sheet, animation and curve of a walk; each says in the picture that it is a simulation."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from medsynth_app.synthesis.data.arrays import to_pictures
from medsynth_app.synthesis.skin.progression import SIMULATION_NOTICE, Progression

SHEET_SIDE = 160
CAPTION_HEIGHT = 30
GAP = 4
MOST_COLUMNS = 9
FRAME_MILLISECONDS = 250
FONT_SIZE = 11


def contact_sheet(progression: Progression, original: torch.Tensor | None = None) -> Image.Image:
    """All pictures of the walk in rows, captioned with alpha and the melanoma probability.

    Args:
        progression: the walk.
        original: (1, 3, R, R) the photograph, shown first.
    """
    tiles = [] if original is None else [("photograph", "", to_pictures(original)[0])]
    for step, picture in zip(progression.steps, to_pictures(progression.images)):
        tiles.append((f"alpha {step.alpha:+.2f}", f"p(melanoma) {step.melanoma_probability:.2f}", picture))
    rows = -(-len(tiles) // MOST_COLUMNS)
    columns = -(-len(tiles) // rows)  # rows of one length, as far as that can be
    width = columns * (SHEET_SIDE + GAP) + GAP
    height = rows * (SHEET_SIDE + CAPTION_HEIGHT + GAP) + GAP + CAPTION_HEIGHT // 2 + 4
    sheet = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(sheet), _font()
    for number, (first, second, picture) in enumerate(tiles):
        left = GAP + (number % columns) * (SHEET_SIDE + GAP)
        top = GAP + (number // columns) * (SHEET_SIDE + CAPTION_HEIGHT + GAP)
        sheet.paste(_tile(picture), (left, top))
        draw.text((left, top + SHEET_SIDE + 1), first, "black", font)
        draw.text((left, top + SHEET_SIDE + 14), second, "black", font)
    draw.text((GAP, height - 18), SIMULATION_NOTICE, "#8a1c1c", font)
    return sheet


def animation(progression: Progression) -> bytes:
    """A GIF that walks there and back; every frame carries alpha and the notice, the file a comment."""
    font = _font()
    frames = []
    for step, picture in zip(progression.steps, to_pictures(progression.images)):
        frame = Image.new("RGB", (2 * SHEET_SIDE, 2 * SHEET_SIDE + CAPTION_HEIGHT), "white")
        frame.paste(_tile(picture, 2 * SHEET_SIDE), (0, 0))
        draw = ImageDraw.Draw(frame)
        text = f"alpha {step.alpha:+.2f}   p(melanoma) {step.melanoma_probability:.2f}"
        draw.text((GAP, 2 * SHEET_SIDE + 1), text, "black", font)
        draw.text((GAP, 2 * SHEET_SIDE + 15), SIMULATION_NOTICE, "#8a1c1c", font)
        frames.append(frame)
    there_and_back = [*frames, *frames[-2:0:-1]]
    buffer = io.BytesIO()
    there_and_back[0].save(
        buffer, "GIF", save_all=True, append_images=there_and_back[1:], duration=FRAME_MILLISECONDS, loop=0,
        comment=f"SYNTHETIC MedSynth. {SIMULATION_NOTICE}",
    )  # fmt: skip
    return buffer.getvalue()


def curve(progression: Progression) -> Image.Image:
    """Melanoma probability, perceptual distance, lesion area and change outside the lesion against alpha."""
    # Takes a second to import; only this picture needs it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(8, 5), facecolor="white", layout="constrained")
    canvas = FigureCanvasAgg(figure)
    series = (
        ("p(melanoma)", "melanoma_probability", "#8a1c1c"),
        ("perceptual distance (EfficientNet-Lite0)", "perceptual", "#1f5f8b"),
        ("lesion area, share of picture", "lesion_area", "#4d7c2f"),
        ("mean change inside / outside (dashed)", "change_inside", "#6b4a8a"),
    )
    alphas = [step.alpha for step in progression.steps]
    for axes, (title, name, color) in zip(np.ravel(figure.subplots(2, 2)), series):
        axes.plot(alphas, [getattr(step, name) for step in progression.steps], "o-", color=color, ms=3)
        if name == "change_inside":
            outside = [step.change_outside for step in progression.steps]
            axes.plot(alphas, outside, "o--", color=color, ms=3)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("alpha", fontsize=9)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{progression.direction.name}: {SIMULATION_NOTICE}", fontsize=10, color="#8a1c1c")
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def _tile(picture: np.ndarray, side: int = SHEET_SIDE) -> Image.Image:
    return Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FONT_SIZE)
