"""One thread for work that nobody waits for: it starts when there is something to do, never when the server does."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

NICENESS = 15


class BackgroundWorker:
    """Calls ``step`` until it says that nothing is left.

    Args:
        step: does one small piece of work; answers whether it found any. An error ends the run, not the server.
        name: of the thread.
    """

    def __init__(self, step: Callable[[], bool], name: str) -> None:
        self._step = step
        self._name = name
        self._mutex = threading.Lock()
        self._thread: threading.Thread | None = None
        self._again = False

    def wake(self) -> None:
        """See whether there is work; returns at once."""
        with self._mutex:
            self._again = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def is_busy(self) -> bool:
        """Whether it works just now."""
        with self._mutex:
            return self._thread is not None

    def _run(self) -> None:
        if sys.platform == "linux":
            # applies to this thread and those it starts: what somebody waits for goes first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while self._goes_on():
            try:
                while self._step():
                    pass
            except Exception:
                logger.exception("%s: a piece of background work failed", self._name)

    def _goes_on(self) -> bool:
        """Whether it was woken since it last found nothing to do; ends the thread in the same step if not."""
        with self._mutex:
            if not self._again:
                self._thread = None
                return False
            self._again = False
            return True
