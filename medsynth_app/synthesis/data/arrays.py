"""Pictures to and from what the networks see."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from medsynth_app.errors import InvalidValueError

FRAMINGS = ("crop", "pad")


def square_picture(picture: Image.Image, resolution: int, framing: str = "crop") -> Image.Image:
    """A square picture of a given side.

    Args:
        picture: any size.
        resolution: side in pixels.
        framing: ``crop`` cuts the longer side about the centre; ``pad`` keeps everything and repeats the edge.

    Raises:
        InvalidValueError: unknown framing.
    """
    if framing not in FRAMINGS:
        raise InvalidValueError(f"framing: {framing!r} must be one of {', '.join(FRAMINGS)}")
    width, height = picture.size
    if framing == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        square = picture.crop((left, top, left + side, top + side))
    else:
        side = max(width, height)
        missing = ((side - height), (side - width))
        pads = [(gap // 2, gap - gap // 2) for gap in missing]
        array = np.asarray(picture)
        square = Image.fromarray(np.pad(array, [*pads, *[(0, 0)] * (array.ndim - 2)], mode="edge"))
    return square.resize((resolution, resolution), Image.Resampling.LANCZOS)


def to_network(array: np.ndarray) -> torch.Tensor:
    """uint8 pictures (N, H, W, C) -> float (N, C, H, W), -1..1."""
    return torch.from_numpy(array.copy()).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def to_pictures(images: torch.Tensor) -> np.ndarray:
    """float (N, C, H, W), about -1..1 -> uint8 (N, H, W, C), clipped and rounded."""
    scaled = ((images.detach().float().cpu() + 1.0) * 127.5).round().clamp(0, 255)
    return scaled.permute(0, 2, 3, 1).to(torch.uint8).numpy()


def as_shown(picture: np.ndarray, grey: bool) -> np.ndarray:
    """(R, R, 1 or 3) uint8 -> (R, R) where the modality has no colours, else (R, R, 3)."""
    if grey or picture.shape[2] == 1:
        return np.rint(picture.mean(axis=2)).astype(np.uint8)
    return picture


def turned_images(images: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """The batch in one of the eight mirrorings and quarter turns, the same for all its images.

    Args:
        images: (N, C, R, R).
        chance: source of chance.
    """
    turns = int(torch.randint(4, (), generator=chance))
    if torch.rand((), generator=chance) < 0.5:
        images = images.flip(3)
    return images.rot90(turns, (2, 3)) if turns else images


def picture_grid(pictures: np.ndarray, columns: int, gap: int = 2) -> Image.Image:
    """Pictures (N, H, W, C) uint8 side by side on white, row by row."""
    count, height, width, channels = pictures.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, np.uint8)
    for index, picture in enumerate(pictures):
        top = gap + (index // columns) * (height + gap)
        left = gap + (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return Image.fromarray(sheet.squeeze(2) if channels == 1 else sheet)
