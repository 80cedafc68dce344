"""Orientation, boxes, resampling: checked against places in millimetres, not against nibabel's answers."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.geometry import (
    Box,
    corner_distance,
    foreground_box,
    isotropic_grid,
    reorient,
    resample,
    same_grid,
    undo_reorient,
)
from medsynth_app.imaging.volume import Volume

ALL_ORIENTATIONS = [
    "".join(letters) for order in permutations(("RL", "AP", "SI")) for letters in product(*order)
]
TURNS = {
    "small": Rotation.from_euler("xyz", [8, -12, 20], degrees=True).as_matrix(),
    "half of a right angle": Rotation.from_euler("z", 45, degrees=True).as_matrix(),
    "half of two right angles": Rotation.from_euler("xz", [45, 45], degrees=True).as_matrix(),
    "135 degrees": Rotation.from_euler("zy", [135, 45], degrees=True).as_matrix(),
}


def numbered(affine: np.ndarray, shape: tuple[int, int, int] = (3, 4, 5)) -> Volume:
    """A volume of two channels in which every voxel has its own number."""
    first = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return Volume(np.stack([first, first + 1000]), affine)


def values_by_place(volume: Volume, build: Any) -> dict[tuple[float, ...], tuple[float, ...]]:
    """Rounded place in mm -> the channels' values there."""
    places = build.places_mm(volume.affine, volume.spatial_shape).reshape(-1, 3)
    values = np.moveaxis(volume.array, 0, -1).reshape(-1, len(volume.array))
    return {
        tuple(np.round(place, 3) + 0.0): tuple(value)
        for place, value in zip(places.tolist(), values.tolist())
    }


def test_there_are_48_orientations() -> None:
    assert len(set(ALL_ORIENTATIONS)) == 48


@pytest.mark.parametrize("axes", ALL_ORIENTATIONS)
def test_reorient_keeps_every_value_at_its_place_and_comes_back_exactly(axes: str, build: Any) -> None:
    source = numbered(build.affine(axes, (1.0, 2.0, 0.5), (3, 4, 5)))
    canonical = reorient(source)
    assert (np.diag(canonical.affine)[:3] > 0).all()
    assert np.count_nonzero(canonical.affine[:3, :3]) == 3
    assert values_by_place(canonical, build) == values_by_place(source, build)
    for back in (reorient(canonical, tuple(axes)), undo_reorient(canonical, source.affine)):  # type: ignore[arg-type]
        np.testing.assert_array_equal(back.array, source.array)
        np.testing.assert_allclose(back.affine, source.affine, atol=1e-9)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("axes", ["RAS", "LPS", "SAL", "PIR"])
def test_an_oblique_grid_comes_back_exactly(axes: str, turn: str, build: Any) -> None:
    source = numbered(build.affine(axes, (1.0, 2.0, 0.5), (3, 4, 5), TURNS[turn]))
    canonical = reorient(source)
    assert values_by_place(canonical, build) == values_by_place(source, build)
    back = undo_reorient(canonical, source.affine)
    np.testing.assert_array_equal(back.array, source.array)
    np.testing.assert_allclose(back.affine, source.affine, atol=1e-9)


def test_reorient_leaves_its_input_alone() -> None:
    source = numbered(np.diag([-1.0, -1, 1, 1]))
    before = source.array.copy()
    reorient(source).array[...] = -1
    np.testing.assert_array_equal(source.array, before)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ((0.0, 0.0, 0.0), 0.0),
        ((3.0, 4.0, 0.0), 5.0),
    ],
)
def test_corner_distance_of_a_shift(change: tuple[float, float, float], expected: float) -> None:
    moved = np.eye(4)
    moved[:3, 3] = change
    assert corner_distance(np.eye(4), moved, (10, 10, 10)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("second", "shape", "expected"),
    [
        (np.diag([-1.0, 1, 1, 1]), (11, 5, 5), 20.0),  # the far corner goes from x = 10 to x = -10
        (np.diag([1.1, 1, 1, 1]), (11, 5, 5), 1.0),  # a tenth of a millimetre a voxel, ten steps
        (np.diag([1.1, 1, 1, 1]), (1, 5, 5), 0.0),  # voxel centres count, not faces
    ],
)
def test_corner_distance_of_a_flip_and_a_stretch(
    second: np.ndarray, shape: tuple[int, int, int], expected: float
) -> None:
    assert corner_distance(np.eye(4), second, shape) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("shift", "shape", "same"), [(0.0, (4, 4, 4), True), (0.005, (4, 4, 4), True), (0.02, (4, 4, 4), False),
                                 (0.0, (4, 4, 5), False)],
)  # fmt: skip
def test_same_grid(shift: float, shape: tuple[int, int, int], same: bool) -> None:
    moved = np.eye(4)
    moved[0, 3] = shift
    assert same_grid(Volume(np.zeros((1, 4, 4, 4)), np.eye(4)), Volume(np.zeros((2, *shape)), moved)) is same


