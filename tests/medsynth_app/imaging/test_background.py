"""Background is found whatever value it has, moved to 0, and an image whose background is 0 is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.background import find_background, without_background
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.skull import find_skull
from medsynth_app.imaging.volume import Volume
from medsynth_app.segmentation.transforms import prepare

Change = Callable[[np.ndarray], np.ndarray]


def _per_channel(array: np.ndarray, function: Callable[[np.ndarray], Any]) -> np.ndarray:
    return np.stack([np.full(channel.shape, function(channel)) for channel in array])


def _noise(array: np.ndarray, size: float) -> np.ndarray:
    return array + np.random.default_rng(0).normal(0, size, array.shape)


CHANGES: dict[str, Change] = {
    "intercept 10": lambda a: a + 10,
    "whole-image z-score": lambda a: (a - _per_channel(a, np.mean)) / _per_channel(a, np.std),
    "-1..1": lambda a: 2 * a / _per_channel(a, np.max) - 1,
    "noise of 1e-4": lambda a: _noise(a, 1e-4),
    "0..1 with noise of 1e-4": lambda a: _noise(a / _per_channel(a, np.max), 1e-4),
    "z-score with noise": lambda a: _noise((a - _per_channel(a, np.mean)) / _per_channel(a, np.std), 1e-4),
    "CT-like -1024": lambda a: a - 1024,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_head_is_prepared_as_the_original(head: Any, change: Change) -> None:
    original = prepare(head.volume)
    changed = prepare(Volume(change(head.volume.array.astype(np.float64)).astype(np.float32), head.volume.affine))
    assert changed.box == original.box
    assert changed.doubts == ()
    same = (changed.image != 0).any(axis=0) == (original.image != 0).any(axis=0)
    assert same.mean() > 0.9999
    assert np.abs(changed.image - original.image)[:, same].mean() < 2e-3


def test_background_is_moved_before_the_grid_changes(build: Any) -> None:
    """Interpolation puts 0 outside the field of view; a background of 10 must not end there."""
    coarse = build.head(spacing=(1.0, 1.0, 3.0)).volume
    original, shifted = prepare(coarse), prepare(Volume(coarse.array + 10, coarse.affine))
    np.testing.assert_allclose(shifted.image, original.image, atol=1e-3)


def test_padding_around_another_background_is_peeled_off(head: Any) -> None:
    array = np.pad(head.volume.array + 10, ((0, 0), (4, 4), (4, 4), (4, 4)))
    affine = head.volume.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ [4, 4, 4]
    cleared, found = without_background(Volume(array, affine))
    assert found[0].levels == (0.0, 10.0)
    np.testing.assert_allclose(cleared.array[:, 4:-4, 4:-4, 4:-4], head.volume.array, atol=1e-4)


def test_ringing_of_a_cubic_interpolation_is_no_brain(head: Any) -> None:
    moved = np.stack([ndimage.shift(channel, (0.4, 0.3, 0.2), order=3) for channel in head.volume.array])
    cleared, _ = without_background(Volume(moved, head.volume.affine))
    true = ndimage.shift((head.volume.array[0] != 0).astype(np.float32), (0.4, 0.3, 0.2), order=1) > 0.5
    found = (cleared.array != 0).any(axis=0)
    assert (moved != 0).any(axis=0).mean() > 2 * true.mean()
    # a shell of one voxel is 15% of this small head; in a real brain the two agree to 0.98 to 0.99
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.92


def test_zero_background_is_left_alone(head: Any) -> None:
    cleared, found = without_background(head.volume)
    assert cleared is head.volume
    assert all(background.is_zero for background in found)


def test_missing_sequence_of_any_value_stays_missing(head: Any) -> None:
    array = head.volume.array.copy()
    array[1] = -1
    cleared, _ = without_background(Volume(array, head.volume.affine))
    assert not cleared.array[1].any()


def test_image_cut_out_of_tissue_has_no_background() -> None:
    tissue = np.random.default_rng(0).normal(500, 100, (20, 20, 20))
    assert not find_background(tissue).found
    doubts = prepare(Volume(tissue[None].astype(np.float32), np.eye(4))).doubts
    assert "no background was found" in doubts[0]


SEQUENCES = {"t1": (0.6, 0.8, 0.2, 0.9), "flair": (0.8, 0.7, 0.1, 0.6), "t2": (0.6, 0.45, 1.0, 0.5)}
"""Grey matter, white matter, water, scalp."""


def label_map_head(path: Path, noise: float = 0.01) -> tuple[Volume, np.ndarray]:
    """A head of three sequences out of a whole-head label map (SynthSeg's codes), and its brain."""
    labels = read_volume(path)
    codes = labels.array[0][::2, ::2, ::2].astype(int)
    affine = labels.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    brain = (codes > 0) & (codes < 100) & (codes != 24)
    chance = np.random.default_rng(0)
    channels = []
    for grey, white, water, scalp in SEQUENCES.values():
        image = np.select(
            [np.isin(codes, (2, 41)), brain, codes == 24, np.isin(codes, (515, 516)), codes >= 500],
            [white, grey, water, 0.08, scalp], 0.0,
        )  # fmt: skip
        channels.append(np.abs(image * 1000 + chance.normal(0, noise * 1000, image.shape)))
    return Volume(np.stack(channels).astype(np.float32), affine), brain


@pytest.mark.parametrize("number", ["01", "02"])
def test_heads_of_label_maps_have_a_skull_and_their_brains_have_none(shared_data: Path, number: str) -> None:
    volume, brain = label_map_head(
        shared_data / "raw_heads" / "whole_head_label_maps" / f"training_seg_{number}.nii.gz"
    )
    assert find_skull(volume).has_skull
    stripped = Volume(volume.array * brain, volume.affine)
    assert find_skull(stripped).signs == ()
    with pytest.raises(InvalidValueError, match="shows a head with its skull") as refusal:
        prepare(volume)
    assert refusal.value.code == "skull_present"


def test_real_heads_have_a_skull_and_real_brains_have_none(shared_data: Path) -> None:
    raw = shared_data / "raw_heads"
    colin, mask = (read_volume(raw / "colin27" / name) for name in ("t1.nii.gz", "brain_mask.nii.gz"))
    heads = [colin, *(read_volume(path) for path in sorted((raw / "ms_patient01").glob("study1_*.nii.gz")))]
    assert [len(find_skull(head).signs) >= 2 for head in heads] == [True] * 4
    brains = [Volume(colin.array * mask.array, colin.affine)]
    brains += [read_volume(path) for path in sorted((raw / "glioma_stripped_unregistered").glob("TCGA*_f*"))]
    brains += [read_volume(path) for path in sorted((shared_data / "brats").glob("*/*_t1.nii.gz"))[::8]]
    assert [find_skull(brain).signs for brain in brains] == [()] * len(brains)


def test_z_scored_brain_is_no_head(shared_data: Path) -> None:
    path = sorted((shared_data / "brats").glob("*/*_t1.nii.gz"))[0]
    volume = read_volume(path)
    values = volume.array.astype(np.float32)
    inside = values != 0
    values[inside] = (values[inside] - values[inside].mean()) / values[inside].std()
    assert find_skull(Volume(values, volume.affine)).signs == ()
