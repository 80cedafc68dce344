"""Who changed which label or model: one line of JSON a change, appended and never rewritten.

Each line holds the SHA-256 of the line before it, so that a line that was taken out or altered shows. A line is there
whole or not at all: one that meets a full disk is taken back.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from filelock import FileLock

from medsynth_app.audit.chain import GENESIS, ChainVerification, Link, digest_of, verify_links
from medsynth_app.request_context import acting_user, request_identifier

logger = logging.getLogger(__name__)

_TAIL_BYTES = 1 << 16
_NO_LINE = "it is no line of JSON: cut off by a crash, or altered"


class AuditTrail:
    """Appends to one file; several threads and processes may.

    Args:
        path: the file; its folder is made with the first change.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.Lock()
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))

    def record(self, action: str, **facts: Any) -> None:
        """Note a change, on disk when this returns.

        Args:
            action: ``label.stored``, ``model.replaced`` ...
            facts: what was changed; JSON-able.

        Raises:
            OSError: it cannot be written, for example because the disk is full.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._mutex, self._lock:
            previous, is_whole = _last_digest(self.path)
            row = {
                "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
                "action": action,
                "user": acting_user.get(),
                "request": request_identifier.get(),
                **facts,
                "previous": previous,
            }
            line = json.dumps(row, ensure_ascii=False, default=str).encode()
            # A line that a crash cut off stands alone: it is kept, and `verify_file` names it.
            _append(self.path, (b"" if is_whole else b"\n") + line + b"\n")
        # The anchor outside: whoever keeps the log can tell later whether the newest lines are still the same.
        logger.info("audit: %s, the newest hash is %s", action, digest_of(line))

    def has(self, **facts: Any) -> bool:
        """Whether a change with these facts was noted."""
        return bool(self.find(**facts))

    def find(self, **facts: Any) -> list[dict[str, Any]]:
        """All changes with these facts, oldest first."""
        if not self.path.is_file():
            return []
        with open(self.path, "rb") as file:
            rows = [_parsed(line) for line in file]
        return [row for row in rows if row is not None and all(row.get(k) == v for k, v in facts.items())]

    def head(self) -> str:
        """Hash of the newest line; 64 zeros where nothing was noted."""
        return _last_digest(self.path)[0]

    def verify(self, anchor: str | None = None) -> ChainVerification:
        """Read the whole file; as ``verify_file``, without a line that is being written meanwhile."""
        if not self.path.is_file():
            return verify_links((), anchor)
        with self._mutex, self._lock:
            return verify_file(self.path, anchor)

    def last(self, count: int) -> list[dict[str, Any]]:
        """The newest changes, newest first; lines that a crash cut off are passed over."""
        if not self.path.is_file():
            return []
        rows = []
        for line in reversed(self.path.read_bytes().split(b"\n")):
            row = _parsed(line)
            if row is not None:
                rows.append(row)
            if len(rows) == count:
                break
        return rows


def verify_file(path: Path, anchor: str | None = None) -> ChainVerification:
    """Whether every line follows the line before it.

    Args:
        path: an audit file.
        anchor: a hash that was noted elsewhere; see ``verify_links``.

    Raises:
        OSError: it cannot be read.
    """
    return verify_links(_links(path), anchor)


def broken_lines(path: Path) -> list[int]:
    """Numbers (from 1) of lines that are no JSON or do not follow the line before them."""
    return list(verify_file(path).broken)


def _links(path: Path) -> Iterator[Link]:
    with open(path, "rb") as file:
        for number, ended in enumerate(file, start=1):
            line = ended.rstrip(b"\n")
            row = _parsed(line)
            previous = "" if row is None else str(row.get("previous"))
            yield Link(number, previous, digest_of(line), _NO_LINE if row is None else "")


def _append(path: Path, content: bytes) -> None:
    """On the disk when this returns; when it raises, the file is as before."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(handle).st_size
        try:
            _write_all(handle, content)
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, size)
            raise
    finally:
        os.close(handle)


def _last_digest(path: Path) -> tuple[str, bool]:
    """SHA-256 of the last line, and whether it ends as a line should."""
    if not path.exists() or path.stat().st_size == 0:
        return GENESIS, True
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        length = _TAIL_BYTES
        while True:
            file.seek(max(0, size - length))
            tail = file.read()
            if tail.rstrip(b"\n").find(b"\n") >= 0 or length >= size:
                break
            length *= 2
    # By line feeds alone: a text may hold other characters that look like the end of a line.
    line = tail.removesuffix(b"\n").rsplit(b"\n", 1)[-1]
    return digest_of(line), tail.endswith(b"\n")


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _write_all(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]
