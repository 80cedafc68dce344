"""How many cross-checks run and wait at once: a registration takes all cores for seconds, and memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from medsynth_app.errors import OverloadedError

LONGEST_RETRY_AFTER = 60
FIRST_GUESS_SECONDS = 5.0
"""What one piece of work takes, until one has been measured."""


@dataclass(frozen=True)
class SlotLimits:
    """How much runs and waits.

    Attributes:
        slots: pieces of work that run at once.
        places: pieces of work that may wait; one more is refused.
        waiting_seconds: how long one waits before it gives up.
    """

    slots: int = 2
    places: int = 8
    waiting_seconds: float = 60.0


class WorkSlots:
    """A bounded gate for threads that do the same kind of work.

    Args:
        limits: see there.
        work: how errors call it, for example ``cross-checks``.
    """

    def __init__(self, limits: SlotLimits, work: str) -> None:
        self.limits = limits
        self._work = work
        self._changed = threading.Condition()
        self._running = self._waiting = 0
        self._mean_seconds = FIRST_GUESS_SECONDS

    @property
    def running(self) -> int:
        """Pieces of work that run now."""
        return self._running

    @property
    def waiting(self) -> int:
        """Pieces of work that wait now."""
        return self._waiting

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot while the body runs.

        Raises:
            OverloadedError: too many wait already, or no slot came free in time.
        """
        self._take()
        begin = time.monotonic()
        try:
            yield
        finally:
            self._give_back(time.monotonic() - begin)

    def _take(self) -> None:
        with self._changed:
            if self._running >= self.limits.slots and self._waiting >= self.limits.places:
                raise self._overloaded(f"{self._running} {self._work} run and {self._waiting} wait already")
            self._waiting += 1
            try:
                if not self._changed.wait_for(self._is_free, self.limits.waiting_seconds):
                    raise self._overloaded(
                        f"no place for {self._work} came free within {self.limits.waiting_seconds:g} seconds"
                    )
                self._running += 1
            finally:
                self._waiting -= 1

    def _is_free(self) -> bool:
        return self._running < self.limits.slots

    def _give_back(self, seconds: float) -> None:
        with self._changed:
            self._running -= 1
            self._mean_seconds += 0.2 * (seconds - self._mean_seconds)
            self._changed.notify()

    def _overloaded(self, message: str) -> OverloadedError:
        error = OverloadedError(message)
        rounds = (self._waiting + self.limits.slots) / self.limits.slots
        error.retry_after = max(1, min(LONGEST_RETRY_AFTER, round(self._mean_seconds * rounds)))
        return error
