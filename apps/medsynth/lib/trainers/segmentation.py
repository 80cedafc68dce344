"""``brain_tumor_segmentation`` as a MONAI Label training task."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from monailabel.interfaces.tasks.train import TrainTask

from lib.datastore import OWN_FOLDER, CaseDatastore
from lib.finite import finite
from lib.model_history import ModelHistory
from lib.processes import die_with_server
from lib.rounds import storage_of
from medsynth_app.active_learning.rounds import RoundsRecord, Training
from medsynth_app.active_learning.validation_split import fixed_validation
from medsynth_app.errors import InvalidValueError, MedSynthError
from medsynth_app.files import whole_file
from medsynth_app.imaging.provenance.same_images import digests_of_cases, host_digests, same_examination
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.options import Option, OptionValue, parse_options, shown_options
from medsynth_app.segmentation.current_network import CurrentNetwork
from medsynth_app.segmentation.options import TRAINING_OPTIONS
from medsynth_app.segmentation.training.dataset import load_cases
from medsynth_app.segmentation.training.labelled_case import LabelledCase
from medsynth_app.segmentation.training.loop import Progress, Trainer, TrainingConfiguration, mean_dice
from medsynth_app.segmentation.weights import load_weights
from medsynth_app.vocabulary import LABEL_NAMES

logger = logging.getLogger(__name__)

EARLY_STOPPING = 10
"""Validations without gain after which a retraining stops, unless the client says otherwise."""
OPTIONS = (
    *(replace(o, default=EARLY_STOPPING) if o.name == "patience" else o for o in TRAINING_OPTIONS),
    Option("use_synthetic", True, "Train on labelled generated cases too; they never validate."),
)
LARGEST_ROUND = 8
"""So many cases of a round are segmented again with the new model, for the record."""


class BrainTumorSegmentationTrainTask(TrainTask):
    """Goes on from the served network with all labelled cases and publishes the result if it is no worse.

    Args:
        current: the network that is served; its first path is where a better one is published.
        folder: where runs and statistics go.
        history: where every model that was tried is kept.
    """

    def __init__(self, current: CurrentNetwork, folder: Path, history: ModelHistory) -> None:
        super().__init__("Train the brain tumour segmentation on the labelled cases")
        self.current = current
        self.history = history
        self.folder = folder

    def info(self) -> dict[str, Any]:
        """Description, options and labels as the viewers read them."""
        return {**super().info(), "labels": dict(LABEL_NAMES)}

    def config(self) -> dict[str, Any]:
        """Options as the viewers show them."""
        return shown_options(OPTIONS)

    def check_options(self, params: dict[str, Any]) -> dict[str, Any]:
        """The options of a request with their types; what is unknown is left out.

        Raises:
            InvalidValueError: a value is of the wrong type or out of range.
        """
        options = parse_options(OPTIONS, params)[0]
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
        began = time.time()
        options, _ = parse_options(OPTIONS, request)
        record = RoundsRecord(storage_of(datastore.root))
        round_cases = record.open_cases()
        labelled, training, validation = self._cases(datastore, options)
        configuration = self._configuration(options, len(training))
        run = self.folder / "runs" / time.strftime("%Y%m%d-%H%M%S")
        initial = None if options["from_scratch"] else self.current.get()[0].state_dict()
        report = _Report(self, configuration, int(options["max_epochs"]))
        before = mean_dice(self.current.get()[0], validation)
        model_before = self.history.keep_served()
        trainer = Trainer(configuration, training, validation, run, initial, str(self.current.device))
        best = trainer.run(report.progress)
        tried = Outcome.of(before, load_weights(run / "best.safetensors")[2], best)
        model = self.history.keep(
            run / "best.safetensors",
            {
                "origin": "training", "parent": model_before, "labelled": labelled, "training_cases": len(training),
                "validation_cases": len(validation), "dice": tried.after, "published": tried.published,
                "reason": tried.reason,
            },
        )  # fmt: skip
        if tried.published:
            self.history.publish(run / "best.safetensors")
        shutil.rmtree(run, ignore_errors=True)
        in_round = [case for case in (*training, *validation) if case.name in round_cases][:LARGEST_ROUND]
        outcome = {
            "model": model if tried.published else model_before,
            "model_before": model_before,
            "published": tried.published,
            "reason": tried.reason,
            "dice_before": tried.before,
            "dice_after": tried.after,
            "round_dice_after": _mean(mean_dice(self.current.get()[0], in_round)),
            "validation_cases": len(validation),
        }
        record.add_training(Training(began, time.time(), labelled, outcome))
        return report.finish(outcome)

    def _cases(
        self, datastore: CaseDatastore, options: dict[str, OptionValue]
    ) -> tuple[int, list[LabelledCase], list[LabelledCase]]:
        """Number of labelled cases, training cases, validation cases; generated cases never validate."""
        names = datastore.get_labeled_images()
        synthetic = {name for name in names if datastore.find_out_synthetic(name)}
        if not options["use_synthetic"]:
            names = [name for name in names if name not in synthetic]
        if not names:
            raise InvalidValueError("train: no case has a final label yet; submit labels first")
        real = [name for name in names if name not in synthetic]
        split = datastore.root / OWN_FOLDER / "validation_cases.json"
        cases = _readable_cases(datastore, names)
        digests = digests_of_cases([case for case in cases if case.name not in synthetic])
        digests |= {case.name: host_digests(case) for case in cases if case.name in synthetic}
        same = same_examination(digests)
        kept = fixed_validation(split, real, float(options["val_split"]), same)
        modalities = self.current.get()[1].modalities
        loaded = load_cases(cases, modalities)
        # A tumour put into the head of a validation case shows most of that case.
        judging = {same.get(name, name) for name in kept}
        training = [case for case in loaded if same.get(case.name, case.name) not in judging]
        return len(real), training, [case for case in loaded if case.name in kept]

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

    def write_stats(self, stats: dict[str, Any]) -> None:
        """Store the statistics; readers see the old file or the new one, never half of one."""
        with whole_file(self.folder / "train_stats.json") as beside:
            beside.write_text(json.dumps(finite(stats)))


def _readable_cases(datastore: CaseDatastore, names: Sequence[str]) -> list[CaseFiles]:
    """The cases whose label can be read; one that cannot is said in the log and stops no other.

    Raises:
        InvalidValueError: there is none.
    """
    cases = []
    for name in names:
        try:
            cases.append(datastore.labelled_case(name))
        except MedSynthError as error:
            logger.warning("case skipped: %s", error.message)
    if not cases:
        raise InvalidValueError(f"train: none of {len(names)} final labels can be read; see the log for each reason")
    return cases


@dataclass(frozen=True)
class Outcome:
    """Whether a trained model takes the place of the served one.

    Attributes:
        before / after: mean Dice per region and ``mean`` on the validation cases, None without any.
        published: it is no worse.
        reason: why.
    """

    before: dict[str, float] | None
    after: dict[str, float] | None
    published: bool
    reason: str

    @classmethod
    def of(cls, before: dict[str, float], notes: Mapping[str, Any], best: float | None) -> Outcome:
        """Compare.

        Args:
            before: mean Dice per region of the served network; empty without validation cases.
            notes: of the best weights of the run.
            best: their mean Dice, or None.
        """
        if not before or best is None:
            return cls(None, None, True, "published unchecked: no labelled case is kept for validation")
        first = {**before, "mean": _mean(before) or 0.0}
        after = {**dict(notes.get("validation_dice", {})), "mean": best}
        rounded = [{k: round(float(v), 4) for k, v in scores.items()} for scores in (first, after)]
        figures = f"validation Dice {first['mean']:.4f} before, {best:.4f} after"
        if best >= first["mean"]:
            return cls(rounded[0], rounded[1], True, f"published: {figures}")
        return cls(rounded[0], rounded[1], False, f"rolled back, the earlier model stays: {figures}")


def _mean(scores: Mapping[str, float]) -> float | None:
    return round(sum(scores.values()) / len(scores), 4) if scores else None


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
            "updates_left_out": progress.left_out,
            "eval": progress.validation or self.stats["eval"],
            **self._time(progress.seconds_left),
        }
        self.task.write_stats(self.stats)
        logger.info(
            "epoch %d of %d, step %d of %d, loss %.4f, %d s left",
            epoch, self.stats["total_epochs"], progress.step, progress.steps, progress.loss, progress.seconds_left,
        )  # fmt: skip

    def finish(self, outcome: Mapping[str, Any]) -> dict[str, Any]:
        """The last word on the run; one that stopped early has done all it will do."""
        self.stats |= {
            "epoch": self.stats["total_epochs"],
            "before": (outcome["dice_before"] or {}).get("mean"),
            "after": (outcome["dice_after"] or {}).get("mean"),
            "published": outcome["published"],
            "reason": outcome["reason"],
            "model": outcome["model"],
            **self._time(0.0),
        }
        self.task.write_stats(self.stats)
        logger.info("%s", outcome["reason"])
        return self.stats

    def _time(self, seconds_left: float) -> dict[str, Any]:
        elapsed = time.time() - self.begin
        return {
            "total_time": time.strftime("%H:%M:%S", time.gmtime(elapsed)),
            "eta_seconds": round(seconds_left),
            "current_ts": int(time.time()),
        }
