"""SIGTERM: requests that wait for others end at once, and the process ends in time whatever still runs."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Awaitable
from types import FrameType
from typing import Any, TypeVar

from medsynth_app.errors import OverloadedError

Result = TypeVar("Result")
logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 8.0
"""Docker and systemd kill after 10 seconds; what is stored is whole at any moment (see ``test_robustness``)."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopping:
    """Knows when the server was asked to end."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def watch(self) -> None:
        """Listen to the signals beside who listens already; called on the event loop, in the main thread."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            earlier = signal.getsignal(number)
            if not callable(earlier):
                continue

            def heard(number: int, frame: FrameType | None, earlier: Any = earlier) -> None:
                loop.call_soon_threadsafe(self.begin)
                earlier(number, frame)

            signal.signal(number, heard)

    def begin(self) -> None:
        """The server ends: those who wait hear of it, and a thread watches that it does."""
        if not self._event.is_set():
            self._event.set()
            threading.Thread(target=_end_in_time, name="end-in-time", daemon=True).start()

    async def wait(self) -> None:
        """Until the server was asked to end."""
        await self._event.wait()

    async def unless_stopping(self, work: Awaitable[Result]) -> Result:
        """The outcome of ``work``, which is cancelled when the server ends.

        Raises:
            OverloadedError: the server ends (503).
        """
        task = asyncio.ensure_future(work)
        ends = asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait({task, ends}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise OverloadedError("the server is being stopped; try again in a moment", code="stopping")
            return task.result()
        finally:
            ends.cancel()
            task.cancel()


def _end_in_time() -> None:
    time.sleep(PATIENCE_SECONDS)
    logger.warning("work still runs %g seconds after the server was asked to end; it is broken off", PATIENCE_SECONDS)
    os._exit(128 + signal.SIGTERM)
