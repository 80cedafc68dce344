"""The first thing a request meets: too large, or a path that climbs, and it goes no further."""

from __future__ import annotations

from urllib.parse import unquote

from anyio import move_on_after
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medsynth_app.api.error_handlers import error_response

ROOM_FOR_FORM_FIELDS = 1 << 20
LONGEST_PAUSE_SECONDS = 30.0
"""A body that pauses longer is given up, or a few silent clients would hold all connections."""


class RequestScreen:
    """ASGI wrapper that refuses requests by their path and size before anything reads them.

    Args:
        application: what is protected.
        maximum_mb: largest body.
    """

    def __init__(self, application: ASGIApp, maximum_mb: int) -> None:
        self.application = application
        self.maximum_mb = maximum_mb
        self.maximum_bytes = (maximum_mb << 20) + ROOM_FOR_FORM_FIELDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 400 / 413."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        if _climbs(scope):
            await error_response(400, "the path holds '..'", "malformed")(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > self.maximum_bytes:
            await self._refuse_size(scope, receive, send)
            return
        await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A body without a length is counted as it comes; one that stops coming is given up."""
        seen, has_all, slow = 0, False, False

        async def counted() -> Message:
            nonlocal seen, has_all, slow
            if has_all:
                return await receive()  # waits for the client to leave
            message: Message = {"type": "http.disconnect"}
            with move_on_after(LONGEST_PAUSE_SECONDS) as pause:
                message = await receive()
            slow = slow or pause.cancelled_caught
            has_all = not message.get("more_body", False)
            seen += len(message.get("body", b""))
            # Starlette's parser stops here as if the client had gone; nothing of the body is kept.
            return message if seen <= self.maximum_bytes else {"type": "http.disconnect"}

        started = refused = False

        async def answer(message: Message) -> None:
            nonlocal started, refused
            if started or not (slow or seen > self.maximum_bytes):
                started = True
                await send(message)
            elif not refused:
                # The application answers that the client has gone; the client hears the reason instead.
                refused = True
                await self._refuse_body(slow, scope, receive, send)

        try:
            await self.application(scope, counted, answer)
        except ClientDisconnect:
            if not slow and seen <= self.maximum_bytes:
                raise
        if (slow or seen > self.maximum_bytes) and not (started or refused):
            await self._refuse_body(slow, scope, receive, send)

    async def _refuse_body(self, slow: bool, scope: Scope, receive: Receive, send: Send) -> None:
        if not slow:
            await self._refuse_size(scope, receive, send)
            return
        text = f"nothing of the body came for {LONGEST_PAUSE_SECONDS:g} seconds"
        await error_response(408, text, "request_timeout")(scope, receive, send)

    async def _refuse_size(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = f"the request is larger than the allowed {self.maximum_mb} MB"
        await error_response(413, text, "too_large")(scope, receive, send)


def _climbs(scope: Scope) -> bool:
    raw = scope.get("raw_path") or scope["path"].encode()
    path = unquote(unquote(raw.decode("latin-1"))).replace("\\", "/")
    return ".." in path.split("/")
