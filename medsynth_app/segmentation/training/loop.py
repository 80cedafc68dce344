"""Training: resumable, deterministic by seed, the same command on a CPU or a GPU.

A run writes into one folder: ``last.pt`` (everything needed to go on after a kill), ``best.safetensors``
(best exponential moving average so far on the validation cases) and ``history.jsonl`` (one line a validation).
"""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.precision import PRECISIONS, computing
from medsynth_app.segmentation.evaluation.metrics import region_mask
from medsynth_app.segmentation.inference import InferenceConfiguration, predict_labels
from medsynth_app.segmentation.network import (
    SIDE_MULTIPLE,
    NetworkConfiguration,
    batch_norms,
    build_network,
    to_device,
)
from medsynth_app.segmentation.training.augmentation import AugmentationConfiguration
from medsynth_app.segmentation.training.dataset import training_batch
from medsynth_app.segmentation.training.distributed import agree, average_gradients, rank_and_size
from medsynth_app.segmentation.training.labelled_case import LabelledCase
from medsynth_app.segmentation.training.losses import build_loss
from medsynth_app.segmentation.training.tracking import Tracker, validation_picture
from medsynth_app.segmentation.transforms import CleaningConfiguration, clean_labels
from medsynth_app.segmentation.weights import save_weights
from medsynth_app.updates import UpdateCount
from medsynth_app.vocabulary import TumorRegion

logger = logging.getLogger(__name__)

BATCHES_FOR_STATISTICS = 24
"""Forward passes whose mean and spread become the statistics of batch norm, where the weights bring none."""


@dataclass(frozen=True)
class TrainingConfiguration:
    """One training run.

    Attributes:
        network: what is trained.
        loss: name of the loss.
        steps: optimizer updates in all.
        batch_size: patches a forward pass.
        accumulation: forward passes an update.
        patch_size: sides of a patch in voxels (1 mm), multiples of 32.
        learning_rate: peak of the schedule: linear warm-up, then half a cosine down to 1 %.
        warmup_steps: updates until the peak.
        weight_decay: of AdamW.
        gradient_clip: largest norm of the gradient.
        ema_decay: of the moving average of the weights that is validated and kept.
        validate_every: updates between validations.
        patience: validations without a better mean Dice until training stops; 0 = never.
        learned_statistics_share: share of a run with fresh weights in which batch norm learns its statistics.
            Then, and in a run that starts from weights, they stay: a patch or two says too little about mean and
            spread, and what the network is trained with is what it is served with.
        precision: ``auto`` (bf16 where the hardware has it), ``bf16`` or ``fp32``.
        seed: of weights, order, patches and augmentation.
        augmentation: how training cases are changed.
    """

    network: NetworkConfiguration = field(default_factory=NetworkConfiguration)
    loss: str = "region_dice_ce"
    steps: int = 2000
    batch_size: int = 1
    accumulation: int = 1
    patch_size: tuple[int, int, int] = (96, 96, 96)
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 1e-2
    gradient_clip: float = 1.0
    ema_decay: float = 0.998
    validate_every: int = 200
    patience: int = 0
    learned_statistics_share: float = 0.5
    precision: str = "auto"
    seed: int = 0
    augmentation: AugmentationConfiguration = field(default_factory=AugmentationConfiguration)

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulation", "validate_every"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"{name}: {getattr(self, name)} must be at least 1")
        if any(side < SIDE_MULTIPLE or side % SIDE_MULTIPLE for side in self.patch_size):
            raise InvalidValueError(f"patch_size: {self.patch_size} must be multiples of {SIDE_MULTIPLE}")
        if self.network.name == "subpixel_unet" and max(self.patch_size) == SIDE_MULTIPLE:
            raise InvalidValueError(
                f"patch_size: {self.patch_size} leaves subpixel_unet one voxel at its deepest level; "
                f"one side must be at least {2 * SIDE_MULTIPLE}"
            )
        if self.precision not in PRECISIONS:
            raise InvalidValueError(f"precision: {self.precision!r} must be one of {', '.join(PRECISIONS)}")
        for name in ("warmup_steps", "patience"):
            if getattr(self, name) < 0:
                raise InvalidValueError(f"{name}: {getattr(self, name)} must not be negative")
        if not 0.0 <= self.ema_decay < 1.0:
            raise InvalidValueError(f"ema_decay: {self.ema_decay} must be in [0, 1)")
        if not 0.0 <= self.learned_statistics_share <= 1.0:
            raise InvalidValueError(
                f"learned_statistics_share: {self.learned_statistics_share} must be between 0 and 1"
            )
        if not 0.0 < self.learning_rate < 1.0:
            raise InvalidValueError(f"learning_rate: {self.learning_rate} must be between 0 and 1")


