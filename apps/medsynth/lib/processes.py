"""A training process must not outlive the server that started it."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
import time

logger = logging.getLogger(__name__)

SERVER_PID_VARIABLE = "MEDSYNTH_SERVER_PID"
_PR_SET_PDEATHSIG = 1


def remember_server() -> None:
    """Called in the server: processes it starts inherit its number."""
    os.environ[SERVER_PID_VARIABLE] = str(os.getpid())


def die_with_server() -> None:
    """Called in a process the server started: end when the server does, however it ends.

    On Linux the kernel sends the signal; a watching thread covers other systems and the moments before.
    """
    server = os.environ.get(SERVER_PID_VARIABLE)
    if server is None or int(server) == os.getpid():
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(int(server),), daemon=True).start()


def _watch(server: int) -> None:
    while os.getppid() == server:
        time.sleep(1.0)
    logger.error("the server is gone; this process ends with it")
    os._exit(1)
