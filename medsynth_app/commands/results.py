"""How commands show and store results."""

from __future__ import annotations

import json
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


def store_json(result: dict[str, Any], path: Path | None) -> None:
    """Write a result as a whole file; nothing without a path."""
    if path is None:
        return
    with whole_file(path) as beside:
        beside.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")
