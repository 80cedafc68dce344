"""A bounded queue in front of the models: so many run, so many wait, one more is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from medsynth_app.errors import OverloadedError


class InferenceQueue:
    """Slots for running inferences and places for waiting ones.

    Args:
        slots: inferences that run at once.
        places: inferences that may wait.
        timeout_seconds: how long one waits before it gives up.
    """

    def __init__(self, slots: int, places: int, timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds
        self._slots = threading.BoundedSemaphore(slots)
        self._places = threading.BoundedSemaphore(slots + places)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a slot and hold it.

        Raises:
            OverloadedError: the queue is full, or no slot came free in time (503).
        """
        if not self._places.acquire(blocking=False):
            raise OverloadedError("too many inferences are waiting; try again in a few seconds")
        try:
            if not self._slots.acquire(timeout=self.timeout_seconds):
                raise OverloadedError(f"no inference slot came free within {self.timeout_seconds:g} seconds")
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._places.release()
