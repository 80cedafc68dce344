"""Who changed which label or model: one line of JSON a change, appended and never rewritten.

Each line holds the SHA-256 of the line before it, so that a line that was taken out or altered shows.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from filelock import FileLock

from medsynth_app.request_context import acting_user, request_identifier

FIRST_PREVIOUS = "0" * 64
_TAIL_BYTES = 1 << 16


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
            # A line that a crash cut off stands alone: it is kept, and `broken_lines` names it.
            text = ("" if is_whole else "\n") + json.dumps(row, ensure_ascii=False, default=str) + "\n"
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                _write_all(handle, text.encode())
                os.fsync(handle)
            finally:
                os.close(handle)

    def last(self, count: int) -> list[dict[str, Any]]:
        """The newest changes, newest first; lines that a crash cut off are passed over."""
        if not self.path.is_file():
            return []
        rows = []
        for line in reversed(self.path.read_bytes().splitlines()):
            row = _parsed(line)
            if row is not None:
                rows.append(row)
            if len(rows) == count:
                break
        return rows


def broken_lines(path: Path) -> list[int]:
    """Numbers (from 1) of lines that are no JSON or do not follow the line before them."""
    broken = []
    previous = FIRST_PREVIOUS
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        row = _parsed(line)
        if row is None or row.get("previous") != previous:
            broken.append(number)
        previous = hashlib.sha256(line).hexdigest()
    return broken


def _last_digest(path: Path) -> tuple[str, bool]:
    """SHA-256 of the last line, and whether it ends as a line should."""
    if not path.exists() or path.stat().st_size == 0:
        return FIRST_PREVIOUS, True
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        length = _TAIL_BYTES
        while True:
            file.seek(max(0, size - length))
            tail = file.read()
            if tail.rstrip(b"\n").find(b"\n") >= 0 or length >= size:
                break
            length *= 2
    line = tail.splitlines()[-1]
    return hashlib.sha256(line).hexdigest(), tail.endswith(b"\n")


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _write_all(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]
