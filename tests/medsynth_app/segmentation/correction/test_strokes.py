"""Points per label: what is taken, and what is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.segmentation.correction.points import balls
from medsynth_app.segmentation.correction.strokes import MOST_POINTS, strokes_from_points

SHAPE = (10, 11, 12)


def test_points_become_values() -> None:
    strokes = strokes_from_points({"edema": [[1, 2, 3]], "background": [[9, 10, 11], [0, 0, 0]]}, SHAPE)
    assert strokes.labels() == [0, 2]
    assert strokes.values[1, 2, 3] == 2
    assert strokes.values[9, 10, 11] == strokes.values[0, 0, 0] == 0
    assert (strokes.values >= 0).sum() == 3


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({}, "points: none were sent"),
        ({"edema": []}, "points: none were sent"),
        ({"cyst": [[1, 1, 1]]}, "points: unknown label 'cyst', known are background, necrotic_core, edema"),
        ({"edema": "1,2,3"}, r"edema: must be a list of voxel indices \[i, j, k\]"),
        ({"edema": [[1, 2]]}, r"edema: \[1, 2\] is no voxel index"),
        ({"edema": [[1, 2, float("nan")]]}, "edema: .* is no voxel index"),
        ({"edema": [[1, 2, True]]}, "edema: .* is no voxel index"),
        ({"edema": [[10, 2, 3]]}, r"edema: point \[10, 2, 3\] lies outside of the image of 10x11x12 voxels"),
        ({"edema": [[-1, 2, 3]]}, "lies outside of the image"),
        ({"edema": [[1, 1, 1]], "background": [[1, 1, 1]]}, r"\[1, 1, 1\] is marked as"),
        ({"edema": [[1, 1, 1]] * (MOST_POINTS + 1)}, f"points: {MOST_POINTS + 1} were sent, allowed are {MOST_POINTS}"),
    ],
)
def test_bad_points_are_refused_by_name(points: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        strokes_from_points(points, SHAPE)


def test_balls_keep_apart() -> None:
    points = strokes_from_points({"edema": [[3, 5, 5]], "necrotic_core": [[6, 5, 5]]}, SHAPE)
    grown = balls(points, 2)
    assert [int(v) for v in grown.values[1:9, 5, 5]] == [2, 2, 2, 2, 1, 1, 1, 1]
    assert grown.values[3, 5, 8] == -1
    assert np.array_equal(points.values[3, 5, 4:6], [-1, 2])
