"""The coarse pass: a box that holds the tumour, or the whole image where it cannot say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from medsynth_app.segmentation.inference import InferenceConfiguration, predict_labels, segment
from medsynth_app.segmentation.localization import MARGIN, half_resolution, tumor_box
from medsynth_app.segmentation.transforms import GRID_STEP

SHAPE = (120, 140, 100)


def logits_with(*foci: tuple[slice, slice, slice]) -> Any:
    """A network that sees tumour in the given coarse voxels, whatever it is shown."""

    def predict(image: torch.Tensor) -> torch.Tensor:
        assert image.shape == (1, 60, 70, 50)
        logits = torch.zeros((4, *image.shape[1:]))
        logits[0] = 6.0
        for focus in foci:
            logits[(2, *focus)] = 12.0
        return logits

    return predict


def box_of(*foci: tuple[slice, slice, slice]) -> Any:
    return tumor_box(torch.ones((1, *SHAPE)), logits_with(*foci))


def test_the_box_holds_the_tumour_and_a_margin() -> None:
    box = box_of((slice(20, 30), slice(20, 26), slice(22, 25)))
    assert all(low <= side - MARGIN for low, side in zip(box.start, (40, 40, 44)))
    assert all(high >= side + MARGIN for high, side in zip(box.stop, (60, 52, 50)))


def test_the_box_ends_where_the_image_ends() -> None:
    box = box_of((slice(0, 4), slice(66, 70), slice(45, 50)))
    assert box.start == (0, 112, 80)
    assert box.stop == (16, 140, 100)


def test_the_box_starts_and_stops_on_the_grid_of_the_network() -> None:
    for first in range(10, 19):
        box = box_of((slice(first, first + 6),) * 3)
        assert not any(side % GRID_STEP for side in box.start)
        assert not any(side % GRID_STEP for side in box.stop)


def test_two_foci_are_held_by_one_box() -> None:
    box = box_of((slice(10, 14),) * 3, (slice(30, 33),) * 3)
    assert box.start == (0, 0, 0)
    assert box.stop == (80, 80, 80)


@pytest.mark.parametrize(
    "foci", [(), ((slice(5, 7),) * 3,), ((slice(5, 55), slice(5, 65), slice(5, 45)),)],
    ids=["nothing", "a speck", "nearly everything"],
)  # fmt: skip
def test_the_whole_image_is_looked_at_where_a_box_would_not_help(foci: Any) -> None:
    assert box_of(*foci).shape == SHAPE


def test_half_resolution_is_the_mean_over_the_brain() -> None:
    image = torch.zeros((2, 4, 4, 5))
    image[0, :2, :2, :2] = torch.arange(8.0).reshape(2, 2, 2) + 1
    image[0, 2, 2, 2] = 9.0
    coarse = half_resolution(image)
    assert coarse.shape == (2, 2, 2, 3)
    assert float(coarse[0, 0, 0, 0]) == pytest.approx(4.5)
    assert float(coarse[0, 1, 1, 1]) == 0.0
    image[0, 0, 0, 0] = 0.0
    assert float(half_resolution(image)[0, 0, 0, 0]) == pytest.approx((36 - 1) / 7)


def test_a_head_gets_the_same_labels_with_less_work(head: Any, knowing_network: Any) -> None:
    whole = segment(head.volume, knowing_network, InferenceConfiguration(precision="fp32", whole_brain=True))
    looked_at = [shape[2:] for shape in knowing_network.calls]
    knowing_network.calls.clear()
    close = segment(head.volume, knowing_network, InferenceConfiguration(precision="fp32"))
    assert np.array_equal(whole.labels, close.labels)
    assert len(knowing_network.calls) == 2
    assert all(np.prod(shape[2:]) <= np.prod(looked_at[0]) for shape in knowing_network.calls)


def test_labels_have_the_shape_of_the_image(knowing_network: Any, tiny_cases: Any) -> None:
    image = tiny_cases[0].image.float()[:, :31, :30, :29]
    labels, entropy = predict_labels(image, knowing_network)
    assert labels.shape == (31, 30, 29)
    assert labels.dtype == np.uint8
    assert 0.0 <= entropy <= 1.0
