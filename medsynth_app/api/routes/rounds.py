"""``/medsynth/api/rounds``: what each round of annotation brought, and the way back to an earlier model."""

from __future__ import annotations

from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends

from medsynth_app.errors import OverloadedError

router = APIRouter(prefix="/rounds", tags=["Rounds"])


class Rounds(Protocol):
    """The part of an application that annotates in rounds."""

    def overview(self) -> dict[str, Any]:
        """``rounds``, ``models``, ``model`` (the served one), ``leases``, ``background``."""
        ...

    def restore(self, model: str) -> dict[str, Any]:
        """Serve an earlier model; NotFoundError where it is not kept, BusyError while a training runs."""
        ...


def get_rounds() -> Rounds:
    """The application's rounds; it puts its own in place.

    Raises:
        OverloadedError: it has none.
    """
    raise OverloadedError("rounds: this server does not annotate in rounds", code="rounds_unavailable")


RoundsHere = Annotated[Rounds, Depends(get_rounds)]


@router.get("", summary="Rounds with labels, agreement and model Dice; models; leases; background work")
def rounds(here: RoundsHere) -> dict[str, Any]:
    return here.overview()


@router.post("/models/{model}", summary="Serve an earlier model again")
def restore(model: str, here: RoundsHere) -> dict[str, Any]:
    return here.restore(model)
