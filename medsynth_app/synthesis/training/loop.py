"""The training loop that all generators share.

It knows nothing of networks: a ``Learner`` brings modules, optimisers and losses. The loop brings the schedule,
accumulation, smaller parts where memory runs out, growing resolution, the moving average, early stopping,
checkpoints that appear whole, and an estimate of the time that is left.

Chance is drawn anew for every update from the seed and the update's number, so a run that was stopped goes on as
if it never had been.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from medsynth_app.errors import InvalidValueError, TrainingDivergedError
from medsynth_app.files import whole_file
from medsynth_app.precision import backward, computing, wanted_precision
from medsynth_app.updates import UpdateCount

logger = logging.getLogger(__name__)

CHECKPOINT = "last.pt"
HISTORY = "history.jsonl"
OUT_OF_MEMORY_TEXTS = ("DefaultCPUAllocator", "not enough memory", "out of memory", "can't allocate memory")
LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class Stage:
    """Part of a training at one resolution.

    Attributes:
        from_step: first update.
        resolution: what the learner makes of it: samples a side.
    """

    from_step: int
    resolution: int


@dataclass(frozen=True)
class LoopConfiguration:
    """How a training runs.

    Attributes:
        steps: updates in all.
        batch_size: samples an update; parts of it go through the network one after another if they must.
        part_size: samples at once; 0 = the whole batch. It is halved where memory runs out.
        stages: growing resolution, ascending from update 0.
        learning_rate: at the top of the schedule (linear warm-up, then half a cosine to a hundredth).
        warmup_steps: length of the warm-up.
        ema_decay: of the moving average of the weights.
        validate_every: updates between validations, which are checkpoints too.
        patience: validations without gain after which it stops; 0 = never.
        checkpoint_minutes: a checkpoint is also written after so long.
        mixed_precision: bfloat16 where the hardware has it and it learns as float32 does, see ``precision``.
        seed: of everything.

    Raises:
        InvalidValueError: a value that is not allowed, named.
    """

    steps: int = 1000
    batch_size: int = 2
    part_size: int = 0
    stages: tuple[Stage, ...] = (Stage(0, 64),)
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    ema_decay: float = 0.995
    validate_every: int = 200
    patience: int = 0
    checkpoint_minutes: float = 5.0
    mixed_precision: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "validate_every"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"{name}: {getattr(self, name)} must be at least 1")
        if not 0 <= self.part_size <= self.batch_size:
            raise InvalidValueError(f"part_size: {self.part_size} must be between 0 and {self.batch_size}")
        if not 0.0 < self.learning_rate < 1.0:
            raise InvalidValueError(f"learning_rate: {self.learning_rate} must be between 0 and 1")
        if not 0.0 <= self.ema_decay < 1.0:
            raise InvalidValueError(f"ema_decay: {self.ema_decay} must be from 0 to below 1")
        starts = [stage.from_step for stage in self.stages]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            raise InvalidValueError(f"stages: must begin at update 0 and ascend, begin at {starts}")

    @classmethod
    def from_options(
        cls, options: Mapping[str, Any], resolution: int, halves: bool, longest_warmup: int
    ) -> LoopConfiguration:
        """What a trainer's table of options says.

        Args:
            options: steps, batch_size, learning_rate, ema_decay, validate_every, patience, mixed_precision, seed, and
                grow_until where growth is offered.
            resolution: of the last stage.
            halves: whether the network can be trained at half of it.
            longest_warmup: the warm-up takes a tenth of the steps, at the most so many.

        Raises:
            InvalidValueError: growth is asked for and half of the resolution cannot be trained.
        """
        grow_until, steps = int(options.get("grow_until", 0)), int(options["steps"])
        if grow_until and not halves:
            raise InvalidValueError(f"grow_until: half of the resolution {resolution} cannot be trained")
        growing = (Stage(0, resolution // 2), Stage(grow_until, resolution))
        return cls(
            steps=steps,
            batch_size=int(options["batch_size"]),
            stages=growing if grow_until else (Stage(0, resolution),),
            learning_rate=float(options["learning_rate"]),
            warmup_steps=min(longest_warmup, steps // 10),
            ema_decay=float(options["ema_decay"]),
            validate_every=int(options["validate_every"]),
            patience=int(options["patience"]),
            mixed_precision=bool(options["mixed_precision"]),
            seed=int(options["seed"]),
        )

    def resolution_at(self, step: int) -> int:
        """Samples a side at this update."""
        return [stage.resolution for stage in self.stages if stage.from_step <= step][-1]

    def rate_at(self, step: int) -> float:
        """Factor on the learning rate at this update."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        share = (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)
        return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0)))


