"""Guessing takes long: after so many wrong passwords an address has to wait."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

FAILURES_PER_USER = 5
FAILURES_PER_ADDRESS = 20
WINDOW_SECONDS = 300.0
LARGEST_TABLE = 10_000
_TURNS = 64
_SITE_BITS = 64
"""An IPv6 customer is given a /64: who has one has 2^64 addresses to guess from."""


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
        self._turns = tuple(threading.RLock() for _ in range(_TURNS))

    def turn(self, address: str) -> threading.RLock:  # type: ignore[valid-type]
        """Held while a secret of this address is checked and the outcome noted: guesses at once are guesses in turn."""
        return self._turns[hash(site_of(address)) % _TURNS]

    def seconds_to_wait(self, address: str, name: str = "") -> int:
        """0, or how long this address has to wait before it may try (as this user) again."""
        address = site_of(address)
        with self._mutex:
            waits = [
                self._wait((address, name), FAILURES_PER_USER), self._wait(address, FAILURES_PER_ADDRESS)
            ]  # fmt: skip
        return max(waits)

    def note(self, address: str, name: str = "") -> None:
        """One more failure."""
        address = site_of(address)
        with self._mutex:
            for key in ((address, name), address):
                self._table.setdefault(key, deque(maxlen=FAILURES_PER_ADDRESS)).append(self._clock())
                self._table.move_to_end(key)
            while len(self._table) > LARGEST_TABLE:
                self._table.popitem(last=False)

    def forget(self, address: str, name: str) -> None:
        """The user logged in after all."""
        with self._mutex:
            self._table.pop((site_of(address), name), None)

    def _wait(self, key: Hashable, limit: int) -> int:
        moments = self._table.get(key)
        if not moments:
            return 0
        while moments and moments[0] <= self._clock() - WINDOW_SECONDS:
            moments.popleft()
        if len(moments) < limit:
            return 0
        return int(moments[-limit] + WINDOW_SECONDS - self._clock()) + 1


def site_of(address: str) -> str:
    """What counts as one place: an IPv4 address, the /64 of an IPv6 address, or the text itself."""
    try:
        parsed = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed) >> _SITE_BITS << _SITE_BITS, _SITE_BITS)))