@pytest.mark.parametrize(
    ("voxels", "margin", "start", "stop"),
    [
        ([(2, 3, 4)], 0, (2, 3, 4), (3, 4, 5)),
        ([(2, 3, 4), (5, 3, 1)], 0, (2, 3, 1), (6, 4, 5)),
        ([(2, 3, 4)], 1, (1, 2, 3), (4, 5, 6)),
        ([(0, 6, 3)], 2, (0, 4, 1), (3, 7, 6)),
    ],
)
def test_foreground_box(
    voxels: list[tuple[int, int, int]], margin: int, start: tuple[int, ...], stop: tuple[int, ...]
) -> None:
    mask = np.zeros((7, 7, 7), dtype=bool)
    mask[tuple(np.transpose(voxels))] = True
    box = foreground_box(mask, margin)
    assert (box.start, box.stop) == (start, stop)


def test_a_box_cuts_what_it_says() -> None:
    box = Box((1, 0, 2), (3, 4, 5))
    assert box.shape == (2, 4, 3)
    assert np.zeros((6, 6, 6))[box.slices].shape == box.shape


def test_no_foreground_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="no foreground: every voxel is zero"):
        foreground_box(np.zeros((3, 3, 3), dtype=bool))


def test_isotropic_grid_keeps_the_field_of_view() -> None:
    affine = np.diag([2.0, 0.5, 3.0, 1.0])
    affine[:3, 3] = (10, 20, 30)
    grid, shape = isotropic_grid(Volume(np.zeros((1, 5, 8, 4)), affine), 1.0)
    assert shape == (10, 4, 12)
    np.testing.assert_allclose(np.linalg.norm(grid[:3, :3], axis=0), 1.0)
    corner = np.array([-0.5, -0.5, -0.5, 1.0])
    np.testing.assert_allclose(grid @ corner, affine @ corner)


def test_resample_to_the_same_grid_changes_nothing() -> None:
    source = numbered(np.diag([-1.0, 2.0, 1.0, 1.0]))
    for order in (0, 1):
        np.testing.assert_allclose(
            resample(source, source.affine, (3, 4, 5), order=order).array, source.array
        )


def test_resample_reads_a_linear_ramp_exactly_between_voxels(build: Any) -> None:
    affine = build.affine("LAS", (2.0, 2.0, 2.0), (8, 8, 8))
    ramp = build.places_mm(affine, (8, 8, 8)) @ (1.0, 2.0, 3.0)
    wanted = affine.copy()
    wanted[:3, 3] = affine[:3, :3] @ (1.3, 1.7, 2.2) + affine[:3, 3]
    wanted[:3, :3] /= 2
    result = resample(Volume(ramp[None].astype(np.float64), affine), wanted, (4, 4, 4))
    np.testing.assert_allclose(
        result.array[0], build.places_mm(wanted, (4, 4, 4)) @ (1.0, 2.0, 3.0), atol=1e-9
    )


def test_resampled_labels_are_those_of_the_nearest_voxel_up_to_the_faces_of_the_image(build: Any) -> None:
    labels = np.random.default_rng(0).integers(1, 4, (6, 6, 6)).astype(np.uint8)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    wanted = np.eye(4)
    wanted[:3, 3] = -2.7
    result = resample(Volume(labels[None], affine), wanted, (16, 16, 16), order=0)
    assert result.array.dtype == np.uint8
    expected = build.labels_at(labels, affine, build.places_mm(wanted, (16, 16, 16)))
    np.testing.assert_array_equal(result.array[0], expected)
    assert set(np.unique(expected)) == {0, 1, 2, 3}, "places outside the image are 0, and there are some"