@dataclass(frozen=True)
class Progress:
    """What a running training tells.

    Attributes:
        step / steps: updates done / in all.
        loss: mean since the last report.
        seconds_left: estimate.
        validation: mean Dice per region of the newest validation, or None.
        best: best mean Dice so far, or None.
        left_out: updates that were left out because their gradient was not finite.
    """

    step: int
    steps: int
    loss: float
    seconds_left: float
    validation: dict[str, float] | None
    best: float | None
    left_out: int = 0


ProgressCallback = Callable[[Progress], None]


class Trainer:
    """One training run in one folder; made again with the same arguments, it goes on where it was.

    Args:
        configuration: the run.
        training_cases: what it learns from.
        validation_cases: what the best weights are chosen by; may be empty (then the last ones are kept).
        folder: where checkpoints go.
        initial_weights: state of the network to start from, else fresh weights by seed.
        device: ``cuda`` where there is one by default.
        tracker: receives curves and a picture of the validation cases.

    Raises:
        InvalidValueError: there is no training case, or the folder holds a run of another configuration.
    """

    def __init__(
        self,
        configuration: TrainingConfiguration,
        training_cases: Sequence[LabelledCase],
        validation_cases: Sequence[LabelledCase],
        folder: Path,
        initial_weights: dict[str, torch.Tensor] | None = None,
        device: str | None = None,
        tracker: Tracker | None = None,
    ) -> None:
        if not training_cases:
            raise InvalidValueError("training_cases: at least one labelled case is needed, got none")
        self.configuration = configuration
        self.training_cases = training_cases
        self.validation_cases = validation_cases
        self.folder = folder
        self.tracker = tracker
        self.rank, self.processes = rank_and_size()
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.manual_seed(configuration.seed)
        network = build_network(configuration.network)
        self.network = to_device(network, self.device)
        if initial_weights is not None and not (folder / "last.pt").exists():
            self._start_from(initial_weights)
        self.average = copy.deepcopy(self.network).eval()
        self.loss = build_loss(configuration.loss)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=configuration.learning_rate, weight_decay=configuration.weight_decay
        )
        learned = 0.0 if initial_weights is not None else configuration.learned_statistics_share
        self._statistics_learned_until = learned * configuration.steps
        self.updates = UpdateCount()
        self.step = 0
        self.best: float | None = None
        self.validations_without_gain = 0
        self.history: list[dict[str, object]] = []
        folder.mkdir(parents=True, exist_ok=True)
        if self._checkpoint.exists():
            self._resume()

    def _start_from(self, weights: dict[str, torch.Tensor]) -> None:
        """Take weights over; those of a network with another norm bring no statistics, which are then measured."""
        missing, unexpected = self.network.load_state_dict(weights, strict=False)
        statistics = ("running_mean", "running_var", "num_batches_tracked")
        strangers = [name for name in (*missing, *unexpected) if not name.endswith(statistics)]
        if strangers:
            raise InvalidValueError(
                f"initial_weights: do not fit {self.configuration.network.name}, e.g. {strangers[0]!r}"
            )
        if missing:
            self._measure_statistics()

    @torch.no_grad()
    def _measure_statistics(self) -> None:
        layers = batch_norms(self.network)
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # type: ignore[assignment]  # PyTorch's sign for a plain mean over all batches
        self.network.train()
        for index in range(BATCHES_FOR_STATISTICS):
            self.network(self._batch(index)[0])
        for layer in layers:
            layer.momentum = 0.1

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "last.pt"

    def run(
        self, on_progress: ProgressCallback | None = None, should_stop: Callable[[], bool] = lambda: False
    ) -> float | None:
        """Train until the end, early stopping, or ``should_stop``; returns the best mean Dice, or None.

        Raises:
            TrainingDivergedError: too many updates had no finite gradient.
        """
        configuration = self.configuration
        losses: list[float] = []
        begin, first_step = time.monotonic(), self.step
        while self.step < configuration.steps and not self._gains_no_more() and not should_stop():
            losses.append(self._update())
            self.step += 1
            if self.tracker:
                self.tracker.figures(self.step, {"loss": losses[-1], "learning_rate": self._learning_rate()})
            validation = None
            if self.step % configuration.validate_every == 0 or self.step == configuration.steps:
                validation = self._validate_and_store()
            if on_progress and (validation or self.step % 10 == 0):
                pace = (time.monotonic() - begin) / (self.step - first_step)
                left = pace * (configuration.steps - self.step)
                on_progress(
                    Progress(
                        self.step, configuration.steps, float(np.mean(losses)), left, validation, self.best,
                        self.updates.left_out,
                    )  # fmt: skip
                )
                losses.clear()
        return self.best

    def _gains_no_more(self) -> bool:
        """Early stopping, as process 0 sees it; also of a run that is taken up again."""
        patience = self.configuration.patience
        if patience == 0 or not agree(self.validations_without_gain >= patience, self.device):
            return False
        logger.info("training stops early at step %d", self.step)
        return True

    def _learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def _update(self) -> float:
        """One optimizer update; returns its loss."""
        configuration = self.configuration
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(self.step, configuration)
        self.network.train()
        if self.step >= self._statistics_learned_until:
            for layer in batch_norms(self.network):
                layer.eval()
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for part in range(configuration.accumulation):
            # Every process of a group draws patches of its own.
            index = (self.step * configuration.accumulation + part) * self.processes + self.rank
            loss = self._forward(index) / configuration.accumulation
            loss.backward()
            total += float(loss.detach())
        average_gradients(self.network)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), configuration.gradient_clip)
        if self.updates.admits(norm, self.step):
            self.optimizer.step()
            self._update_average()
        return total

    def _batch(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        configuration = self.configuration
        images, labels = training_batch(
            self.training_cases,
            index,
            configuration.batch_size,
            configuration.patch_size,
            configuration.augmentation,
            configuration.seed,
            configuration.network.t1_and_t1ce,
        )
        images = images.to(self.device).contiguous(memory_format=torch.channels_last_3d)
        return images, labels.to(self.device)

    def _forward(self, index: int) -> torch.Tensor:
        configuration = self.configuration
        images, labels = self._batch(index)
        # Dropout draws from the global generator: seeded by the step, a resumed run repeats it.
        torch.manual_seed(configuration.seed * 1_000_003 + index)
        with computing(self.device, configuration.precision):
            logits = self.network(images)
        return self.loss(logits, labels)

    @torch.no_grad()
    def _update_average(self) -> None:
        """Moving average with the usual ramp, so that the first steps do not linger."""
        decay = min(self.configuration.ema_decay, (1 + self.step) / (10 + self.step))
        for average, current in zip(self.average.state_dict().values(), self.network.state_dict().values()):
            if average.is_floating_point():
                average.lerp_(current, 1 - decay)
            else:
                average.copy_(current)

    def _validate_and_store(self) -> dict[str, float]:
        """Process 0 validates and writes for the whole group."""
        if self.rank != 0:
            return {}
        scores, pictures = validate(self.average, self.validation_cases, self.configuration.precision)
        mean = float(np.mean(list(scores.values()))) if scores else None
        better = mean is None or self.best is None or mean > self.best
        self.validations_without_gain = 0 if better else self.validations_without_gain + 1
        if better:
            self.best = mean
            save_weights(
                self.average, self.configuration.network, self.folder / "best.safetensors",
                {"step": self.step, "validation_dice": scores, "training": asdict(self.configuration)},
            )  # fmt: skip
        self.history.append({"step": self.step, "dice": scores, "mean": mean})
        self._store()
        if self.tracker and scores:
            self.tracker.figures(self.step, {f"dice/{region}": value for region, value in scores.items()})
            self.tracker.picture(self.step, "validation", validation_picture(pictures))
        return scores

    def _store(self) -> None:
        """The whole state, beside and renamed."""
        state = {
            "configuration": json.dumps(asdict(self.configuration)),
            "step": self.step,
            "left_out": self.updates.left_out,
            "best": self.best,
            "validations_without_gain": self.validations_without_gain,
            "history": json.dumps(self.history),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with whole_file(self._checkpoint) as beside:
            torch.save(state, beside)
        with whole_file(self.folder / "history.jsonl") as beside:
            beside.write_text("".join(json.dumps(entry) + "\n" for entry in self.history))

    def _resume(self) -> None:
        state = torch.load(self._checkpoint, map_location=self.device, weights_only=True)
        if state["configuration"] != json.dumps(asdict(self.configuration)):
            raise InvalidValueError(
                f"folder {self.folder.name!r} holds a run of another configuration; choose another folder"
            )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.best = state["step"], state["best"]
        self.updates = UpdateCount(state.get("left_out", 0))
        self.validations_without_gain = state["validations_without_gain"]
        self.history = json.loads(state["history"])
        logger.info("resumed at step %d", self.step)


def learning_rate_at(step: int, configuration: TrainingConfiguration) -> float:
    """Linear warm-up, then half a cosine from the peak to 1 % of it."""
    if step < configuration.warmup_steps:
        return configuration.learning_rate * (step + 1) / configuration.warmup_steps
    share = (step - configuration.warmup_steps) / max(1, configuration.steps - configuration.warmup_steps)
    return configuration.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))


