"""``GET /info/``: what viewers ask most, answered from memory; made anew when something in it has changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from anyio import CapacityLimiter, move_on_after, to_thread
from fastapi import APIRouter
from fastapi.encoders import jsonable_encoder
from starlette.responses import Response

from lib.datastore import CaseDatastore
from lib.finite import finite

LONGEST_LOOK_SECONDS = 0.1


class DescribedApp(Protocol):
    """What this route needs of the application."""

    def info(self) -> dict[str, Any]: ...

    def infers(self) -> Mapping[str, Any]: ...

    def trainers(self) -> Mapping[str, Any]: ...

    def datastore(self) -> Any: ...


class Description:
    """The application's description as bytes of JSON.

    Args:
        app: what is described.
    """

    def __init__(self, app: DescribedApp) -> None:
        self.app = app
        self._kept: tuple[str, bytes] = ("", b"")

    def content(self) -> bytes:
        """The bytes kept, unless counts, a training's progress or the models that have weights are others now."""
        state = self._state()
        kept = self._kept
        if kept[0] != state:
            text = json.dumps(finite(jsonable_encoder(self.app.info())), ensure_ascii=False, allow_nan=False)
            kept = self._kept = (state, text.encode())
        return kept[1]

    def _state(self) -> str:
        served = [name for name, task in self.app.infers().items() if task.is_valid()]
        progress = [trainer.stats() for trainer in self.app.trainers().values()]
        return json.dumps((served, progress, self.app.datastore().status()), default=str)


def build_router(app: DescribedApp) -> APIRouter:
    """The route. It stays on the event loop, so that it never waits for a thread that uploads and models hold. A look
    at the studies, once a second, goes to a thread of its own; one that takes long is seen in a later answer."""
    router = APIRouter(tags=["App"])
    description = Description(app)
    one_at_a_time = CapacityLimiter(1)

    @router.get("/info/", summary="Models, trainers, strategies, progress of training, counts of cases")
    async def info() -> Response:
        store = app.datastore()
        if isinstance(store, CaseDatastore) and store.is_look_due:
            with move_on_after(LONGEST_LOOK_SECONDS):
                await to_thread.run_sync(store.status, limiter=one_at_a_time, abandon_on_cancel=True)
        return Response(description.content(), media_type="application/json")

    return router
