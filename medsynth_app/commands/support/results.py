"""How commands show and store results."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file

console = Console()


def check_folder(out: Path) -> None:
    """A command's results go into a folder.

    Raises:
        InvalidValueError: there is a file of that name.
    """
    if out.exists() and not out.is_dir():
        raise InvalidValueError(f"out: {out.name!r} is a file, must be a folder")


class JobProgress(Progress):
    """A bar with counts, elapsed and remaining time on a terminal, else a line now and then, for logs.

    Args:
        interval: seconds between two lines where standard error is no terminal.
    """

    def __init__(self, interval: float) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._interval = interval
        self._next_line = time.monotonic()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Progress of a task, as ``rich`` has it."""
        super().update(task_id, **changes)
        self._write(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """So much more is done."""
        super().advance(task_id, advance)
        self._write(task_id)

    def _write(self, task_id: TaskID) -> None:
        if self.console.is_terminal or time.monotonic() < self._next_line:
            return
        self._next_line = time.monotonic() + self._interval
        task = self._tasks[task_id]
        # A training that was taken up again knows better than the bar, for which it began in the middle.
        seconds = task.fields.get("seconds_left") or task.time_remaining
        left = "" if seconds is None else f", {seconds / 60:.0f} min left"
        total = "?" if task.total is None else f"{task.total:g}"
        self.console.print(f"{task.completed:g} of {total}: {task.description}{left}", soft_wrap=True)


def progress_bar(interval: float = 30.0) -> JobProgress:
    """How long work shows where it is, on standard error."""
    return JobProgress(interval)


class TrainingDisplay:
    """How a training comes along. Use it as a context manager.

    Args:
        interval: seconds between two lines where standard error is no terminal.
    """

    def __init__(self, interval: float = 30.0) -> None:
        self._bar = progress_bar(interval)

    def __enter__(self) -> TrainingDisplay:
        self._bar.start()
        self._task = self._bar.add_task("training", total=None)
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(
        self, step: int, steps: int | None, words: str, seconds_left: float | None = None, note: str = ""
    ) -> None:
        """One more step.

        Args:
            step: how many are done.
            steps: how many there will be; None where nobody knows.
            words: the figures of now.
            seconds_left: how long it may take still.
            note: what is to stay to be read, such as a validation.
        """
        self._bar.update(
            self._task, total=steps, completed=step, description=words, seconds_left=seconds_left
        )
        if note:
            self._bar.console.print(f"step {step}: {note}", soft_wrap=True)


def show_left_out(left_out: Mapping[str, str]) -> None:
    """What could not be used and why, on standard error."""
    errors = Console(stderr=True, soft_wrap=True)
    for name, reason in left_out.items():
        errors.print(f"left out: {name}: {reason}", highlight=False, markup=False)


def left_out_words(left_out: int) -> str:
    """What a training's progress says of updates that were left out; nothing where there was none."""
    return f"  {left_out} updates left out, gradient not finite" if left_out else ""


def store_json(result: dict[str, Any], path: Path | None) -> None:
    """Write a result as a whole file; nothing without a path."""
    if path is None:
        return
    with whole_file(path) as beside:
        beside.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")
