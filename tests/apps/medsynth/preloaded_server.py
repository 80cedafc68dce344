"""Starts the server again and again without importing it again: for tests that kill it many times.

Reads lines of JSON. ``[ARGUMENTS, LOG]``: forks a process that runs the real ``monailabel start_server`` with them
and answers its number. A number: waits until that process is gone, all its threads and locks with it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

APP = Path(__file__).resolve().parents[3] / "apps" / "medsynth"


def preload() -> None:
    """Import what a server imports; no thread may run when a process forks."""
    sys.path[:0] = [str(APP), str(APP.parents[1])]
    import main  # noqa: F401, PLC0415
    import monailabel.app  # noqa: PLC0415
    import monailabel.main  # noqa: F401, PLC0415
    import uvicorn  # noqa: F401, PLC0415


def serve(arguments: list[str], log: str) -> None:
    """In the forked process."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.setsid()
    sys.argv = ["monailabel", *arguments]
    from monailabel.main import Main  # noqa: PLC0415

    Main().run()


def answer(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    preload()
    answer("ready")
    for line in sys.stdin:
        asked = json.loads(line)
        if isinstance(asked, int):
            os.waitpid(asked, 0)
            answer("gone")
            continue
        arguments, log = asked
        child = os.fork()
        if child == 0:
            try:
                serve(arguments, log)
            finally:
                os._exit(1)
        answer(str(child))
