"""The outermost wrapper: names each request, writes one line of log about it and counts it."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medsynth_app.api.json_logs import fields
from medsynth_app.api.metrics import Metrics
from medsynth_app.request_context import NOBODY, acting_role, acting_user, request_identifier

logger = logging.getLogger(__name__)

HEADER = "x-request-id"
CLIENT_GONE = 499
UNKNOWN_ROUTE = "unknown"
_CLIENTS_IDENTIFIER = re.compile(r"[A-Za-z0-9-]{8,64}")


class RequestRecord:
    """ASGI wrapper; the answer carries the identifier as ``X-Request-ID``.

    Args:
        application: what is wrapped.
        metrics: where requests are counted.
    """

    def __init__(self, application: ASGIApp, metrics: Metrics) -> None:
        self.application = application
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it ended."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        identifier = _identifier(scope)
        request_identifier.set(identifier)
        acting_user.set(NOBODY)
        acting_role.set(NOBODY)
        begin = time.perf_counter()
        status = CLIENT_GONE

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = identifier
            await send(message)

        try:
            await self.application(scope, receive, answer)
        finally:
            self._note(scope, status, time.perf_counter() - begin)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        """The route's template only: paths and queries hold the names of cases and what patients said."""
        route = getattr(scope.get("route"), "path", None)
        if route is None:
            route = "/static" if scope["path"].startswith("/static/") else UNKNOWN_ROUTE
        self.metrics.note_request(scope["method"], route, status, seconds)
        logger.info(
            "request",
            extra=fields(method=scope["method"][:10], route=route, status=status, seconds=round(seconds, 4)),
        )


def _identifier(scope: Scope) -> str:
    """The client's own where it sends a plain one, so that its log and ours can be laid side by side."""
    given = dict(scope["headers"]).get(HEADER.encode(), b"").decode("latin-1")
    return given if _CLIENTS_IDENTIFIER.fullmatch(given) else uuid.uuid4().hex
