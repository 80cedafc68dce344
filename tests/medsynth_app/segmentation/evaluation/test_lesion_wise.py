"""Lesion-wise scores of hand-made lesions, worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.segmentation.evaluation.lesion_wise import MISSED_HD95_MM, score_lesions

SHAPE = (60, 40, 40)
SPACING = np.ones(3)


def cubes(*places: tuple[int, int, int, int]) -> np.ndarray:
    """Cubes by corner and side."""
    mask = np.zeros(SHAPE, dtype=bool)
    for x, y, z, side in places:
        mask[x : x + side, y : y + side, z : z + side] = True
    return mask


LARGE, FAR, SPECK = (5, 5, 5, 8), (40, 5, 5, 8), (40, 25, 25, 3)


@pytest.mark.parametrize(
    ("predicted", "reference", "dice", "hd95"),
    [
        ((), (), 1.0, 0.0),
        ((LARGE,), (LARGE,), 1.0, 0.0),
        ((), (LARGE,), 0.0, MISSED_HD95_MM),
        ((LARGE,), (), 0.0, MISSED_HD95_MM),
        ((LARGE,), (LARGE, FAR), 0.5, MISSED_HD95_MM / 2),
        ((LARGE, FAR), (LARGE,), 0.5, MISSED_HD95_MM / 2),
        ((LARGE,), (LARGE, SPECK), 1.0, 0.0),
        ((LARGE, SPECK), (LARGE, SPECK), 1.0, 0.0),
        ((SPECK,), (SPECK,), 1.0, 0.0),
    ],
)
def test_lesions(predicted: tuple, reference: tuple, dice: float, hd95: float) -> None:
    found = score_lesions(cubes(*predicted), cubes(*reference), SPACING)
    assert found == pytest.approx({"lesion_wise_dice": dice, "lesion_wise_hd95_mm": hd95})


def test_pieces_that_lie_close_are_one_lesion() -> None:
    pieces = cubes((5, 5, 5, 8), (15, 5, 5, 8))
    found = score_lesions(cubes((5, 5, 5, 8)), pieces, SPACING)
    assert found["lesion_wise_dice"] == pytest.approx(2 * 512 / (512 + 1024))


def test_half_of_a_lesion() -> None:
    reference, predicted = cubes((5, 5, 5, 8)), cubes((5, 5, 5, 8))
    predicted[9:] = False
    assert score_lesions(predicted, reference, SPACING)["lesion_wise_dice"] == pytest.approx(2 / 3)
