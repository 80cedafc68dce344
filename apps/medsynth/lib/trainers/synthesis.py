"""Every trainer of the synthesis catalogue as a MONAI Label training task."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from monailabel.interfaces.tasks.train import TrainTask

from lib.datastore import CaseDatastore
from lib.finite import finite
from lib.processes import die_with_server
from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.options import parse_options, shown_options
from medsynth_app.synthesis.catalogue import TrainerRow, TrainingRequest
from medsynth_app.synthesis.training.loop import TrainingProgress

logger = logging.getLogger(__name__)

STATS_EVERY_SECONDS = 2.0


class SynthesisTrainTask(TrainTask):
    """Trains a generator on the studies' own images and puts its weights where the server looks for them.

    Args:
        row: the trainer.
        folder: takes the finished weights; runs and statistics lie beside them.
    """

    def __init__(self, row: TrainerRow, folder: Path) -> None:
        super().__init__(row.description)
        self.row = row
        self.weights_folder = folder
        self.run_folder = folder / row.task
        self._written_at = 0.0

    def config(self) -> dict[str, Any]:
        """Options as the viewers show them."""
        return shown_options(self.row.options)

    def check_options(self, params: dict[str, Any]) -> dict[str, Any]:
        """The options of a request with their types; what is unknown is left out.

        Raises:
            InvalidValueError: a value is of the wrong type or out of range.
        """
        return parse_options(self.row.options, params)[0]

    def stats(self) -> dict[str, Any]:
        """The newest run's progress; empty if there is none or its file is unreadable."""
        try:
            stats = json.loads((self.run_folder / "train_stats.json").read_text())
        except (OSError, ValueError):
            return {}
        return finite(stats) if isinstance(stats, dict) else {}

    def __call__(self, request: dict[str, Any], datastore: CaseDatastore) -> dict[str, Any]:
        """Run one training; returns its final statistics.

        Raises:
            InvalidValueError: an option is wrong, or the studies hold no fitting images.
        """
        die_with_server()
        if not isinstance(datastore, CaseDatastore):
            raise InvalidValueError("train: generators learn from a studies folder, not from a DICOMweb server")
        options = self.check_options(request)
        began = time.time()

        def report(progress: TrainingProgress) -> None:
            if progress.step < progress.steps and time.monotonic() - self._written_at < STATS_EVERY_SECONDS:
                return
            self._written_at = time.monotonic()
            self._write({
                "epoch": progress.step,
                "total_epochs": progress.steps,
                "start_ts": int(began),
                "current_ts": int(time.time()),
                "eta_seconds": round(progress.seconds_left),
                "best_metric": round(progress.best or 0.0, 4),
                "train": dict(progress.figures),
                "eval": dict(progress.validation),
                "updates_left_out": progress.left_out,
            })  # fmt: skip

        asked = TrainingRequest(datastore.root, self.run_folder / "run", options, self.weights_folder)
        figures = self.row.train(asked, report)
        stats = {**self.stats(), **figures}
        self._write(stats)
        logger.info("%s: training has ended: %s", self.row.task, json.dumps(finite(figures)))
        return stats

    def _write(self, stats: dict[str, Any]) -> None:
        with whole_file(self.run_folder / "train_stats.json") as beside:
            beside.write_text(json.dumps(finite(stats)))
