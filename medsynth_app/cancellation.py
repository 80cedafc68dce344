"""Work that nobody waits for any more stops at its next safe place: between two windows, two passes, two steps.

The signal is a context variable, so it follows a request into the thread that serves it without being handed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event

from medsynth_app.errors import MedSynthError

_signal: ContextVar[Event | None] = ContextVar("cancellation", default=None)


class WorkCancelledError(MedSynthError):
    """Nobody waits for the result (499, as proxies log it)."""

    status = 499
    code = "cancelled"


@contextmanager
def cancelled_by(signal: Event) -> Iterator[None]:
    """What runs inside stops at its next safe place once ``signal`` is set."""
    token = _signal.set(signal)
    try:
        yield
    finally:
        _signal.reset(token)


def stop_if_cancelled() -> None:
    """A safe place: nothing is held or half-written here.

    Raises:
        WorkCancelledError: the signal of ``cancelled_by`` is set.
    """
    signal = _signal.get()
    if signal is not None and signal.is_set():
        raise WorkCancelledError("the work was stopped: nobody waits for it any more")
