"""Submissions and trainings become rounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from medsynth_app.active_learning.rounds import RoundsRecord, Submission, Training
from medsynth_app.active_learning.storage import Storage

PERFECT = {"edema": {"dice": 1.0, "hd95_mm": 0.0}, "necrotic_core": {"dice": 1.0, "hd95_mm": 0.0}}
POOR = {"edema": {"dice": 0.5, "hd95_mm": 10.0}, "necrotic_core": {"dice": 0.0, "hd95_mm": 30.0}}


@pytest.fixture
def record(tmp_path: Path) -> RoundsRecord:
    return RoundsRecord(Storage(tmp_path / "rounds.db"))


def submit(record: RoundsRecord, case: str, seconds: float, *, version: int = 1, minutes: float | None = None) -> None:
    record.add_submission(Submission(case, version, seconds, "ann", minutes, None))


def train(record: RoundsRecord, began: float, **facts: object) -> None:
    record.add_training(Training(began, began + 1, 2, facts))


def test_nothing_yet_is_one_open_round(record: RoundsRecord) -> None:
    (row,) = record.rounds(labelled_now=3, model_now="m0")
    assert (row["round"], row["open"], row["labelled"], row["submitted"]) == (1, True, 3, 0)
    assert (row["model"], row["dice_before"], row["minutes_per_case"]) == ("m0", None, None)


def test_training_closes_a_round_and_later_labels_open_the_next(record: RoundsRecord) -> None:
    submit(record, "a", 1, minutes=4)
    submit(record, "b", 2, minutes=8)
    dice = {"dice_after": {"mean": 0.7}, "dice_before": {"mean": 0.5}, "round_dice_after": 0.9}
    train(record, 3, model="m1", published=True, **dice)
    submit(record, "c", 3.5)
    first, second = record.rounds(labelled_now=3, model_now="m1")
    assert (first["cases"], first["labelled"], first["open"]) == (["a", "b"], 2, False)
    assert (first["model"], first["model_dice"], first["model_dice_before"]) == ("m1", {"mean": 0.7}, {"mean": 0.5})
    assert (first["dice_after"], first["minutes_per_case"], first["annotators"]) == (0.9, 6.0, ["ann"])
    assert (second["round"], second["cases"], second["open"], second["labelled"]) == (2, ["c"], True, 3)
    assert record.open_cases() == {"c"}


def test_each_label_belongs_to_one_round_only(record: RoundsRecord) -> None:
    for number, case in enumerate("abc"):
        submit(record, case, 10 * number + 1)
        train(record, 10 * number + 5)
    assert [row["cases"] for row in record.rounds(3, None)] == [["a"], ["b"], ["c"]]


def test_agreement_is_averaged_over_cases_and_the_last_label_counts(record: RoundsRecord) -> None:
    submit(record, "a", 1)
    submit(record, "b", 2)
    submit(record, "a", 3, version=2)
    assert record.unscored() == [("a", 1), ("b", 1), ("a", 2)]
    record.add_agreement("a", 1, POOR)
    record.add_agreement("a", 2, PERFECT)
    record.add_agreement("b", 1, POOR)
    assert record.unscored() == []
    (row,) = record.rounds(2, None)
    assert row["agreement"] == {
        "edema": {"dice": 0.75, "hd95_mm": 5.0}, "necrotic_core": {"dice": 0.5, "hd95_mm": 15.0}
    }  # fmt: skip
    assert (row["dice_before"], row["submitted"]) == (0.625, 2)


def test_case_without_a_model_answer_and_long_absence_say_nothing(record: RoundsRecord) -> None:
    submit(record, "a", 1, minutes=2)
    submit(record, "b", 2, minutes=10_000)
    record.add_agreement("a", 1, PERFECT)
    record.add_agreement("b", 1, None)
    (row,) = record.rounds(2, None)
    assert (row["dice_before"], row["minutes_per_case"]) == (1.0, 2.0)


def test_label_is_noted_once_and_survives(record: RoundsRecord) -> None:
    submit(record, "a", 1, minutes=2)
    submit(record, "a", 9, minutes=None)
    (kept,) = RoundsRecord(Storage(record.storage.path)).submissions()
    assert (kept.seconds, kept.minutes) == (1, 2)
