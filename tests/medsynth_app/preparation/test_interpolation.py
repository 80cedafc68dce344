"""To the prepared grid and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medsynth_app.imaging.volume import Volume
from medsynth_app.preparation.interpolation import interpolated, labels_on_series, prepared_grid


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * float((first & second).sum()) / float(first.sum() + second.sum())


@pytest.mark.parametrize(("axes", "spacing"), [("PIR", (3.0, 3.0, 3.0)), ("LPS", (2.0, 2.0, 5.0))])
def test_there_and_back_keeps_a_mask(scanner: Any, axes: str, spacing: Any) -> None:
    reference = scanner.scan("t1ce", axes="PIR")
    other = scanner.scan("flair", spacing, axes, rotation_deg=(8.0, -5.0, 4.0), shift_mm=(6.0, 3.0, -4.0))
    brain = Volume(reference.brain[None].astype(np.float32), reference.volume.affine)
    grid, inside = prepared_grid(reference.volume, brain)
    assert np.allclose(np.linalg.norm(grid[0][:3, :3], axis=0), 1.0)
    mask = Volume((other.labels > 0)[None].astype(np.float32), other.volume.affine)
    truth = interpolated(mask, other.motion, grid, inside)
    share = (truth - 1).clip(0) / 31999.0
    layers = np.stack([1 - share, share]).astype(np.float32)
    back = labels_on_series(layers, grid[0], other.motion, (other.volume.affine, other.volume.spatial_shape))
    assert back.shape == other.volume.spatial_shape
    assert dice(back > 0, other.labels > 0) > 0.97


def test_outside_the_field_of_view_and_the_brain_is_background(scanner: Any) -> None:
    reference = scanner.scan("t1ce", axes="PIR")
    brain = Volume(reference.brain[None].astype(np.float32), reference.volume.affine)
    grid, inside = prepared_grid(reference.volume, brain)
    part = scanner.scan("t2", (2.5, 2.5, 6.0))
    half = Volume(part.volume.array[..., : part.volume.spatial_shape[2] // 2], part.volume.affine)
    result = interpolated(half, np.eye(4), grid, inside)
    assert result.dtype == np.int16
    assert (result[~inside] == 0).all()
    assert 0.3 < (result[inside] > 0).mean() < 0.7
    assert result.max() == 32000


def test_certain_background_everywhere_gives_no_label() -> None:
    layers = np.zeros((4, 5, 5, 5), np.float32)
    layers[0] = 1
    far = np.eye(4)
    far[:3, 3] = 500
    assert not labels_on_series(layers, np.eye(4), np.eye(4), (far, (6, 6, 6))).any()
    assert not labels_on_series(layers, np.eye(4), np.eye(4), (np.eye(4), (6, 6, 6))).any()
