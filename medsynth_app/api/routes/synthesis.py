"""``/medsynth/api/synthesis``: what each generator accepts and what its weights were trained on."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.weights import WeightsStore

router = APIRouter(prefix="/synthesis", tags=["Synthesis"])


def get_weights_store() -> WeightsStore:
    """The shipped weights; an application that has others puts its own in place."""
    return WeightsStore()


@router.get("", summary="The catalogue: generators, their conditions, what their weights were trained on")
def synthesis(store: Annotated[WeightsStore, Depends(get_weights_store)]) -> dict[str, Any]:
    return CATALOGUE.described(store)


@router.get("/{task}", summary="The generators of one task")
def task(task: str, store: Annotated[WeightsStore, Depends(get_weights_store)]) -> dict[str, Any]:
    rows = CATALOGUE.of_task(task)
    return {"task": task, "generators": [row.described(store) for row in rows]}
