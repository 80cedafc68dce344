"""The log as one JSON object a line, with the request it belongs to and without what patients or clients said.

Of an error the log keeps its type and the places it came through, not its message: messages quote values, and
values may be a patient's.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from medsynth_app.request_context import NOBODY, acting_user, request_identifier

MOST_FRAMES = 20
_FIELDS = "fields"


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """``time level logger message``, and ``request``, ``user``, ``error`` and more fields where there are any."""
        row: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in (("request", request_identifier.get()), ("user", acting_user.get())):
            if value != NOBODY:
                row[name] = value
        row.update(getattr(record, _FIELDS, {}))
        if record.exc_info and record.exc_info[1] is not None:
            row["error"] = describe_error(record.exc_info[1])
        return json.dumps(row, ensure_ascii=False, default=str)


def describe_error(error: BaseException) -> dict[str, Any]:
    """Type and places of an error; of the operating system's errors what it says, for example that the disk is full."""
    frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
    described: dict[str, Any] = {
        "type": type(error).__name__,
        "frames": [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames],
    }
    if isinstance(error, OSError) and error.strerror:
        described["reason"] = error.strerror
    if error.__cause__ is not None:
        described["cause"] = describe_error(error.__cause__)
    return described


def write_json_logs() -> None:
    """Give every handler of the process this format."""
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in logging.root.manager.loggerDict)]
    for logger in loggers:
        for handler in logger.handlers:
            handler.setFormatter(JsonFormatter())


def fields(**values: Any) -> dict[str, Any]:
    """``logger.info("...", extra=fields(seconds=1.2))``: more fields for the line."""
    return {_FIELDS: values}
