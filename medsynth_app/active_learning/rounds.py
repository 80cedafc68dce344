"""What each round of annotation brought: the record behind ``/medsynth/api/rounds``.

A round is what was submitted between two trainings; the training that ends it takes these labels in. The last
round is open: nobody has trained on it yet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medsynth_app.active_learning.storage import Storage

LONGEST_MINUTES = 240.0
"""An annotator who takes longer was away; such a case says nothing about the time a case takes."""

Agreement = Mapping[str, Mapping[str, float]]
"""Label name -> ``dice`` and ``hd95_mm`` between the model's answer and the submitted label."""


@dataclass(frozen=True)
class Submission:
    """A label as it came back from an annotator.

    Attributes:
        case: case name.
        version: of its label.
        seconds: UNIX time.
        author: who.
        minutes: from handing the case out to its label, None where that is not known.
        agreement: with the model's answer, None where it was not scored or there was no such answer.
    """

    case: str
    version: int
    seconds: float
    author: str
    minutes: float | None
    agreement: Agreement | None


@dataclass(frozen=True)
class Training:
    """A training and what it changed.

    Attributes:
        began: UNIX seconds; labels submitted later are not in it.
        ended: UNIX seconds.
        labelled: cases with a final label.
        record: JSON values: ``model``, ``model_before``, ``published``, ``reason``, ``dice_before`` and
            ``dice_after`` (mean Dice per region on the validation cases), ``round_dice_after`` (on the round's own
            cases), ``validation`` (their number).
    """

    began: float
    ended: float
    labelled: int
    record: Mapping[str, Any]


class RoundsRecord:
    """Submissions and trainings of a studies folder.

    Args:
        storage: where they are kept.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def add_submission(self, submission: Submission) -> None:
        """Note a label; one that is noted already stays as it is."""
        row = (submission.case, submission.version, submission.seconds, submission.author, submission.minutes)
        with self.storage.writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO submissions (case_name, version, seconds, author, minutes) "
                "VALUES (?, ?, ?, ?, ?)",
                row,
            )

    def unscored(self) -> list[tuple[str, int]]:
        """Case and version of the labels whose agreement was not computed, oldest first."""
        query = "SELECT case_name, version FROM submissions WHERE scored = 0 ORDER BY seconds"
        with self.storage.reading() as connection:
            return [(case, version) for case, version in connection.execute(query)]

    def add_agreement(self, case: str, version: int, agreement: Agreement | None) -> None:
        """Note how well the model's answer agreed with a label; None where there was no answer."""
        text = None if agreement is None else json.dumps(agreement)
        with self.storage.writing() as connection:
            connection.execute(
                "UPDATE submissions SET agreement = ?, scored = 1 WHERE case_name = ? AND version = ?",
                (text, case, version),
            )

    def add_training(self, training: Training) -> None:
        """Note a training that has ended; it closes the round."""
        row = (training.began, training.ended, training.labelled, json.dumps(dict(training.record)))
        with self.storage.writing() as connection:
            connection.execute("INSERT INTO trainings (began, ended, labelled, record) VALUES (?, ?, ?, ?)", row)

    def submissions(self) -> list[Submission]:
        """All labels that came, oldest first."""
        query = "SELECT case_name, version, seconds, author, minutes, agreement FROM submissions ORDER BY seconds"
        with self.storage.reading() as connection:
            return [
                Submission(case, version, seconds, author, minutes, json.loads(text) if text else None)
                for case, version, seconds, author, minutes, text in connection.execute(query)
            ]

    def trainings(self) -> list[Training]:
        """All trainings, oldest first."""
        query = "SELECT began, ended, labelled, record FROM trainings ORDER BY id"
        with self.storage.reading() as connection:
            return [
                Training(began, ended, labelled, json.loads(text))
                for began, ended, labelled, text in connection.execute(query)
            ]

    def open_cases(self) -> set[str]:
        """Cases that were submitted since the last training began."""
        trainings = self.trainings()
        since = trainings[-1].began if trainings else 0.0
        return {submission.case for submission in self.submissions() if submission.seconds > since}

    def rounds(self, labelled_now: int, model_now: str | None) -> list[dict[str, Any]]:
        """One row a round, oldest first; the last one may be open.

        Args:
            labelled_now: cases with a final label.
            model_now: the model that is served.
        """
        submissions, trainings = self.submissions(), self.trainings()
        rows, begin = [], 0.0
        for training in trainings:
            inside = [s for s in submissions if begin < s.seconds <= training.began]
            rows.append({**_annotation(inside), **_outcome(training), "labelled": training.labelled, "open": False})
            begin = training.began
        waiting = [s for s in submissions if s.seconds > begin]
        if waiting or not rows:
            rows.append({**_annotation(waiting), **_no_outcome(model_now), "labelled": labelled_now, "open": True})
        return [{"round": number, **row} for number, row in enumerate(rows, start=1)]


def _annotation(submissions: Sequence[Submission]) -> dict[str, Any]:
    """What the annotators did in a round; of a case that was submitted twice the last label counts."""
    last = {submission.case: submission for submission in submissions}
    scored = [s.agreement for s in last.values() if s.agreement is not None]
    minutes = [s.minutes for s in last.values() if s.minutes is not None and s.minutes <= LONGEST_MINUTES]
    labels = sorted({label for agreement in scored for label in agreement})
    agreement = {
        label: {key: _mean([each[label][key] for each in scored if label in each]) for key in ("dice", "hd95_mm")}
        for label in labels
    }
    return {
        "cases": sorted(last),
        "submitted": len(last),
        "annotators": sorted({s.author for s in last.values() if s.author}),
        "began": min((s.seconds for s in submissions), default=None),
        "dice_before": _mean([row["dice"] for row in agreement.values()]),
        "agreement": agreement,
        "minutes_per_case": _mean(minutes),
    }


def _outcome(training: Training) -> dict[str, Any]:
    record = training.record
    return {
        "ended": training.ended,
        "dice_after": record.get("round_dice_after"),
        "model": record.get("model"),
        "model_dice": record.get("dice_after"),
        "model_dice_before": record.get("dice_before"),
        "published": record.get("published"),
        "reason": record.get("reason", ""),
    }


def _no_outcome(model: str | None) -> dict[str, Any]:
    return {
        "ended": None, "dice_after": None, "model": model, "model_dice": None, "model_dice_before": None,
        "published": None, "reason": "",
    }  # fmt: skip


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 4) if known else None
