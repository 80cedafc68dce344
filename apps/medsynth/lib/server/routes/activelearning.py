"""``POST /activelearning/{strategy}``: the next cases to annotate, leased to who asks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Body

from lib.activelearning.strategy import RankingStrategy
from lib.datastore import CaseDatastore, check_tag
from lib.rounds import AnnotationRounds
from medsynth_app.errors import InvalidValueError, NotFoundError
from medsynth_app.request_context import NOBODY, acting_user


def build_router(
    strategies: Mapping[str, RankingStrategy], datastore: CaseDatastore, rounds: AnnotationRounds
) -> APIRouter:
    """The route, bound to the strategies by name."""
    router = APIRouter(prefix="/activelearning", tags=["ActiveLearning"])

    @router.post("/{strategy}", summary="The next cases to annotate")
    def next_sample(strategy: str, params: dict[str, Any] | None = Body(None)) -> dict[str, Any]:
        if strategy not in strategies:
            known = ", ".join(strategies)
            raise NotFoundError(f"strategy: there is no {strategy[:60]!r}, known are {known}")
        request = _checked(params or {})
        annotator = annotator_of(request)
        handed = rounds.hand_out(strategies[strategy], request, annotator)
        if handed is None:
            return {}
        for image_id in handed["ids"]:
            served = {**datastore.get_image_info(image_id).get("strategy", {})}
            served[strategy] = {"ts": int(time.time()), "client_id": annotator}
            datastore.update_image_info(image_id, {"strategy": served})
        return {**handed, **datastore.get_image_info(handed["id"])}

    return router


def annotator_of(given: Mapping[str, Any]) -> str:
    """Who works: the account that is logged in, else the name that the viewer gives itself."""
    user = acting_user.get()
    return user if user != NOBODY else str(given.get("client_id") or "")[:128]


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The client's options; ``label_tag`` and ``labels`` index tables and must be what they seem."""
    if given.get("label_tag"):
        check_tag(given["label_tag"])
    labels = given.get("labels") or []
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise InvalidValueError(f"labels: {str(labels)[:60]!r} must be a list of label names")
    return {key: value for key, value in given.items() if key not in ("candidates", "count")}
