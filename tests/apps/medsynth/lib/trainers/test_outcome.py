"""A trained model takes the served one's place only if it is no worse."""

from __future__ import annotations

import pytest
from lib.trainers.segmentation import Outcome

BEFORE = {"WT": 0.8, "TC": 0.7, "ET": 0.6}
NOTES = {"validation_dice": {"WT": 0.9, "TC": 0.8, "ET": 0.7}}


@pytest.mark.parametrize(
    ("best", "published"), [(0.8, True), (0.7, True), (0.699, False)], ids=["better", "as good", "worse"]
)
def test_worse_model_is_rolled_back(best: float, published: bool) -> None:
    outcome = Outcome.of(BEFORE, NOTES, best)
    assert outcome.published is published
    assert outcome.before == {**BEFORE, "mean": 0.7}
    assert outcome.after == {**NOTES["validation_dice"], "mean": round(best, 4)}
    assert f"0.7000 before, {best:.4f} after" in outcome.reason
    assert ("rolled back" in outcome.reason) is not published


def test_without_validation_cases_it_is_published_and_says_so() -> None:
    outcome = Outcome.of({}, {}, None)
    assert (outcome.published, outcome.before, outcome.after) == (True, None, None)
    assert "unchecked" in outcome.reason
