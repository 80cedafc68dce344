"""``ms.train("brain_tumor_segmentation", ...)``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.studies.cases import look_for_cases
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS
from medsynth_app.segmentation.network import NetworkConfiguration
from medsynth_app.segmentation.training.dataset import load_cases
from medsynth_app.segmentation.training.loop import Progress, Trainer, TrainingConfiguration
from medsynth_app.segmentation.training.validation_cases import check_validation_cases
from medsynth_app.segmentation.weights import load_weights

FINE_TUNING_RATE = 3e-4
"""From weights that are trained already."""
PATCHES_PER_CASE = 4
"""Of an epoch, as in MONAI Label's training."""


def train_segmentation(
    data: Path, folder: Path, epochs: int | None, steps: int | None, device: str | None,
    progress: Callable[[int, int], object] | None, options: dict[str, Any],
) -> Path:  # fmt: skip
    """Fine-tune the shipped network, or train another from scratch (``initial_weights=None``).

    Args:
        data: BraTS-style case folders with labels.
        folder: checkpoints and ``best.safetensors``.
        epochs: passes over the cases, four patches each.
        steps: updates in all.
        device: ``cpu`` or ``cuda``; the best there is by default.
        progress: called with the update and the number of all.
        options: see ``ms.train``.
    """
    names = _names(options.pop("validation", ()))
    initial = options.pop("initial_weights", SHIPPED_WEIGHTS)
    loaded = load_weights(Path(initial)) if initial is not None else None
    network = loaded[1] if loaded is not None else NetworkConfiguration()
    found = look_for_cases(data).with_labels()
    unknown = names - {case.name for case in found.cases}
    if unknown:
        raise InvalidValueError(f"validation: {', '.join(sorted(unknown))} are no labelled cases of the data")
    check_validation_cases(found.cases, names)
    training = load_cases([case for case in found.cases if case.name not in names], network.modalities)
    held_out = [case for case in found.cases if case.name in names]
    configuration = _configuration(network, options, loaded is not None)
    if epochs is not None:
        patches = epochs * len(training) * PATCHES_PER_CASE
        steps = max(1, patches // (configuration.batch_size * configuration.accumulation))
    if steps is not None:
        every = min(configuration.validate_every, steps)
        configuration = replace(configuration, steps=steps, validate_every=every)
    trainer = Trainer(
        configuration, training, load_cases(held_out, network.modalities) if held_out else [], folder,
        loaded[0].state_dict() if loaded is not None else None, device,
    )  # fmt: skip

    def report(told: Progress) -> None:
        if progress is not None:
            progress(told.step, told.steps)

    trainer.run(report)
    if progress is not None:
        progress(configuration.steps, configuration.steps)
    return folder / "best.safetensors"


def _configuration(network: NetworkConfiguration, options: dict[str, Any], tuned: bool) -> TrainingConfiguration:
    known = [field.name for field in fields(TrainingConfiguration) if field.name not in ("network", "steps")]
    unknown = [name for name in options if name not in known]
    if unknown:
        more = ", ".join([*known, "validation", "initial_weights"])
        raise InvalidValueError(f"{unknown[0]}: brain_tumor_segmentation has no such option; it has {more}")
    plain = TrainingConfiguration(network=network)
    return replace(plain, **{**({"learning_rate": FINE_TUNING_RATE} if tuned else {}), **options})


def _names(value: str | Iterable[str]) -> set[str]:
    return {name for name in (value.split(",") if isinstance(value, str) else value) if name}
