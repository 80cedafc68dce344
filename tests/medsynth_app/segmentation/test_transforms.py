"""Before the network and after it: the same head through any grid is the same case, and labels come home."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.volume import Volume
from medsynth_app.segmentation.transforms import (
    GRID_STEP,
    CleaningConfiguration,
    clean_labels,
    prepare,
    restore_labels,
    to_working_grid,
    z_score,
)

OBLIQUE = Rotation.from_euler("xyz", [8, -14, 20], degrees=True).as_matrix()
DIAGONAL = Rotation.from_euler("z", 45, degrees=True).as_matrix()

EXACT_GRIDS = {
    "RAS": {"axes": "RAS"},
    "LPS": {"axes": "LPS"},
    "LAS": {"axes": "LAS"},
    "permuted SAR": {"axes": "SAR"},
    "permuted PIR": {"axes": "PIR"},
    "oblique": {"axes": "RAS", "rotation": OBLIQUE},
    "oblique LPS": {"axes": "LPS", "rotation": OBLIQUE},
    "diagonal": {"axes": "RAS", "rotation": DIAGONAL},
    "diagonal permuted": {"axes": "ASL", "rotation": DIAGONAL},
    "thick slices": {"axes": "LPS", "spacing": (1.0, 1.0, 3.0)},
    "thick sagittal slices": {"axes": "ASR", "spacing": (1.0, 1.0, 5.0)},
    "coarse": {"axes": "RAS", "spacing": (2.0, 2.0, 2.0)},
    "thick oblique slices": {"axes": "LPS", "spacing": (1.0, 1.0, 3.0), "rotation": OBLIQUE},
}
"""Grids no finer than the working grid along any axis: labels come back voxel for voxel."""

FINE_GRIDS = {
    "half a millimetre": {"axes": "RAS", "spacing": (0.5, 0.5, 0.5)},
    "anisotropic": {"axes": "LPS", "spacing": (0.7, 0.7, 3.0)},
    "anisotropic oblique": {"axes": "RAS", "spacing": (0.8, 1.2, 2.0), "rotation": OBLIQUE},
}


def prepared_and_back(head: Any) -> np.ndarray:
    """The head's own labels through the working grid, as a perfect network would answer."""
    prepared = prepare(head.volume)
    labels = to_working_grid(Volume(head.labels[None], head.volume.affine), order=0).array[0]
    return restore_labels(labels[prepared.box.slices], prepared)


@pytest.mark.parametrize("grid", EXACT_GRIDS.values(), ids=EXACT_GRIDS)
def test_labels_come_back_voxel_for_voxel(build: Any, grid: dict[str, Any]) -> None:
    head = build.head(**grid)
    restored = prepared_and_back(head)
    assert restored.dtype == np.uint8
    assert restored.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(restored, head.labels)


@pytest.mark.parametrize("grid", FINE_GRIDS.values(), ids=FINE_GRIDS)
def test_labels_of_a_finer_grid_come_back_within_half_a_working_voxel(
    build: Any, grid: dict[str, Any]
) -> None:
    head = build.head(**grid)
    restored = prepared_and_back(head)
    assert restored.shape == head.labels.shape
    assert build.dice(restored > 0, head.labels > 0) > 0.93
    centroids = [
        head.volume.affine[:3, :3] @ np.argwhere(labels > 0).mean(axis=0) + head.volume.affine[:3, 3]
        for labels in (restored, head.labels)
    ]
    np.testing.assert_allclose(*centroids, atol=0.3)


@pytest.mark.parametrize("axes", ["LPS", "RPI", "ASR", "ILP"])
def test_the_network_sees_the_same_image_however_the_head_is_stored(build: Any, head: Any, axes: str) -> None:
    expected = prepare(head.volume)
    found = prepare(build.head(axes).volume)
    np.testing.assert_allclose(found.image, expected.image, atol=1e-4)
    assert found.box == expected.box


