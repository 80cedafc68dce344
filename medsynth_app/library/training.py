"""``ms.train``: a training in one call; the same call again goes on after a stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from medsynth_app.errors import InvalidValueError
from medsynth_app.library.segmentation_training import train_segmentation
from medsynth_app.options import parse_options
from medsynth_app.synthesis.catalogue import CATALOGUE, TrainerRow, TrainingRequest
from medsynth_app.synthesis.training.loop import TrainingProgress

SEGMENTATION = "brain_tumor_segmentation"


def train(
    model: str, data: str | Path, *, folder: str | Path, epochs: int | None = None, steps: int | None = None,
    device: str | None = None, progress: Callable[[int, int], object] | None = None, **options: Any,
) -> Path:  # fmt: skip
    """Train a model on your own data.

    Args:
        model: ``brain_tumor_segmentation``, or a trainer of the catalogue (``image_synthesis``, ``volume_synthesis``,
            ``tumor_case_synthesis``, ``skin_lesion``).
        data: folder with your images: labelled case folders for the segmentation and for tumour cases.
        folder: where checkpoints and weights go; the same folder goes on with a run that was stopped.
        epochs: passes over the data, where the trainer counts them.
        steps: updates in all; one of the two, the trainer's own number by default.
        device: ``cpu`` or ``cuda``; the best there is by default.
        progress: called with the update and the number of all.
        options: what the trainer takes, as ``medsynth train MODEL --help`` lists it; for the segmentation the fields
            of ``TrainingConfiguration``, ``validation`` (names) and ``initial_weights``.

    Returns:
        The weights file.

    Raises:
        NotFoundError: no such trainer; lists them.
        InvalidValueError: an unknown option, an impossible value, no usable data.
    """
    if epochs is not None and steps is not None:
        raise InvalidValueError("epochs, steps: both are given, allowed is one of the two")
    for name, value in (("epochs", epochs), ("steps", steps)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise InvalidValueError(f"{name}: {value!r} must be a whole number of at least 1")
    if model == SEGMENTATION:
        return train_segmentation(Path(data), Path(folder), epochs, steps, device, progress, options)
    row = CATALOGUE.trainer(model)
    return _train_generator(row, Path(data), Path(folder), epochs, steps, device, progress, options)


def _train_generator(
    row: TrainerRow, data: Path, folder: Path, epochs: int | None, steps: int | None, device: str | None,
    progress: Callable[[int, int], object] | None, options: dict[str, Any],
) -> Path:  # fmt: skip
    known = [option.name for option in row.options]
    for name, value in (("epochs", epochs), ("steps", steps)):
        if value is None:
            continue
        if name not in known:
            other = next((n for n in ("steps", "images", "epochs") if n in known), "steps")
            raise InvalidValueError(
                f"{name}: the trainer of {row.task} counts {other}; "
                f'call ms.train("{row.task}", data, folder=..., {other}=...)'
            )
        options = {**options, name: value}
    unknown = [name for name in options if name not in known]
    if unknown:
        raise InvalidValueError(f"{unknown[0]}: {row.task} has no such option; it has {', '.join(known)}")

    def report(told: TrainingProgress) -> None:
        if progress is not None:
            progress(told.step, told.steps)

    parsed = parse_options(row.options, options)[0]
    figures = row.train(TrainingRequest(data, folder, parsed, None, device), report)
    return _weights(folder, figures)


def _weights(folder: Path, figures: dict[str, Any]) -> Path:
    name = str(figures.get("weights", ""))
    if name and (folder / name).is_file():
        return folder / name
    newest = sorted(folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
    if not newest:
        raise InvalidValueError("folder: the training left no weights; it was stopped before its first checkpoint")
    return newest[-1]
