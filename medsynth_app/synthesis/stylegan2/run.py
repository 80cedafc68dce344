"""A training run in one folder: it stores itself whole, and goes on where it was when it is made again.

``last.pt`` holds all that is needed to go on, ``history.jsonl`` a line a checkpoint. Chance is drawn anew for every
update from the seed and the update's number, so a run that was stopped ends as if it never had been.
"""

from __future__ import annotations

import json
import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.precision import computing, wanted_precision
from medsynth_app.updates import UpdateCount

logger = logging.getLogger(__name__)

CHECKPOINT, HISTORY = "last.pt", "history.jsonl"
LARGEST_GRADIENT = 100.0
REPORT_EVERY = 10


@dataclass(frozen=True)
class RunConfiguration:
    """What every run has.

    Attributes:
        images: images shown in all.
        batch_size: images an update.
        store_every: images between checkpoints.
        seed: of weights, order and all other chance.
        mixed_precision: networks compute in bfloat16 where that is exact enough; losses and weights stay float32.

    Raises:
        InvalidValueError: a value that is not allowed, named.
    """

    images: int = 20_000
    batch_size: int = 8
    store_every: int = 2000
    seed: int = 0
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        check_at_least_one(self, ("images", "batch_size", "store_every"))


def check_at_least_one(configuration: object, names: Sequence[str]) -> None:
    """Refuse smaller numbers, by name."""
    for name in names:
        if getattr(configuration, name) < 1:
            raise InvalidValueError(f"{name}: {getattr(configuration, name)} must be at least 1")


def check_rates(configuration: object, names: Sequence[str]) -> None:
    """Refuse learning rates that are not between 0 and 1, by name."""
    for name in names:
        if not 0.0 < getattr(configuration, name) < 1.0:
            raise InvalidValueError(f"{name}: {getattr(configuration, name)} must be between 0 and 1")


@dataclass(frozen=True)
class Progress:
    """What a running training tells.

    Attributes:
        images / total: real images shown / in all.
        figures: means since the last report (losses, p).
        seconds_left: estimate.
        left_out: updates that were left out because their gradient was not finite.
    """

    images: int
    total: int
    figures: dict[str, float]
    seconds_left: float
    left_out: int = 0


class Run(ABC):
    """The loop around updates. A subclass builds its networks, then calls ``take_up``.

    Args:
        configuration: the run.
        folder: where checkpoints go.
        device: where networks and images are.
    """

    may_change: ClassVar[tuple[str, ...]] = ("store_every",)
    """Settings with which a run may be gone on differently."""

    def __init__(self, configuration: RunConfiguration, folder: Path, device: torch.device) -> None:
        self.run_configuration = configuration
        self.folder = folder
        self.device = device
        self.seen = 0
        self.updates = UpdateCount()
        self.history: list[dict[str, float]] = []

    def halved(self) -> AbstractContextManager[None]:
        """Inside of it layers compute in bfloat16, where the run was asked to and they learn rightly in it."""
        return halved(self.device, self.run_configuration.mixed_precision)

    def descend(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        """One step down; a step without a finite gradient is left out and counted.

        Raises:
            TrainingDivergedError: too many were left out.
        """
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
        if self.updates.admits(norm, self.seen // self.run_configuration.batch_size):
            optimizer.step()

    @abstractmethod
    def update(self, step: int, chance: torch.Generator) -> dict[str, float]:
        """One update of all networks; returns its figures."""

    @abstractmethod
    def measured(self) -> dict[str, float]:
        """What the history tells beside the losses."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Everything that changes, as tensors and plain values."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Take up what ``state`` gave."""

    def run(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train until the end or ``should_stop``; the state is stored on the way and at the end."""
        configuration = self.run_configuration
        begin, first = time.monotonic(), self.seen
        collected: list[dict[str, float]] = []
        while self.seen < configuration.images and not should_stop():
            step = self.seen // configuration.batch_size
            chance = torch.Generator().manual_seed(configuration.seed * 1_000_003 + step)
            collected.append(self.update(step, chance))
            before, self.seen = self.seen, self.seen + configuration.batch_size
            if on_progress and len(collected) % REPORT_EVERY == 0:
                pace = (time.monotonic() - begin) / (self.seen - first)
                left = pace * (configuration.images - self.seen)
                on_progress(
                    Progress(
                        self.seen, configuration.images, _means(collected[-REPORT_EVERY:]), left,
                        self.updates.left_out,
                    )
                )  # fmt: skip
            if before // configuration.store_every != self.seen // configuration.store_every:
                self._store(_means(collected))
                collected.clear()
        if collected:
            self._store(_means(collected))

    def take_up(self) -> None:
        """Go on with the run that the folder holds, if it holds one.

        Raises:
            InvalidValueError: it is the run of another configuration.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / CHECKPOINT).exists():
            return
        state = torch.load(self.folder / CHECKPOINT, map_location=self.device, weights_only=True)
        if state["configuration"] != self._fingerprint():
            raise InvalidValueError(
                f"folder {self.folder.name!r} holds a run of another configuration; choose another folder"
            )
        self.restore(state)
        self.seen = state["seen"]
        self.updates = UpdateCount(state.get("left_out", 0))
        self.history = json.loads(state["history"])
        logger.info("resumed at image %d", self.seen)

    def _store(self, figures: dict[str, float]) -> None:
        self.history.append({"images": float(self.seen), **figures, **self.measured()})
        state = {
            "configuration": self._fingerprint(),
            "seen": self.seen,
            "left_out": self.updates.left_out,
            "history": json.dumps(self.history),
            **self.state(),
        }
        with whole_file(self.folder / CHECKPOINT) as path:
            torch.save(state, path)
        with whole_file(self.folder / HISTORY) as path:
            path.write_text("".join(json.dumps(line) + "\n" for line in self.history))

    def _fingerprint(self) -> str:
        """The settings that must not change in a run."""
        record = asdict(self.run_configuration)
        for name in self.may_change:
            record.pop(name)
        return json.dumps(record, sort_keys=True)


def halved(device: torch.device, mixed_precision: bool) -> AbstractContextManager[None]:
    """bfloat16 where it was asked for, the hardware has it and layers learn rightly in it; else nothing."""
    return computing(device, wanted_precision(mixed_precision))


def check_pictures(images: np.ndarray, channels: int, resolution: int) -> None:
    """Refuse training images of another kind.

    Raises:
        InvalidValueError: not uint8 (N, channels, resolution, resolution).
    """
    wanted = (channels, resolution, resolution)
    if images.ndim != 4 or images.shape[1:] != wanted or images.dtype != np.uint8:
        raise InvalidValueError(
            f"images: {images.dtype} {images.shape} must be uint8 (N, {', '.join(map(str, wanted))})"
        )


def _means(entries: list[dict[str, float]]) -> dict[str, float]:
    names = sorted({name for entry in entries for name in entry})
    found = {name: [entry[name] for entry in entries if name in entry] for name in names}
    return {name: float(np.mean(values)) for name, values in found.items() if not math.isnan(np.mean(values))}
