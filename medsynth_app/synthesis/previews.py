"""A small picture of a synthetic image, for pages and for `--preview`."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import zoom

from medsynth_app.imaging.geometry import reorient
from medsynth_app.imaging.volume import Volume
from medsynth_app.synthesis.generator import Synthetic
from medsynth_app.synthesis.writing import marked_png

PANEL_PIXELS = 192
FILM_PICTURES = 8
GAP_PIXELS = 4


def preview_png(result: Synthetic) -> bytes:
    """A PNG with the synthetic mark: three planes of a volume, a picture itself, or a film's pictures in a row.

    Axial, coronal and sagittal as radiologists hang them: the patient's right is on the left. The planes meet
    where most is labelled, else in the middle.
    """
    if result.is_picture:
        panels = list(result.frames) or [result.array]
        chosen = [panels[i] for i in np.unique(np.linspace(0, len(panels) - 1, FILM_PICTURES).round().astype(int))]
        return marked_png(_row([np.asarray(panel, dtype=np.uint8) for panel in chosen]), result.mark)
    assert result.affine is not None  # noqa: S101 - a volume has one
    rows = []
    label = np.zeros(result.grid, np.float32) if result.label is None else (result.label > 0).astype(np.float32)
    for channel in result.array:
        stack = reorient(Volume(np.stack([channel.astype(np.float32), label]), result.affine))
        rows.append(_row(_planes(stack, _window(result, channel))))
    return marked_png(np.concatenate(rows, axis=0), result.mark)


def film_pngs(result: Synthetic) -> list[bytes]:
    """Every picture of a film as a PNG with the synthetic mark; none where it is no film."""
    return [marked_png(np.asarray(frame, dtype=np.uint8), result.mark) for frame in result.frames]


def _window(result: Synthetic, channel: np.ndarray) -> tuple[float, float]:
    if result.window is not None:
        return result.window
    low, high = np.percentile(channel, [0.5, 99.7])
    return float(low), max(float(high), float(low) + 1e-6)


def _planes(stack: Volume, window: tuple[float, float]) -> list[np.ndarray]:
    """Axial, coronal, sagittal of a RAS volume whose second channel tells where to cut."""
    image, label = stack.array
    at = [n // 2 for n in image.shape]
    if label.any():
        at = [int(label.sum(axis=tuple(a for a in range(3) if a != axis)).argmax()) for axis in range(3)]
    grey = np.clip((image - window[0]) / (window[1] - window[0]), 0.0, 1.0)
    sx, sy, sz = stack.spacing
    cuts = (
        (grey[::-1, ::-1, at[2]].T, (sy, sx)),
        (grey[::-1, at[1], ::-1].T, (sz, sx)),
        (grey[at[0], ::-1, ::-1].T, (sz, sy)),
    )
    return [_scaled(cut, spacing) for cut, spacing in cuts]


def _scaled(cut: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """One plane as (PANEL_PIXELS, PANEL_PIXELS) uint8 with square millimetres."""
    sides = [n * s for n, s in zip(cut.shape, spacing)]
    scale = PANEL_PIXELS / max(sides)
    wanted = [max(1, round(side * scale)) for side in sides]
    small = zoom(cut, [w / n for w, n in zip(wanted, cut.shape)], order=1, grid_mode=True, mode="nearest")
    panel = np.zeros((PANEL_PIXELS, PANEL_PIXELS), np.uint8)
    small = small[:PANEL_PIXELS, :PANEL_PIXELS]
    top, left = ((PANEL_PIXELS - n) // 2 for n in small.shape)
    panel[top : top + small.shape[0], left : left + small.shape[1]] = np.rint(255 * small)
    return panel


def _row(panels: list[np.ndarray]) -> np.ndarray:
    gap_shape = (panels[0].shape[0], GAP_PIXELS, *panels[0].shape[2:])
    gap = np.zeros(gap_shape, np.uint8)
    return np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)


