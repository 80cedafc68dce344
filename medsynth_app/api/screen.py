"""The first thing a request meets: too large, or a path that climbs, and it goes no further."""

from __future__ import annotations

from urllib.parse import unquote

from anyio import move_on_after
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medsynth_app.api.access.body_limits import largest_body
from medsynth_app.api.access.roles import path_of
from medsynth_app.api.error_handlers import error_response

ROOM_FOR_FORM_FIELDS = 1 << 20
LONGEST_PAUSE_SECONDS = 30.0
"""A body that pauses longer is given up, or a few silent clients would hold all connections."""


class RequestScreen:
    """ASGI wrapper that refuses requests by their path, headers and size before anything reads them.

    Args:
        application: what is protected.
        maximum_mb: largest body, where the route takes files.
    """

    def __init__(self, application: ASGIApp, maximum_mb: int) -> None:
        self.application = application
        self.maximum_bytes = (maximum_mb << 20) + ROOM_FOR_FORM_FIELDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 400 / 413."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        odd = _climbs(scope) or _control_character(scope) or _ambiguous_header(scope)
        if odd:
            await error_response(400, odd, "malformed")(scope, receive, send)
            return
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        limit = largest_body(scope["method"], path_of(scope), kind, self.maximum_bytes)
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > limit:
            await _refuse_size(limit, scope, receive, send)
            return
        await self._pass_on(limit, scope, receive, send)

    async def _pass_on(self, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
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
            return message if seen <= limit else {"type": "http.disconnect"}

        started = refused = False

        async def answer(message: Message) -> None:
            nonlocal started, refused
            if started or not (slow or seen > limit):
                started = True
                await send(message)
            elif not refused:
                # The application answers that the client has gone; the client hears the reason instead.
                refused = True
                await _refuse_body(slow, limit, scope, receive, send)

        try:
            await self.application(scope, counted, answer)
        except ClientDisconnect:
            if not slow and seen <= limit:
                raise
        if (slow or seen > limit) and not (started or refused):
            await _refuse_body(slow, limit, scope, receive, send)


async def _refuse_body(slow: bool, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
    if not slow:
        await _refuse_size(limit, scope, receive, send)
        return
    text = f"nothing of the body came for {LONGEST_PAUSE_SECONDS:g} seconds"
    await error_response(408, text, "request_timeout")(scope, receive, send)


async def _refuse_size(limit: int, scope: Scope, receive: Receive, send: Send) -> None:
    # what the operator allowed for a file: the form around it has some room beside
    megabytes = (limit - ROOM_FOR_FORM_FIELDS if limit >= 2 * ROOM_FOR_FORM_FIELDS else limit) >> 20
    allowed = f"{megabytes} MB" if megabytes else f"{limit >> 10} KB"
    text = f"the request is larger than the allowed {allowed}"
    await error_response(413, text, "too_large")(scope, receive, send)


def _climbs(scope: Scope) -> str:
    raw = scope.get("raw_path") or scope["path"].encode()
    path = unquote(unquote(raw.decode("latin-1"))).replace("\\", "/")
    return "the path holds '..'" if ".." in path.split("/") else ""


def _control_character(scope: Scope) -> str:
    """The operating system refuses a path with a zero byte by an error of its own."""
    found = next((c for c in scope["path"] if ord(c) < 0x20 or ord(c) == 0x7F), None)
    return "" if found is None else f"the path holds the character U+{ord(found):04X}"


def _ambiguous_header(scope: Scope) -> str:
    """What two readers of one request, a proxy and this server, may take for two different requests or callers."""
    names = [name for name, _ in scope["headers"]]
    if b"transfer-encoding" in names and b"content-length" in names:
        return "headers: Content-Length and Transfer-Encoding are both there; allowed: one of them"
    for name, value in scope["headers"]:
        if name == b"x-forwarded-for" and not all(part.strip() for part in value.split(b",")):
            return "headers: X-Forwarded-For has an empty part"
    return ""
