"""The three stages of the skin course's training, each resumable in its folder, each ending in weights.

``gan`` first; ``classifier`` needs only the pictures; ``encoder`` needs the generator. Once generator and judge are
there, the directions are ranked.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.measures.privacy import store_reference
from medsynth_app.synthesis.skin.dataset import CLASSES, Lesions
from medsynth_app.synthesis.skin.directions import class_direction, ranked_directions
from medsynth_app.synthesis.skin.judge_training import JudgeConfiguration, judge_figures, train_judge
from medsynth_app.synthesis.skin.models import (
    GENERATOR,
    JUDGE,
    load_generator,
    load_judge,
    save_directions,
    save_encoder,
    save_generator,
    save_judge,
    weights_file,
)
from medsynth_app.synthesis.stylegan2.checkpoint_watch import CheckpointWatch, Labelled
from medsynth_app.synthesis.stylegan2.configuration import TrainingConfiguration
from medsynth_app.synthesis.stylegan2.encoder import StyleEncoder
from medsynth_app.synthesis.stylegan2.encoder_training import EncoderConfiguration, EncoderTrainer
from medsynth_app.synthesis.stylegan2.network import Generator
from medsynth_app.synthesis.stylegan2.run import Progress
from medsynth_app.synthesis.stylegan2.training import Trainer
from medsynth_app.synthesis.weights import WeightsStore

CHECKED_IMAGES = 64
FIRST_SHARE_OF_LAYERS = 1 / 3
"""Layers below hold place and size of everything: directions there change the skin as much as the lesion."""

Report = Callable[[Progress], None]


def train_generator(
    configuration: TrainingConfiguration,
    lesions: Lesions,
    folder: Path,
    on_progress: Report | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    held_out: Lesions | None = None,
) -> Path:
    """Stage ``gan``: checkpoints, sample grids and ``history.jsonl`` in ``folder/gan``, weights in ``folder``.

    As soon as the full resolution is trained, the history holds kernel and Frechet distance to held-out pictures
    beside that of training ones, and the weights are those of the lowest Frechet distance.

    Args:
        configuration: the run; its network needs two classes or none.
        lesions: the training side of the split, at the network's resolution.
        folder: of the whole course.
        on_progress, should_stop: see ``Trainer.run``.
        held_out: pictures of other lesions; without them no distances are tracked, the last weights count, and no
            reference for the memorisation audit is stored.

    Returns:
        The weights.
    """
    if configuration.network.classes not in (0, len(CLASSES)):
        raise InvalidValueError(f"classes: {configuration.network.classes} must be 0 or {len(CLASSES)}")
    run = folder / "gan"
    shown = None if held_out is None else Labelled(held_out.images, held_out.labels)
    watch = CheckpointWatch(lesions.images, shown, configuration, run)
    trainer = Trainer(
        configuration, lesions.images, lesions.labels, run, lambda average: watch.measure(average, trainer.seen)
    )
    watch.take_up(trainer.history)
    trainer.run(on_progress, should_stop)
    save_generator(
        watch.best_generator(trainer.average),
        folder,
        {"images": trainer.seen, "classes": list(CLASSES), **watch.best_figures},
        trainer.principal,
        described(lesions),
    )
    weights = weights_file(folder, GENERATOR)
    if held_out is not None:
        seen, unseen = (part.images.transpose(0, 2, 3, 1) for part in (lesions, held_out))
        store_reference(weights, seen, unseen)
    return weights


def train_encoder(
    configuration: EncoderConfiguration,
    lesions: Lesions,
    held_out: Lesions,
    folder: Path,
    on_progress: Report | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, float]:
    """Stage ``encoder``: checkpoints in ``folder/encoder``, weights in ``folder``.

    Returns:
        The figures on held-out lesions: ``held_out_squared_error`` with images in -1..1.
    """
    loaded = load_generator(WeightsStore((folder,)))
    checked = torch.from_numpy(held_out.images[:CHECKED_IMAGES]).float() / 127.5 - 1.0

    @torch.no_grad()
    def measure(encoder: StyleEncoder) -> dict[str, float]:
        styles, _ = copy.deepcopy(encoder).cpu()(checked)
        return {
            "held_out_squared_error": float(functional.mse_loss(loaded.generator.synthesis(styles), checked))
        }

    trainer = EncoderTrainer(
        configuration, loaded.generator, lesions.images, folder / "encoder", measure, loaded.start()
    )
    trainer.run(on_progress, should_stop)
    figures = measure(trainer.encoder)
    save_encoder(
        trainer.encoder, folder, loaded.sha256, {"images": trainer.seen, **figures}, described(lesions)
    )
    return figures


def train_classifier(
    configuration: JudgeConfiguration,
    lesions: Lesions,
    held_out: Lesions,
    folder: Path,
    on_progress: Callable[[float], None] = lambda share: None,
) -> dict[str, float]:
    """Stage ``classifier``: the judge's weights in ``folder``; returns its figures on held-out lesions."""
    judge = train_judge(configuration, lesions, on_progress)
    figures = judge_figures(judge, held_out)
    save_judge(judge, folder, figures, described(lesions))
    return figures


def rank_directions(folder: Path, layers: tuple[int, ...] = (), count: int = 12) -> list[dict[str, object]]:
    """Factorise and rank, as soon as generator and judge are in the folder; an empty list before.

    A generator with classes gets the direction from nevi to melanomas too, as the last one.

    Args:
        folder: of the course.
        layers: styles that the directions change; empty = the last two thirds.
        count: directions.
    """
    if not all(weights_file(folder, name).is_file() for name in (GENERATOR, JUDGE)):
        return []
    store = WeightsStore((folder,))
    loaded = load_generator(store)
    generator = loaded.generator
    judge = load_judge(store)
    found = ranked_directions(generator, judge, layers or later_layers(generator), count)
    if generator.configuration.classes:
        found.append(class_direction(generator, judge))
    save_directions(found, folder, loaded.sha256)
    return [
        {"name": direction.name, "melanoma_slope": direction.melanoma_slope, **direction.effects}
        for direction in found
    ]


def later_layers(generator: Generator) -> tuple[int, ...]:
    """The last two thirds of w+."""
    total = generator.configuration.style_count
    return tuple(range(round(FIRST_SHARE_OF_LAYERS * total), total))


def described(lesions: Lesions) -> str:
    """Which images, in a sentence, for the catalogue."""
    counts = np.bincount(lesions.labels, minlength=len(CLASSES))
    return f"dermatoscopic pictures: {counts[0]} of nevi, {counts[1]} of melanomas"
