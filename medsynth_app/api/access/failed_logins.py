"""Guessing takes long: after so many wrong passwords an address has to wait."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

FAILURES_PER_USER = 5
FAILURES_PER_ADDRESS = 20
WINDOW_SECONDS = 300.0
LARGEST_TABLE = 10_000


class FailedLogins:
    """Failures of the last `WINDOW_SECONDS` by address and by address and user.

    Not by user alone: that would let anybody lock anybody out.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._table: OrderedDict[Hashable, deque[float]] = OrderedDict()
        self._mutex = threading.Lock()

    def seconds_to_wait(self, address: str, name: str = "") -> int:
        """0, or how long this address has to wait before it may try (as this user) again."""
        with self._mutex:
            waits = [
                self._wait((address, name), FAILURES_PER_USER), self._wait(address, FAILURES_PER_ADDRESS)
            ]  # fmt: skip
        return max(waits)

    def note(self, address: str, name: str = "") -> None:
        """One more failure."""
        with self._mutex:
            for key in ((address, name), address):
                self._table.setdefault(key, deque(maxlen=FAILURES_PER_ADDRESS)).append(self._clock())
                self._table.move_to_end(key)
            while len(self._table) > LARGEST_TABLE:
                self._table.popitem(last=False)

    def forget(self, address: str, name: str) -> None:
        """The user logged in after all."""
        with self._mutex:
            self._table.pop((address, name), None)

    def _wait(self, key: Hashable, limit: int) -> int:
        moments = self._table.get(key)
        if not moments:
            return 0
        while moments and moments[0] <= self._clock() - WINDOW_SECONDS:
            moments.popleft()
        if len(moments) < limit:
            return 0
        return int(moments[-limit] + WINDOW_SECONDS - self._clock()) + 1
