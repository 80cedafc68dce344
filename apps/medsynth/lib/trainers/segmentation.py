"""``brain_tumor_segmentation`` as a MONAI Label training task."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from monailabel.interfaces.tasks.train import TrainTask

from lib.datastore import CaseDatastore
from lib.finite import finite
from lib.processes import die_with_server
from medsynth_app.errors import InvalidValueError
from medsynth_app.options import OptionValue, parse_options, shown_options
from medsynth_app.segmentation.current_network import CurrentNetwork
from medsynth_app.segmentation.dataset import LabelledCase, load_cases
from medsynth_app.segmentation.options import TRAINING_OPTIONS
from medsynth_app.segmentation.training import Progress, Trainer, TrainingConfiguration, mean_dice
from medsynth_app.vocabulary import LABEL_NAMES

logger = logging.getLogger(__name__)


class BrainTumorSegmentationTrainTask(TrainTask):
    """Goes on from the served network with all labelled cases and publishes the result if it is no worse.

    Args:
        current: the network that is served; its first path is where a better one is published.
        folder: where runs and statistics go.
    """

    def __init__(self, current: CurrentNetwork, folder: Path) -> None:
        super().__init__("Train the brain tumour segmentation on the labelled cases")
        self.current = current
        self.folder = folder

    def info(self) -> dict[str, Any]:
        """Description, options and labels as the viewers read them."""
        return {**super().info(), "labels": dict(LABEL_NAMES)}

    def config(self) -> dict[str, Any]:
        """Options as the viewers show them."""
        return shown_options(TRAINING_OPTIONS)

    def check_options(self, params: dict[str, Any]) -> dict[str, Any]:
        """The options of a request with their types; what is unknown is left out.

        Raises:
            InvalidValueError: a value is of the wrong type or out of range.
        """
        options = parse_options(TRAINING_OPTIONS, params)[0]
        TrainingConfiguration(network=self.current.get()[1], patch_size=_patch_sides(options["patch_size"]))
        return options

    def stats(self) -> dict[str, Any]:
        """The newest run's progress; empty if there is none or its file is unreadable."""
        try:
            stats = json.loads((self.folder / "train_stats.json").read_text())
        except (OSError, ValueError):
            return {}
        return finite(stats) if isinstance(stats, dict) else {}

    def __call__(self, request: dict[str, Any], datastore: CaseDatastore) -> dict[str, Any]:
        """Run one training; returns its final statistics.

        Raises:
            InvalidValueError: an option is wrong, or no case is labelled.
        """
        die_with_server()
        options, _ = parse_options(TRAINING_OPTIONS, request)
        training, validation = self._cases(datastore, float(options["val_split"]))
        configuration = self._configuration(options, len(training))
        run = self.folder / "runs" / time.strftime("%Y%m%d-%H%M%S")
        initial = None if options["from_scratch"] else self.current.get()[0].state_dict()
        report = _Report(self, configuration, int(options["max_epochs"]))
        before = self._before(validation)
        trainer = Trainer(configuration, training, validation, run, initial, str(self.current.device))
        after = trainer.run(report.progress)
        published = before is None or after is None or after >= before
        if published:
            self._publish(run / "best.safetensors")
        shutil.rmtree(run, ignore_errors=True)
        return report.finish(before, after, published)

    def _cases(self, datastore: CaseDatastore, share: float) -> tuple[list[LabelledCase], list[LabelledCase]]:
        names = datastore.get_labeled_images()
        if not names:
            raise InvalidValueError("train: no case has a final label yet; submit labels first")
        validation = validation_names([n for n in names if not datastore.is_synthetic(n)], share)
        modalities = self.current.get()[1].modalities
        loaded = load_cases([datastore.labelled_case(name) for name in names], modalities)
        return [c for c in loaded if c.name not in validation], [c for c in loaded if c.name in validation]

    def _configuration(self, options: dict[str, OptionValue], cases: int) -> TrainingConfiguration:
        steps_per_epoch = cases * int(options["patches_per_case"])
        steps = steps_per_epoch * int(options["max_epochs"])
        return replace(
            TrainingConfiguration(),
            network=self.current.get()[1],
            loss=str(options["loss"]),
            steps=steps,
            patch_size=_patch_sides(options["patch_size"]),
            learning_rate=float(options["learning_rate"]),
            warmup_steps=min(20, steps // 10),
            ema_decay=0.99,
            validate_every=steps_per_epoch,
            patience=int(options["patience"]),
            seed=int(options["seed"]),
        )

    def _before(self, validation: Sequence[LabelledCase]) -> float | None:
        """Mean Dice of the served network on the validation cases, which the new one must not fall below."""
        scores = mean_dice(self.current.get()[0], validation)
        return sum(scores.values()) / len(scores) if scores else None

    def _publish(self, weights: Path) -> None:
        target = self.current.paths[0]
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copyfile(weights, temporary)
        os.replace(temporary, target)
        logger.info("published new weights of brain_tumor_segmentation")

    def write_stats(self, stats: dict[str, Any]) -> None:
        """Store the statistics; readers see the old file or the new one, never half of one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / "train_stats.json"
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        temporary.write_text(json.dumps(finite(stats)))
        os.replace(temporary, target)


def validation_names(names: Sequence[str], share: float) -> set[str]:
    """The cases kept for validation: chosen by a hash of the name, so the split stays fixed as cases are added."""
    ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return set(ranked[: math.floor(len(ranked) * share)])


def _patch_sides(text: OptionValue) -> tuple[int, int, int]:
    try:
        x, y, z = (int(side) for side in str(text).split(","))
    except ValueError as error:
        raise InvalidValueError(f"patch_size: {text!r} must be three numbers like 96,96,96") from error
    return x, y, z


class _Report:
    """Turns the trainer's progress into the statistics that Slicer and OHIF show."""

    def __init__(
        self, task: BrainTumorSegmentationTrainTask, configuration: TrainingConfiguration, epochs: int
    ) -> None:
        self.task = task
        self.configuration = configuration
        self.begin = time.time()
        self.stats: dict[str, Any] = {
            "epoch": 0,
            "total_epochs": epochs,
            "start_ts": int(self.begin),
            "best_metric": 0.0,
            "train": {},
            "eval": {},
        }
        task.write_stats(self.stats)

    def progress(self, progress: Progress) -> None:
        """Called by the trainer."""
        epoch = progress.step // self.configuration.validate_every
        self.stats |= {
            "epoch": epoch,
            "best_metric": round(progress.best or 0.0, 4),
            "train": {"loss": round(progress.loss, 4)},
            "eval": progress.validation or self.stats["eval"],
            **self._time(progress.seconds_left),
        }
        self.task.write_stats(self.stats)
        logger.info(
            "epoch %d of %d, step %d of %d, loss %.4f, %d s left",
            epoch, self.stats["total_epochs"], progress.step, progress.steps, progress.loss, progress.seconds_left,
        )  # fmt: skip

    def finish(self, before: float | None, after: float | None, published: bool) -> dict[str, Any]:
        """The last word on the run."""
        self.stats |= {
            "epoch": self.stats["total_epochs"],
            "before": before,
            "after": after,
            "published": published,
            **self._time(0.0),
        }
        self.task.write_stats(self.stats)
        return self.stats

    def _time(self, seconds_left: float) -> dict[str, Any]:
        elapsed = time.time() - self.begin
        return {
            "total_time": time.strftime("%H:%M:%S", time.gmtime(elapsed)),
            "eta_seconds": round(seconds_left),
            "current_ts": int(time.time()),
        }
