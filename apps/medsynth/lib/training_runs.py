"""Which trainings are under way: a file each, so that one which was broken off is not forgotten with the server.

The server writes the file when it starts a training, the training's own process removes it when it ends, well or not.
What is still there when a server starts was killed, with its server or by the system.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from medsynth_app.files import whole_file

logger = logging.getLogger(__name__)

RUN = "run"
"""Key of a task's request: the identifier of its run. Only the server sets it."""
BROKEN_OFF = "the training was broken off: its process was killed, or the server was; nothing of it was published"
_ENDED = 0.0


@dataclass(frozen=True)
class TrainingRun:
    """One training.

    Attributes:
        run: identifier.
        model: what was trained.
        user: who started it.
        began: UNIX seconds.
        noticed: UNIX seconds when it was found to be broken off; 0 while it may still run.
    """

    run: str
    model: str
    user: str
    began: float
    noticed: float = _ENDED

    def as_task(self) -> dict[str, Any]:
        """As MONAI Label shows a task that failed."""
        return {
            "id": self.run, "status": "ERROR", "request": {"model": self.model}, "start_ts": _text(self.began),
            "end_ts": _text(self.noticed), "details": [BROKEN_OFF], "broken_off": True,
        }  # fmt: skip

    def shown(self) -> dict[str, Any]:
        """For the page."""
        return {"model": self.model, "began": self.began, "noticed": self.noticed, "reason": BROKEN_OFF}


class TrainingRuns:
    """The runs of one server.

    Args:
        folder: where their files are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, model: str, user: str) -> str:
        """Note a training that is about to start, on the disk for good; answers its identifier.

        What was broken off of the same model before is done with: somebody started it again.
        """
        for earlier in self.broken_off():
            if earlier.model == model:
                self.end(earlier.run)
        run = TrainingRun(secrets.token_hex(8), model, user, time.time())
        self._write(run)
        return run.run

    def end(self, run: str) -> None:
        """It ended, was stopped, or never started."""
        self._file(run).unlink(missing_ok=True)

    @contextmanager
    def running(self, request: Mapping[str, Any]) -> Iterator[None]:
        """Around the training, in its own process: however the block ends, the run is not broken off."""
        try:
            yield
        finally:
            run = str(request.get(RUN, ""))
            if run.isalnum():
                self.end(run)

    def notice_broken_off(self) -> list[TrainingRun]:
        """At the start of the server: whatever has not ended was broken off; answers what is new."""
        new = [run for run in self._runs() if run.noticed == _ENDED]
        for run in new:
            logger.warning("a training of %s was broken off", run.model)
            self._write(TrainingRun(**{**asdict(run), "noticed": time.time()}))
        return new

    def broken_off(self) -> list[TrainingRun]:
        """Trainings that were broken off and not started again, oldest first."""
        return sorted((run for run in self._runs() if run.noticed != _ENDED), key=lambda run: run.began)

    def _runs(self) -> list[TrainingRun]:
        found = []
        for path in self.folder.glob("*.json"):
            try:
                found.append(TrainingRun(**json.loads(path.read_text(encoding="utf-8"))))
            except (OSError, ValueError, TypeError):
                logger.error("the note of a training cannot be read and is passed over")
        return found

    def _write(self, run: TrainingRun) -> None:
        with whole_file(self._file(run.run), durable=True) as beside:
            beside.write_text(json.dumps(asdict(run)), encoding="utf-8")

    def _file(self, run: str) -> Path:
        return self.folder / f"{run}.json"


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")
