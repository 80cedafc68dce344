"""Updates without a finite gradient are counted and do not go on for ever."""

from __future__ import annotations

import pytest
import torch

from medsynth_app.errors import InvalidValueError, TrainingDivergedError
from medsynth_app.updates import MOST_IN_A_ROW, MOST_IN_ALL, UpdateCount

FINE, BROKEN = torch.tensor(1.0), torch.tensor(float("nan"))


def test_a_broken_update_is_left_out_and_counted() -> None:
    count = UpdateCount()
    assert [count.admits(norm, step) for step, norm in enumerate((FINE, BROKEN, -BROKEN, FINE))] == [
        True, False, False, True,
    ]  # fmt: skip
    assert (count.left_out, count.in_a_row) == (2, 0)
    assert not count.admits(torch.tensor(float("inf")), 4)


def test_too_many_in_a_row_end_the_training_by_name() -> None:
    count = UpdateCount()
    for step in range(MOST_IN_A_ROW - 1):
        assert not count.admits(BROKEN, step)
    with pytest.raises(TrainingDivergedError, match="10 updates in a row and 10 in all") as caught:
        count.admits(BROKEN, 9)
    assert (caught.value.code, caught.value.status) == ("training_diverged", 422)
    assert isinstance(caught.value, InvalidValueError)


def test_too_many_in_all_end_it_too_also_of_a_run_that_goes_on() -> None:
    count = UpdateCount(MOST_IN_ALL - 2)
    assert not count.admits(BROKEN, 1)
    assert count.admits(FINE, 2)
    with pytest.raises(TrainingDivergedError, match="1 updates in a row and 100 in all"):
        count.admits(BROKEN, 3)
