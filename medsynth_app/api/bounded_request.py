"""A request whose body is parsed within bounds and off the event loop, whichever route FastAPI parses it for."""

from __future__ import annotations

from typing import Any

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request

from medsynth_app.json_values import parse_json

MOST_FILES = 5
"""Four sequences of a case and its label."""
MOST_FIELDS = 16
_HERE_BYTES = 1 << 14
"""So much is parsed at once; more is worth a thread."""


class BoundedRequest(Request):
    """Starlette's request with our own JSON reader and fewer form fields than its thousand."""

    async def json(self) -> Any:
        """The body; raises ``MalformedRequestError`` where it is no JSON that can be stored."""
        if not hasattr(self, "_json"):
            content = await self.body()
            if len(content) <= _HERE_BYTES:
                self._json = parse_json(content, "body")
            else:
                self._json = await run_in_threadpool(parse_json, content, "body")
        return self._json

    def form(self, *, max_files: float = MOST_FILES, max_fields: float = MOST_FIELDS, **more: Any) -> Any:
        """As in the base class."""
        return super().form(max_files=max_files, max_fields=max_fields, **more)
