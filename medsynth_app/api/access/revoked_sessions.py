"""Sessions that somebody ended before their time: kept until they would have ended anyway, across restarts."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from pathlib import Path

from medsynth_app.files import whole_file

logger = logging.getLogger(__name__)

_OWNER_ONLY = 0o600


class RevokedSessions:
    """Digests of sessions that are over.

    Args:
        path: where they are kept, beside the users file; made with the first one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mutex = threading.Lock()
        self._ends = _read(path)

    def add(self, session: str, ends: float) -> None:
        """End a session, on disk when this returns unless the disk takes nothing.

        Args:
            session: the whole text.
            ends: UNIX time at which it would have ended by itself.
        """
        with self._mutex:
            now = time.time()
            self._ends = {digest: end for digest, end in self._ends.items() if end > now}
            self._ends[_digest(session)] = ends
            try:
                self._write()
            except OSError as error:
                logger.error("an ended session is over until the next restart only: %s", error.strerror)

    def _write(self) -> None:
        with whole_file(self._path, durable=True) as beside:
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
            with open(handle, "w", encoding="utf-8") as file:
                json.dump(self._ends, file)

    def __contains__(self, session: str) -> bool:
        """Whether a session was ended."""
        return bool(self._ends) and _digest(session) in self._ends


def _digest(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()


def _read(path: Path) -> dict[str, float]:
    try:
        return {str(digest): float(end) for digest, end in json.loads(path.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError):
        logger.error("%s is broken; sessions that were ended before are valid again until they are over", path.name)
        return {}