class Learner(Protocol):
    """What is trained.

    Attributes:
        modules: all networks that learn, by name.
        averaged: names of those that a moving average is kept of.
        optimizers: one a phase, in the order of the phases (``generator``, then ``discriminator``).
    """

    modules: Mapping[str, nn.Module]
    averaged: Sequence[str]
    optimizers: Mapping[str, torch.optim.Optimizer]

    def draw(self, count: int, resolution: int, chance: torch.Generator) -> torch.Tensor:
        """A batch (count, ...) on the CPU; the same chance gives the same batch."""
        ...

    def loss(
        self, phase: str, part: torch.Tensor, chance: torch.Generator, step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss of one part of the batch (a mean over its samples), and figures for the report."""
        ...

    def validate(self, modules: Mapping[str, nn.Module]) -> dict[str, float]:
        """Figures of the averaged networks; ``score`` is what should grow. Empty without validation data."""
        ...


@dataclass(frozen=True)
class TrainingProgress:
    """What a running training tells.

    Attributes:
        step / steps: updates done / in all.
        figures: means since the last report.
        validation: figures of a validation that has just run, else empty.
        best: best score so far.
        seconds_left: estimate.
        part_size: samples that go through the network at once.
        left_out: updates that were left out because their gradient was not finite.
    """

    step: int
    steps: int
    figures: Mapping[str, float]
    validation: Mapping[str, float] = field(default_factory=dict)
    best: float | None = None
    seconds_left: float = 0.0
    part_size: int = 0
    left_out: int = 0


ReportTraining = Callable[[TrainingProgress], None]


def untold(progress: TrainingProgress) -> None:
    """Nobody wants to know."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY_TEXTS)


class TrainingLoop:
    """One run in one folder; made again with the same arguments, it goes on where it was.

    Args:
        configuration: the run.
        learner: what is trained; its modules are on ``device`` already.
        folder: where ``last.pt`` and ``history.jsonl`` go.
        device: where parts of a batch are sent.

    Raises:
        InvalidValueError: the folder holds a run with another configuration.
    """

    def __init__(
        self, configuration: LoopConfiguration, learner: Learner, folder: Path, device: torch.device
    ) -> None:
        self.configuration = configuration
        self.learner = learner
        self.folder = folder
        self.device = device
        self.average = {
            name: copy.deepcopy(learner.modules[name]).eval().requires_grad_(False) for name in learner.averaged
        }
        self.updates = UpdateCount()
        self.step = 0
        self.part_size = configuration.part_size or configuration.batch_size
        self.best: float | None = None
        self.best_weights: dict[str, dict[str, torch.Tensor]] = {}
        self.without_gain = 0
        self._stored_at = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CHECKPOINT).exists():
            self._resume()

    def run(self, report: ReportTraining = untold, until: int | None = None) -> dict[str, nn.Module]:
        """Train to the end, or to update ``until``.

        Returns:
            The averaged networks: those of the best validation, or the last ones without validation.

        Raises:
            TrainingDivergedError: the loss, or the gradient of too many updates, is not finite.
        """
        total = self.configuration.steps
        end = total if until is None else min(until, total)
        figures: dict[str, list[float]] = {}
        began, first = time.monotonic(), self.step
        while self.step < end and not self._is_over():
            for name, value in self._update().items():
                figures.setdefault(name, []).append(value)
            self.step += 1
            validation = self._validate() if self._is_due(end) else {}
            seconds = (time.monotonic() - began) / (self.step - first)
            means = {name: sum(values) / len(values) for name, values in figures.items()}
            report(TrainingProgress(
                self.step, total, means, validation, self.best, seconds * (total - self.step), self.part_size,
                self.updates.left_out,
            ))  # fmt: skip
            if self._is_due(end):
                self._note(means, validation)
                self.store()
                figures = {}
            elif time.monotonic() - self._stored_at > 60.0 * self.configuration.checkpoint_minutes:
                self.store()
        return self.result()

    def result(self) -> dict[str, nn.Module]:
        """The averaged networks of the best validation, else as they are now."""
        chosen = {name: copy.deepcopy(module) for name, module in self.average.items()}
        for name, weights in self.best_weights.items():
            chosen[name].load_state_dict(weights)
        return chosen

    def _is_due(self, end: int) -> bool:
        return self.step % self.configuration.validate_every == 0 or self.step == end

    def _is_over(self) -> bool:
        return 0 < self.configuration.patience <= self.without_gain

    def _update(self) -> dict[str, float]:
        """One update of every phase, with smaller parts where memory runs out."""
        configuration = self.configuration
        chance = _chance(configuration.seed, self.step, 0)
        batch = self.learner.draw(configuration.batch_size, configuration.resolution_at(self.step), chance)
        figures: dict[str, float] = {}
        for number, (phase, optimizer) in enumerate(self.learner.optimizers.items()):
            for group in optimizer.param_groups:
                base = group.setdefault("base_rate", group["lr"])
                group["lr"] = base * configuration.rate_at(self.step)
            figures |= self._phase(phase, number, optimizer, batch)
        self._follow()
        return figures

    def _phase(
        self, phase: str, number: int, optimizer: torch.optim.Optimizer, batch: torch.Tensor
    ) -> dict[str, float]:
        while True:
            try:
                return self._accumulated(phase, number, optimizer, batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self.part_size == 1:
                    raise
            # Outside of the except block: the error's frames no longer hold the tensors that filled the memory.
            self.part_size = max(1, self.part_size // 2)
            logger.warning("out of memory: going on with parts of %d samples", self.part_size)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _accumulated(
        self, phase: str, number: int, optimizer: torch.optim.Optimizer, batch: torch.Tensor
    ) -> dict[str, float]:
        """Gradients of all parts, weighted by their size, then one step."""
        optimizer.zero_grad(set_to_none=True)
        chance = _chance(self.configuration.seed, self.step, number + 1)
        sums: dict[str, float] = {}
        for part in batch.split(self.part_size):
            share = len(part) / len(batch)
            with computing(self.device, wanted_precision(self.configuration.mixed_precision)):
                loss, figures = self.learner.loss(phase, part.to(self.device), chance, self.step)
            if not bool(torch.isfinite(loss)):
                raise TrainingDivergedError(f"{phase}: the loss is no longer finite; lower the learning rate")
            backward(loss * share)
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + share * value
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
        if self.updates.admits(norm, self.step):
            optimizer.step()
        return sums

    @torch.no_grad()
    def _follow(self) -> None:
        """Moving average; it follows quickly at first, when there is little to remember."""
        decay = min(self.configuration.ema_decay, (1.0 + self.step) / (10.0 + self.step))
        for name, average in self.average.items():
            state = self.learner.modules[name].state_dict()
            for key, value in average.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(state[key].to(value.dtype), 1.0 - decay)
                else:
                    value.copy_(state[key])

    def _validate(self) -> dict[str, float]:
        figures = self.learner.validate(self.average)
        score = figures.get("score")
        if score is None:
            return figures
        if self.best is None or score > self.best:
            self.best, self.without_gain = score, 0
            self.best_weights = {
                name: {key: value.clone() for key, value in module.state_dict().items()}
                for name, module in self.average.items()
            }
        else:
            self.without_gain += 1
        return figures

    def _note(self, figures: Mapping[str, float], validation: Mapping[str, float]) -> None:
        line = {"step": self.step, **figures, **{f"validation_{k}": v for k, v in validation.items()}}
        with open(self.folder / HISTORY, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def store(self) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {
            "configuration": json.dumps(asdict(self.configuration)),
            "step": self.step,
            "part_size": self.part_size,
            "left_out": self.updates.left_out,
            "best": self.best,
            "best_weights": self.best_weights,
            "without_gain": self.without_gain,
            "modules": {name: module.state_dict() for name, module in self.learner.modules.items()},
            "average": {name: module.state_dict() for name, module in self.average.items()},
            "optimizers": {name: item.state_dict() for name, item in self.learner.optimizers.items()},
        }
        with whole_file(self.folder / CHECKPOINT) as beside:
            torch.save(state, beside)
        self._stored_at = time.monotonic()

    def _resume(self) -> None:
        state: dict[str, Any] = torch.load(self.folder / CHECKPOINT, map_location=self.device, weights_only=True)
        before, now = json.loads(state["configuration"]), json.loads(json.dumps(asdict(self.configuration)))
        changed = [name for name in now if now[name] != before.get(name) and name not in MAY_CHANGE]
        if changed:
            raise InvalidValueError(
                f"{changed[0]}: the run in this folder has {before.get(changed[0])!r}, not {now[changed[0]]!r}; "
                "choose another folder"
            )
        try:
            for name, module in self.learner.modules.items():
                module.load_state_dict(state["modules"][name])
            for name, module in self.average.items():
                module.load_state_dict(state["average"][name])
            for name, optimizer in self.learner.optimizers.items():
                optimizer.load_state_dict(state["optimizers"][name])
        except (KeyError, RuntimeError, ValueError) as error:
            raise InvalidValueError("folder: holds the run of another network; choose another folder") from error
        self.step, self.best, self.without_gain = state["step"], state["best"], state["without_gain"]
        self.best_weights = state["best_weights"]
        self.part_size = min(self.part_size, state["part_size"])
        self.updates = UpdateCount(state.get("left_out", 0))


MAY_CHANGE = ("steps", "part_size", "validate_every", "patience", "checkpoint_minutes")
"""What a run may be gone on with differently."""


def _chance(seed: int, step: int, use: int) -> torch.Generator:
    """Chance of one use in one update; neighbouring seeds and updates share nothing."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + use * 0x94D049BB133111EB) % 2**63
    return torch.Generator().manual_seed(mixed)


def channels_of(text: object) -> tuple[int, ...]:
    """Channels of each level of a network from an option's text; InvalidValueError where it is none."""
    try:
        return tuple(int(part) for part in str(text).split(","))
    except ValueError as error:
        raise InvalidValueError(f"channels: {text!r} must be whole numbers like 16,32,64") from error
