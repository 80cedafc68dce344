"""Scores against values worked out by hand."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.segmentation.evaluation.metrics import (
    hausdorff_distance_95,
    region_mask,
    score_labels,
    score_region,
)
from medsynth_app.vocabulary import TumorRegion

ONE_MM = np.ones(3)


def cube(start: int, stop: int, side: int = 10) -> np.ndarray:
    """A box start..stop along X, 4 voxels along Y and Z."""
    mask = np.zeros((side, side, side), dtype=bool)
    mask[start:stop, 2:6, 2:6] = True
    return mask


def test_scores_by_hand() -> None:
    # reference x 2..5 (64 voxels), prediction x 4..5 and 6..7 (64 voxels): 32 shared, 1000 voxels in all
    scores = score_region(cube(4, 8), cube(2, 6), ONE_MM)
    assert scores.dice == pytest.approx(0.5)
    assert scores.iou == pytest.approx(32 / 96)
    assert scores.accuracy == pytest.approx(936 / 1000)
    assert scores.sensitivity == pytest.approx(0.5)
    assert scores.specificity == pytest.approx(904 / 936)
    assert scores.hd95_mm == pytest.approx(2.0)


def test_a_perfect_answer() -> None:
    scores = score_region(cube(2, 6), cube(2, 6), ONE_MM)
    assert tuple(asdict(scores).values()) == (
        1.0, 1.0, 1.0, 1.0, 1.0, 0.0,
    )  # fmt: skip


EMPTY = np.zeros((10, 10, 10), dtype=bool)


@pytest.mark.parametrize(
    ("predicted", "reference", "overlap", "distance"),
    [
        (EMPTY, EMPTY, 1.0, 0.0),
        (cube(2, 6), EMPTY, 0.0, np.sqrt(300)),
        (EMPTY, cube(2, 6), 0.0, np.sqrt(300)),
    ],
    ids=["both empty", "false finding", "missed"],
)
def test_empty_regions_count_as_in_brats(
    predicted: np.ndarray, reference: np.ndarray, overlap: float, distance: float
) -> None:
    scores = score_region(predicted, reference, ONE_MM)
    assert (scores.dice, scores.iou, scores.sensitivity) == (overlap, overlap, overlap)
    assert scores.hd95_mm == pytest.approx(distance)


def test_specificity_of_a_false_finding_still_counts_its_voxels() -> None:
    assert score_region(cube(2, 6), EMPTY, ONE_MM).specificity == pytest.approx(936 / 1000)
    assert score_region(EMPTY, EMPTY, ONE_MM).specificity == 1.0


def test_different_shapes_are_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"predicted \(10, 10, 10\), reference \(5, 5, 5\)"):
        score_region(EMPTY, np.zeros((5, 5, 5), dtype=bool), ONE_MM)


def two_voxels(second: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    first_mask, second_mask = np.zeros((2, 12, 12, 12), dtype=bool)
    first_mask[2, 3, 4] = True
    second_mask[second] = True
    return first_mask, second_mask


@pytest.mark.parametrize(
    ("second", "spacing", "expected"),
    [
        ((2, 3, 4), (1, 1, 1), 0.0),
        ((5, 3, 4), (1, 1, 1), 3.0),
        ((5, 7, 4), (1, 1, 1), 5.0),
        ((5, 3, 4), (2, 1, 1), 6.0),
        ((2, 3, 6), (1, 1, 5), 10.0),
        ((2, 6, 8), (9, 1, 0.5), np.sqrt(9 + 4)),
    ],
)
def test_distance_of_two_voxels_is_in_millimetres(
    second: tuple[int, int, int], spacing: tuple[float, float, float], expected: float
) -> None:
    masks = two_voxels(second)
    assert hausdorff_distance_95(*masks, np.array(spacing)) == pytest.approx(expected)
    assert hausdorff_distance_95(*masks[::-1], np.array(spacing)) == pytest.approx(expected)


def test_distance_between_parallel_plates() -> None:
    plates = np.zeros((2, 20, 10, 10), dtype=bool)
    plates[0, 3], plates[1, 10] = True, True
    assert hausdorff_distance_95(plates[0], plates[1], np.array([1.5, 1, 1])) == pytest.approx(10.5)


def test_one_stray_voxel_in_many_does_not_count() -> None:
    reference = np.zeros((40, 20, 20), dtype=bool)
    reference[2:12, 2:12, 2:12] = True
    stray = reference.copy()
    stray[35, 10, 10] = True
    assert hausdorff_distance_95(stray, reference, ONE_MM) == 0.0


def test_the_worse_of_both_directions_counts() -> None:
    small, large = np.zeros((2, 30, 12, 12), dtype=bool)
    small[2:6, 2:6, 2:6] = True
    large[2:6, 2:6, 2:6] = True
    large[20:24, 2:6, 2:6] = True
    # Half of the large surface lies 15 to 18 mm from the small one; seen from the small one all is near.
    distance = hausdorff_distance_95(small, large, ONE_MM)
    assert 17 <= distance <= 18
    assert hausdorff_distance_95(large, small, ONE_MM) == distance


def test_a_region_at_the_edge_of_the_image_has_a_surface_there() -> None:
    full, half = np.ones((2, 8, 8, 8), dtype=bool)
    half[4:] = False
    assert hausdorff_distance_95(full, half, ONE_MM) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("region", "expected"), [("WT", [0, 1, 1, 1]), ("TC", [0, 1, 0, 1]), ("ET", [0, 0, 0, 1])]
)
def test_region_masks(region: str, expected: list[int]) -> None:
    assert region_mask(np.array([0, 1, 2, 3]), TumorRegion(region)).astype(int).tolist() == expected


def test_scores_of_label_maps_are_per_region() -> None:
    reference = np.zeros((8, 8, 8), dtype=np.uint8)
    reference[1:5, 1:5, 1:5] = 2
    reference[2:4, 2:4, 2:4] = 3
    predicted = np.where(reference == 3, 1, reference)
    scores = score_labels(predicted, reference, ONE_MM)
    assert list(scores) == ["WT", "TC", "ET"]
    assert set(scores["WT"]) == {"dice", "iou", "accuracy", "sensitivity", "specificity", "hd95_mm"}
    assert (scores["WT"]["dice"], scores["TC"]["dice"], scores["ET"]["dice"]) == (1.0, 1.0, 0.0)
