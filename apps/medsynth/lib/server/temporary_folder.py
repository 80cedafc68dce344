"""One folder for all temporary files of a server; what a killed server left is removed by the next one."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Awaitable
from pathlib import Path

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)

PREFIX = ".medsynth-server-"
LOCK_NAME = "lock"
SECONDS_BETWEEN_LOOKS = 0.02


class TemporaryFolder:
    """The folder, claimed for as long as this process lives, however it ends.

    A process number would not do: another container that shares the folder has numbers of its own.
    """

    def __init__(self) -> None:
        parent = Path(tempfile.gettempdir())
        _sweep(parent)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self._lock = FileLock(self.path / LOCK_NAME, timeout=0)
        self._lock.acquire()
        tempfile.tempdir = str(self.path)
        os.environ["TMPDIR"] = str(self.path)  # for the processes that are started

    def remove(self) -> None:
        """Give the folder back; later temporary files lie where they did before."""
        parent = str(self.path.parent)
        tempfile.tempdir = parent
        os.environ["TMPDIR"] = parent
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()

    async def remove_once(self, ends: Awaitable[object]) -> None:
        """A task for the event loop: when the server ends and the last request has taken its files away.

        Nothing of ours runs later: uvicorn gives itself the signal again before the loop is closed.
        """
        await ends
        while any(path.name != LOCK_NAME for path in self.path.iterdir()):
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        self.remove()


def _sweep(parent: Path) -> None:
    """Remove folders of ours whose server is gone: nobody holds their lock."""
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            if folder.is_symlink() or folder.lstat().st_uid != os.getuid() or not (folder / LOCK_NAME).is_file():
                continue
            with FileLock(folder / LOCK_NAME, timeout=0):
                logger.warning("temporary files of a server that was killed are removed")
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):
            continue  # a server that lives, or one that removes it just now
