"""A picture of a mask on its image, on three planes, for a first look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from medsynth_app.files import whole_file
from medsynth_app.imaging.geometry import reorient
from medsynth_app.imaging.label_writing import SEGMENT_COLORS
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import TumorLabel

PANEL_PIXELS = 320
OPACITY = 0.45


def mask_preview(image: Volume, labels: np.ndarray) -> np.ndarray:
    """Sagittal, coronal and axial plane through the tumour (or the middle), the patient's right on the left.

    Args:
        image: (1, X, Y, Z), any orientation.
        labels: (X, Y, Z) uint8, values 0..3, on its grid.

    Returns:
        (PANEL_PIXELS, 3 PANEL_PIXELS, 3) uint8.
    """
    both = reorient(Volume(np.stack([image.array[0].astype(np.float32), labels.astype(np.float32)]), image.affine))
    grey, mask = both.array[0], both.array[1].astype(np.uint8)
    low, high = np.percentile(grey, [1, 99.5])
    grey = np.clip((grey - low) / max(float(high - low), 1e-6), 0, 1)
    places = np.argwhere(mask > 0)
    middle = places.mean(axis=0) if len(places) else np.array(grey.shape) / 2
    panels = [_panel(grey, mask, axis, int(middle[axis]), both.spacing) for axis in range(3)]
    return np.concatenate(panels, axis=1)


def write_mask_preview(image: Volume, labels: np.ndarray, path: Path) -> None:
    """Store ``mask_preview`` as a PNG file."""
    with whole_file(path) as beside:
        Image.fromarray(mask_preview(image, labels)).save(beside, format="PNG")


def _panel(grey: np.ndarray, mask: np.ndarray, axis: int, index: int, spacing: np.ndarray) -> np.ndarray:
    plane, drawn = grey.take(index, axis), mask.take(index, axis)
    colours = np.repeat(plane[..., None], 3, axis=2)
    for label in TumorLabel:
        inside = drawn == label
        colours[inside] = (1 - OPACITY) * colours[inside] + OPACITY * np.array(SEGMENT_COLORS[label])
    # Axes run to R, A, S: turned round, right (or front) is on the left of the picture and up is up.
    rows = np.rint(255 * colours[::-1, ::-1].transpose(1, 0, 2)).astype(np.uint8)
    across, down = (float(s) for s in np.delete(spacing, axis))
    size = rows.shape[1] * across, rows.shape[0] * down
    scale = PANEL_PIXELS / max(size)
    shape = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    panel = Image.new("RGB", (PANEL_PIXELS, PANEL_PIXELS))
    panel.paste(
        Image.fromarray(rows).resize(shape, Image.Resampling.BILINEAR),
        ((PANEL_PIXELS - shape[0]) // 2, (PANEL_PIXELS - shape[1]) // 2),
    )
    return np.asarray(panel)
