"""``/medsynth/api/cases/{case}/thumbnail``: a small picture of a case for lists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from medsynth_app.api.open_file import OpenFileResponse
from medsynth_app.errors import OverloadedError

router = APIRouter(prefix="/cases", tags=["Page"])

SECONDS_IN_THE_BROWSER = 300


class Thumbnails(Protocol):
    """The part of a datastore that shows its cases in small."""

    def picture(self, case: str) -> Path:
        """A PNG; NotFoundError where there is no such case, InvalidValueError where the name can be none."""
        ...


def get_thumbnails() -> Thumbnails:
    """The application's thumbnails; it puts its own in place.

    Raises:
        OverloadedError: it has none.
    """
    raise OverloadedError("thumbnails: this server has no cases to show", code="thumbnails_unavailable")


@router.get("/{case}/thumbnail", summary="A case in small, PNG", response_class=StreamingResponse)
def thumbnail(case: str, here: Annotated[Thumbnails, Depends(get_thumbnails)]) -> OpenFileResponse:
    headers = {"Cache-Control": f"private, max-age={SECONDS_IN_THE_BROWSER}", "X-Content-Type-Options": "nosniff"}
    return OpenFileResponse(here.picture(case), None, "image/png", headers)
