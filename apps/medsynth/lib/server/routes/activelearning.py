"""``POST /activelearning/{strategy}``: the next case to annotate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Body
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from lib.datastore import check_tag
from medsynth_app.errors import InvalidValueError, NotFoundError


def build_router(strategies: Mapping[str, Strategy], datastore: Datastore) -> APIRouter:
    """The route, bound to the strategies by name."""
    router = APIRouter(prefix="/activelearning", tags=["ActiveLearning"])

    @router.post("/{strategy}", summary="The next case to annotate")
    def next_sample(strategy: str, params: dict[str, Any] | None = Body(None)) -> dict[str, Any]:
        if strategy not in strategies:
            known = ", ".join(strategies)
            raise NotFoundError(f"strategy: there is no {strategy[:60]!r}, known are {known}")
        given = params or {}
        request = {**_checked(given), "strategy": strategy}
        chosen = strategies[strategy](request, datastore)
        if not chosen or not chosen.get("id"):
            return {}
        image_id = chosen["id"]
        served = datastore.get_image_info(image_id).get("strategy", {})
        served[strategy] = {"ts": int(time.time()), "client_id": str(given.get("client_id", ""))[:128]}
        datastore.update_image_info(image_id, {"strategy": served})
        return {**chosen, **datastore.get_image_info(image_id)}

    return router


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The client's options; ``label_tag`` and ``labels`` index tables and must be what they seem."""
    if given.get("label_tag"):
        check_tag(given["label_tag"])
    labels = given.get("labels") or []
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise InvalidValueError(f"labels: {str(labels)[:60]!r} must be a list of label names")
    return dict(given)