@pytest.mark.parametrize("grid", [EXACT_GRIDS["thick slices"], FINE_GRIDS["half a millimetre"]])
def test_the_working_grid_has_cubic_millimetres_and_the_head_where_it_was(
    build: Any, tumor_center_mm: np.ndarray, grid: dict[str, Any]
) -> None:
    head = build.head(**grid)
    working = to_working_grid(Volume(head.labels[None], head.volume.affine), order=0)
    np.testing.assert_allclose(working.spacing, 1.0)
    assert (np.diag(working.affine)[:3] > 0).all()
    centroid = working.affine[:3, :3] @ np.argwhere(working.array[0] > 0).mean(axis=0) + working.affine[:3, 3]
    np.testing.assert_allclose(centroid, tumor_center_mm, atol=0.5)


def test_millimetre_voxels_are_not_resampled(build: Any) -> None:
    head = build.head("LPS", spacing=(1.01, 1.0, 0.99))
    working = to_working_grid(head.volume, order=1)
    np.testing.assert_array_equal(working.array, head.volume.array[:, ::-1, ::-1])


def test_the_image_is_cropped_to_the_brain_and_z_scored(head: Any) -> None:
    prepared = prepare(head.volume)
    brain = (head.volume.array != 0).any(axis=0)
    for axis in range(3):
        places = np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis)))
        assert places[0] - GRID_STEP < prepared.box.start[axis] <= places[0]
        assert places[-1] < prepared.box.stop[axis] <= places[-1] + GRID_STEP
        assert prepared.box.start[axis] % GRID_STEP == 0
    assert prepared.image.dtype == np.float32
    inside = brain[prepared.box.slices]
    for channel, source in zip(prepared.image, head.volume.array):
        values = source[brain].astype(np.float64)
        expected = np.clip((values - values.mean()) / values.std(), -5, 8)
        np.testing.assert_allclose(channel[inside], expected, atol=1e-3)
        assert (channel[~inside] == 0).all()


def test_prepare_leaves_its_input_alone(head: Any) -> None:
    before = head.volume.array.copy()
    prepare(head.volume).image[...] = 9
    np.testing.assert_array_equal(head.volume.array, before)


@pytest.mark.parametrize("factor", [0.01, 1.0, 250.0])
def test_scanner_units_do_not_matter(head: Any, factor: float) -> None:
    scaled = Volume(head.volume.array * np.float32(factor), head.volume.affine)
    np.testing.assert_allclose(prepare(scaled).image, prepare(head.volume).image, atol=1e-3)


def test_a_missing_sequence_stays_zero_and_leaves_the_others_alone(head: Any) -> None:
    array = head.volume.array.copy()
    array[1] = 0
    prepared = prepare(Volume(array, head.volume.affine))
    assert (prepared.image[1] == 0).all()
    np.testing.assert_array_equal(prepared.image[[0, 2, 3]], prepare(head.volume).image[[0, 2, 3]])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 20, 20, 20)), "no foreground"),
        (np.pad(np.random.default_rng(0).random((2, 20, 20, 9)) + 1, [(0, 0), (5, 5), (5, 5), (9, 9)]),
         r"the brain spans \(20, 20, 9\) mm, at least 16 mm"),
        (np.full((2, 20, 20, 20), 7.3), "every voxel is zero|every sequence is constant"),
    ],
    ids=["empty", "too small", "constant"],
)  # fmt: skip
def test_what_holds_no_brain_is_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        prepare(Volume(array.astype(np.float32), np.eye(4)))


@pytest.mark.parametrize("axis", range(3))
def test_size_is_counted_in_millimetres_not_voxels(axis: int) -> None:
    shape, spacing = [40, 40, 40], [1.0, 1.0, 1.0]
    shape[axis], spacing[axis] = 8, 5.0
    array = np.random.default_rng(0).random((1, *shape)).astype(np.float32) + 1
    assert prepare(Volume(array, np.diag([*spacing, 1.0]))).image.shape[1 + axis] >= 30


def test_z_score_by_hand() -> None:
    channel = np.zeros((3, 1, 2), dtype=np.int16)
    channel[:, 0, 0] = (10, 20, 60)
    expected = (np.array([10, 20, 60]) - 30) / np.sqrt((400 + 100 + 900) / 3)
    result = z_score(channel)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[:, 0, 0], expected, rtol=1e-6)
    assert (result[:, 0, 1] == 0).all()
    assert channel.max() == 60


