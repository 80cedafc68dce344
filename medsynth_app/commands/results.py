"""How commands show and store results."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from medsynth_app.files import whole_file

console = Console()


def progress_bar() -> Progress:
    """A progress bar with counts, elapsed and remaining time, on standard error."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


class TrainingDisplay:
    """How a training comes along: a bar on a terminal, else a line now and then, for logs.

    Use it as a context manager.

    Args:
        interval: seconds between two lines where standard error is no terminal.
    """

    def __init__(self, interval: float = 30.0) -> None:
        self._bar = progress_bar()
        self._interval = interval
        self._next_line = time.monotonic()

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
            seconds_left: how long it may take still; the bar finds out by itself.
            note: what is to stay to be read, such as a validation.
        """
        self._bar.update(self._task, total=steps, completed=step, description=words)
        out = self._bar.console
        if not out.is_terminal and (note or time.monotonic() >= self._next_line):
            self._next_line = time.monotonic() + self._interval
            left = "" if seconds_left is None else f", {seconds_left / 60:.0f} min left"
            out.print(f"step {step} of {steps or '?'}: {words}{left}", soft_wrap=True)
        if note:
            out.print(f"step {step}: {note}", soft_wrap=True)


def store_json(result: dict[str, Any], path: Path | None) -> None:
    """Write a result as a whole file; nothing without a path."""
    if path is None:
        return
    with whole_file(path) as beside:
        beside.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")