ValidationRow = tuple[str, np.ndarray, np.ndarray, np.ndarray]


def validate(
    network: nn.Module, cases: Sequence[LabelledCase], precision: str = "auto"
) -> tuple[dict[str, float], list[ValidationRow]]:
    """Whole validation cases through the network, cleaned as at inference.

    Returns:
        mean Dice per region (empty without cases); for each case its name, FLAIR (X, Y, Z), reference and
        prediction.
    """
    configuration = InferenceConfiguration(precision=precision)
    scores, rows = [], []
    for case in cases:
        found = clean_labels(
            predict_labels(case.image.float(), network, configuration)[0], 1e-3, CleaningConfiguration()
        )
        reference = case.label.numpy()
        scores.append([_dice(found, reference, region) for region in TumorRegion])
        rows.append((case.name, case.image[0].float().numpy(), reference, found))
        logger.info("validation %s: %s", case.name, " ".join(f"{value:.3f}" for value in scores[-1]))
    means = np.mean(scores, axis=0).tolist() if scores else []
    return dict(zip((region.value for region in TumorRegion), means)), rows


def mean_dice(network: nn.Module, cases: Sequence[LabelledCase], precision: str = "auto") -> dict[str, float]:
    """Mean Dice per region over whole cases; empty without cases."""
    return validate(network, cases, precision)[0]


def _dice(predicted: np.ndarray, reference: np.ndarray, region: TumorRegion) -> float:
    first, second = region_mask(predicted, region), region_mask(reference, region)
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0