def test_z_score_is_cut_at_its_limits() -> None:
    channel = np.concatenate([np.full(5000, 100.0), np.full(5000, 102.0), [1e6, -1e6]])[:, None, None]
    result = z_score(channel)
    assert (result.min(), result.max()) == (-5.0, 8.0)


def specks() -> np.ndarray:
    """A tumour of 64 voxels, one of 8 and one of 1, none touching."""
    labels = np.zeros((16, 16, 16), dtype=np.uint8)
    labels[2:6, 2:6, 2:6] = 2
    labels[3:5, 3:5, 3:5] = 3
    labels[10:12, 10:12, 10:12] = 1
    labels[14, 2, 14] = 3
    return labels


@pytest.mark.parametrize(
    ("configuration", "kept"),
    [
        (CleaningConfiguration(False, 0.0, 0.0), {64, 8, 1}),
        (CleaningConfiguration(False, 0.002, 0.0), {64, 8}),
        (CleaningConfiguration(False, 0.008, 0.0), {64, 8}),
        (CleaningConfiguration(False, 0.009, 0.0), {64}),
        (CleaningConfiguration(False, 500.0, 0.0), {64}),
        (CleaningConfiguration(True, 0.0, 0.0), {64}),
    ],
)
def test_small_components_go_and_the_largest_stays(
    configuration: CleaningConfiguration, kept: set[int]
) -> None:
    labels = specks()
    cleaned = clean_labels(labels, 1e-3, configuration)
    assert int((cleaned > 0).sum()) == sum(kept)
    np.testing.assert_array_equal(cleaned[cleaned > 0], labels[cleaned > 0])
    np.testing.assert_array_equal(labels, specks())


@pytest.mark.parametrize(
    ("minimum_ml", "voxel_ml", "enhancing"),
    [(0.0, 1e-3, 8), (0.008, 1e-3, 8), (0.0081, 1e-3, 0), (0.0081, 2e-3, 8)],
)
def test_a_trace_of_enhancement_becomes_core(minimum_ml: float, voxel_ml: float, enhancing: int) -> None:
    labels = np.where(specks() == 1, 0, specks())
    labels[14, 2, 14] = 0
    cleaned = clean_labels(labels, voxel_ml, CleaningConfiguration(False, 0.0, minimum_ml))
    assert int((cleaned == 3).sum()) == enhancing
    assert int((cleaned == 1).sum()) == 8 - enhancing
    np.testing.assert_array_equal(cleaned == 2, labels == 2)


def test_enhancement_is_weighed_after_specks_are_gone() -> None:
    labels = np.zeros((16, 16, 16), dtype=np.uint8)
    labels[2:8, 2:8, 2:8] = 2
    labels[4, 4, 4] = 3
    labels[12, 12, 10:13] = 3
    cleaned = clean_labels(labels, 1e-3, CleaningConfiguration(False, 0.01, 0.003))
    assert 3 not in cleaned


def test_voxels_that_touch_at_a_corner_are_one_tumour() -> None:
    labels = np.zeros((8, 8, 8), dtype=np.uint8)
    labels[1:4, 1:4, 1:4] = 2
    labels[4, 4, 4] = 2
    assert clean_labels(labels, 1e-3, CleaningConfiguration(True, 0.0, 0.0))[4, 4, 4] == 2


def test_an_empty_map_stays_empty() -> None:
    assert not clean_labels(np.zeros((5, 5, 5), dtype=np.uint8), 1e-3, CleaningConfiguration(True)).any()


@pytest.mark.parametrize("field", ["minimum_component_ml", "minimum_enhancing_ml"])
@pytest.mark.parametrize("value", [-0.1, 1001.0, float("nan")])
def test_unsafe_cleaning_is_refused(field: str, value: float) -> None:
    with pytest.raises(InvalidValueError, match=f"{field}: .* must be between 0 and 1000 ml"):
        CleaningConfiguration(**{field: value})
