"""``/medsynth/api/reviews``: the queue of submitted labels, what reviewers decided, and versions side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Body, Depends, Query
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from medsynth_app.active_learning.reviews import ReviewStatus
from medsynth_app.errors import InvalidValueError, OverloadedError

router = APIRouter(prefix="/reviews", tags=["Reviews"])


class Reviews(Protocol):
    """The part of an application that keeps reviews."""

    def queue(self, status: ReviewStatus | None, author: str) -> list[dict[str, Any]]:
        """Newest version of every labelled case, the one that waits longest first."""
        ...

    def history(self, case: str) -> dict[str, Any]:
        """All versions of a case with their reviews; NotFoundError for an unknown case."""
        ...

    def decide(self, case: str, version: int, decision: object, note: object) -> dict[str, Any]:
        """Keep a decision; StaleError where a newer version is there."""
        ...

    def compare(self, case: str, first: int, second: int) -> dict[str, Any]:
        """Figures of two versions."""
        ...

    def difference(self, case: str, first: int, second: int) -> Path:
        """A temporary NIfTI file of where two versions differ."""
        ...


def get_reviews() -> Reviews:
    """The application's reviews; it puts its own in place.

    Raises:
        OverloadedError: it has none.
    """
    raise OverloadedError("reviews: this server keeps no reviews", code="reviews_unavailable")


ReviewsHere = Annotated[Reviews, Depends(get_reviews)]
VersionNumber = Annotated[int, Query(ge=1)]


@router.get("", summary="Submitted labels and where they stand; those that wait come first")
def queue(here: ReviewsHere, status: str | None = None, author: str = "") -> dict[str, Any]:
    known = {each.value: each for each in ReviewStatus}
    if status is not None and status not in known:
        raise InvalidValueError(f"status: {status[:40]!r} must be one of {', '.join(known)}")
    rows = here.queue(known[status] if status else None, author)
    return {"reviews": rows, "total": len(rows)}


@router.get("/{case}", summary="All label versions of a case with their reviews")
def history(case: str, here: ReviewsHere) -> dict[str, Any]:
    return here.history(case)


@router.post("/{case}/{version}", summary="Accept the newest version, or send it back with a note")
def decide(
    case: str, version: int, here: ReviewsHere, decision: Any = Body(...), note: Any = Body("")
) -> dict[str, Any]:
    return here.decide(case, version, decision, note)


@router.get("/{case}/compare", summary="Two versions side by side: Dice, HD95, voxels that differ")
def compare(case: str, here: ReviewsHere, first: VersionNumber, second: VersionNumber) -> dict[str, Any]:
    return here.compare(case, first, second)


@router.get("/{case}/difference", summary="Where two versions differ, as a label map")
def difference(case: str, here: ReviewsHere, first: VersionNumber, second: VersionNumber) -> FileResponse:
    path = here.difference(case, first, second)
    return FileResponse(
        path, media_type="application/octet-stream", filename=f"{case}_difference.nii.gz",
        background=BackgroundTask(path.unlink, missing_ok=True),
    )  # fmt: skip
