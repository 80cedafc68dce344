"""What reviewers decided about submitted labels: one file of decisions beside each version, the last one counts."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from medsynth_app.active_learning.label_versions import LabelVersions
from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file

logger = logging.getLogger(__name__)

LONGEST_NOTE = 2000


class ReviewStatus(Enum):
    """Where a label stands."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    SENT_BACK = "sent_back"


DECISIONS = {"accept": ReviewStatus.ACCEPTED, "send_back": ReviewStatus.SENT_BACK}


@dataclass(frozen=True)
class Review:
    """One decision.

    Attributes:
        version: number of the label version it is about.
        status: ``accepted`` or ``sent_back``.
        note: for the annotator.
        reviewer: who decided; empty where the server has no login.
        seconds: when, UNIX time.
    """

    version: int
    status: str
    note: str
    reviewer: str
    seconds: float

    def shown(self) -> dict[str, Any]:
        """For a client."""
        return {**asdict(self), "seconds": int(self.seconds)}


def new_review(version: int, decision: object, note: object, reviewer: str) -> Review:
    """A decision that was checked.

    Raises:
        InvalidValueError: another decision, a note that is no text or too long, or sent back without one.
    """
    if not isinstance(decision, str) or decision not in DECISIONS:
        raise InvalidValueError(f"decision: {str(decision)[:40]!r} must be one of {', '.join(DECISIONS)}")
    if not isinstance(note, str) or len(note) > LONGEST_NOTE:
        raise InvalidValueError(f"note: must be a text of at most {LONGEST_NOTE} characters")
    if DECISIONS[decision] is ReviewStatus.SENT_BACK and not note.strip():
        raise InvalidValueError("note: is empty; a label that is sent back needs a word about what to change")
    return Review(version, DECISIONS[decision].value, note.strip(), reviewer, time.time())


def reviews_file(versions: LabelVersions, case: str, number: int) -> Path:
    """Where the decisions about a version are kept."""
    return versions.folder / case / f"{number:04d}-reviews.json"


def reviews_of(versions: LabelVersions, case: str, number: int) -> list[Review]:
    """All decisions about a version, oldest first; none where the file cannot be read."""
    path = reviews_file(versions, case, number)
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [Review(**row) for row in rows]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, RecursionError):
        logger.error("the reviews of a label version cannot be read and are passed over")
        return []


def keep_review(versions: LabelVersions, case: str, review: Review) -> None:
    """Add a decision, on the disk for good before this returns."""
    rows = [asdict(each) for each in (*reviews_of(versions, case, review.version), review)]
    with whole_file(reviews_file(versions, case, review.version), durable=True) as beside:
        beside.write_text(json.dumps(rows), encoding="utf-8")


def status_of(info: Mapping[str, Any], version_key: str) -> ReviewStatus:
    """Status of a final label by what the index holds about it; a review of an older version does not count."""
    review = info.get("review")
    if not isinstance(review, Mapping) or review.get("version") != info.get(version_key):
        return ReviewStatus.WAITING
    known = {status.value: status for status in ReviewStatus}
    return known.get(str(review.get("status")), ReviewStatus.WAITING)
