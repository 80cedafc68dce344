"""``results.jsonl``: one line a task, written whole; what a killed run left is gone on with."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medsynth_app.batch.tasks import BatchTask, TaskResult
from medsynth_app.errors import BusyError

FILE = "results.jsonl"
LOCK = ".batch.lock"


class ResultsFile:
    """The results in a folder; see ``open_results``.

    Args:
        folder: existing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE
        self.rows = _rows(self.path)

    def is_done(self, task: BatchTask) -> bool:
        """Whether an earlier run finished exactly this task and its files are still there."""
        row = self.rows.get(task.key)
        if row is None or row.get("status") != "done":
            return False
        return all((self.folder / str(name)).exists() for name in row.get("files", ()))

    def add(self, result: TaskResult) -> None:
        """Write a line, on the disk for good before this returns."""
        row = result.as_dict()
        line = json.dumps(row, ensure_ascii=False) + "\n"
        with open(self.path, "ab+") as file:
            # A line that a kill cut short ends here, so that the next one is whole.
            if file.tell() and not _ends_with_newline(file):
                line = "\n" + line
            file.write(line.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        self.rows[result.key] = row


@contextmanager
def open_results(folder: Path) -> Iterator[ResultsFile]:
    """The results of a folder, for one run at a time.

    Raises:
        BusyError: another run writes there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BusyError(f"out: another batch run writes to {folder.name!r}") from error
        yield ResultsFile(folder)


def _rows(path: Path) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    if not path.is_file():
        return rows
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
            rows[str(row["key"])] = row
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return rows


def _ends_with_newline(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")
