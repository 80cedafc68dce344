"""Measurements on a picture of a lesion: plain numbers that a curve can be drawn of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LUMINANCE = np.array([0.299, 0.587, 0.114])
"""Rec. 601 weights of red, green and blue."""
LESION_THRESHOLD = 0.5


@dataclass(frozen=True)
class LesionLooks:
    """How a lesion looks.

    Attributes:
        pigment: how much darker the lesion is than the skin around it, 0..2 (images in -1..1).
        border: irregularity, perimeter^2 / (4 pi area); 1 for a disc, more for ragged ones.
        extent: share of the picture that the lesion covers, 0..1.
    """

    pigment: float
    border: float
    extent: float


def lesion_looks(image: np.ndarray, lesion: np.ndarray) -> LesionLooks:
    """Measure one picture.

    Args:
        image: (3, R, R), -1..1.
        lesion: (R, R) probability of lesion, 0..1.
    """
    mask = lesion > LESION_THRESHOLD
    luminance = np.tensordot(LUMINANCE, image, axes=1)
    inside, outside = luminance[mask], luminance[~mask]
    pigment = float(outside.mean() - inside.mean()) if len(inside) and len(outside) else 0.0
    return LesionLooks(pigment, _irregularity(mask), float(mask.mean()))


def _irregularity(mask: np.ndarray) -> float:
    """Perimeter squared over area, 1 for a disc; the perimeter by Cauchy and Crofton in four directions."""
    area = int(mask.sum())
    if not area:
        return 1.0
    padded = np.pad(mask, 1).astype(np.int8)
    straight = np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum()
    oblique = (
        np.abs(padded[1:, 1:] - padded[:-1, :-1]).sum() + np.abs(padded[1:, :-1] - padded[:-1, 1:]).sum()
    )
    perimeter = np.pi / 8 * (float(straight) + float(oblique) / np.sqrt(2))
    return float(perimeter**2 / (4 * np.pi * area))


def mean_change(first: np.ndarray, second: np.ndarray, where: np.ndarray) -> float:
    """Mean absolute difference of two pictures (3, R, R) over the pixels of a mask (R, R); 0 for an empty mask."""
    return float(np.abs(first - second)[:, where].mean()) if where.any() else 0.0


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Rank correlation of two series, ties by their mean rank; 0 where one of them does not move."""
    a, b = _ranks(first), _ranks(second)
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / norm) if norm > 0 else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    below = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    return below + (equal - 1) / 2
