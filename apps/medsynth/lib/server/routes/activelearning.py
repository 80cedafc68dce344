"""``POST /activelearning/{strategy}``: the next case to annotate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Body
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from medsynth_app.errors import NotFoundError


def build_router(strategies: Mapping[str, Strategy], datastore: Datastore) -> APIRouter:
    """The route, bound to the strategies by name."""
    router = APIRouter(prefix="/activelearning", tags=["ActiveLearning"])

    @router.post("/{strategy}", summary="The next case to annotate")
    def next_sample(strategy: str, params: dict[str, Any] | None = Body(None)) -> dict[str, Any]:
        if strategy not in strategies:
            known = ", ".join(strategies)
            raise NotFoundError(f"strategy: there is no {strategy[:60]!r}, known are {known}")
        given = params or {}
        chosen = strategies[strategy]({"strategy": strategy, **given}, datastore)
        if not chosen or not chosen.get("id"):
            return {}
        image_id = chosen["id"]
        served = datastore.get_image_info(image_id).get("strategy", {})
        served[strategy] = {"ts": int(time.time()), "client_id": str(given.get("client_id", ""))[:128]}
        datastore.update_image_info(image_id, {"strategy": served})
        return {**chosen, **datastore.get_image_info(image_id)}

    return router
