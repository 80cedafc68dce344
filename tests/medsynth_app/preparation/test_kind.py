"""Raw or prepared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medsynth_app.imaging.volume import Volume
from medsynth_app.preparation.kind import kind_of


def test_a_head_with_its_skull_is_raw(scanner: Any) -> None:
    kind = kind_of(scanner.scan("t1ce").volume)
    assert not kind.stripped
    assert "outermost voxels" in kind.reason


def test_a_thresholded_head_is_raw_by_its_size(scanner: Any) -> None:
    scanned = scanner.scan("t1")
    head = np.where(scanned.codes == 0, 0, scanned.volume.array).astype(np.float32)
    clean = Volume(head, np.diag([1.1, 1.1, 1.1, 1.0]) @ scanned.volume.affine)  # the built head is a small one
    kind = kind_of(clean)
    assert not kind.stripped
    assert "ml are not background" in kind.reason


@pytest.mark.parametrize("background", [0.0, -1000.0, 55.0])
def test_a_stripped_brain_is_prepared_whatever_its_background(scanner: Any, background: float) -> None:
    scanned = scanner.scan("flair", stripped=True)
    moved = np.where(scanned.brain, scanned.volume.array + background, background)
    kind = kind_of(Volume(moved.astype(np.float32), scanned.volume.affine))
    assert kind.stripped
    assert kind.background == background


def test_a_stripped_brain_cut_out_tightly_is_prepared(scanner: Any) -> None:
    scanned = scanner.scan("flair", stripped=True)
    places = np.argwhere(scanned.brain)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    x, y, z = (slice(a, b) for a, b in zip(low, high))
    assert kind_of(Volume(scanned.volume.array[:, x, y, z], scanned.volume.affine)).stripped


def test_what_is_too_small_for_a_head_is_not_taken_for_one() -> None:
    noise = np.random.default_rng(0).normal(100, 10, (1, 40, 40, 40)).astype(np.float32)
    assert kind_of(Volume(noise, np.eye(4))).stripped
