"""Whose request is being worked on: for logs and the audit, without handing two more arguments to everything.

Both values follow a request into the threads that serve it, because they are context variables.
"""

from __future__ import annotations

from contextvars import ContextVar

NOBODY = "-"
"""Outside of a request: the server itself, a command, a test."""

request_identifier: ContextVar[str] = ContextVar("request_identifier", default=NOBODY)
"""The value of ``X-Request-ID`` in the answer."""

acting_role: ContextVar[str] = ContextVar("acting_role", default=NOBODY)
"""Role of the account; `NOBODY` where the server has no login, and everybody who reaches it may do everything."""

acting_user: ContextVar[str] = ContextVar("acting_user", default=NOBODY)
"""Name of the account; `NOBODY` where the server has no login."""
