"""The skin course's rows of the catalogue: three tasks, and one trainer with three stages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.options import Option
from medsynth_app.synthesis.data.arrays import FRAMINGS
from medsynth_app.synthesis.measures.privacy import reference_name
from medsynth_app.synthesis.skin.dataset import CLASSES, read_lesions
from medsynth_app.synthesis.skin.judge_training import JudgeConfiguration
from medsynth_app.synthesis.skin.models import (
    DIRECTIONS,
    ENCODER,
    GENERATOR,
    JUDGE,
    load_generator,
    weights_file,
)
from medsynth_app.synthesis.skin.training import (
    rank_directions,
    train_classifier,
    train_encoder,
    train_generator,
)
from medsynth_app.synthesis.stylegan2.configuration import (
    DISCRIMINATORS,
    MISMATCHED,
    GuideConfiguration,
    TrainingConfiguration,
    growth_by_shares,
    head_start,
)
from medsynth_app.synthesis.stylegan2.encoder_training import EncoderConfiguration
from medsynth_app.synthesis.stylegan2.network import StyleGAN2Configuration
from medsynth_app.synthesis.stylegan2.run import Progress
from medsynth_app.synthesis.training.loop import ReportTraining, TrainingProgress
from medsynth_app.synthesis.weights import WeightsStore

TRAINER = "skin_lesion"
STAGES = ("gan", "encoder", "classifier")
GROWTH_SHARES = ((32, 0.0), (64, 0.2), (128, 0.3), (256, 0.5), (512, 0.7))
"""Resolutions and the share of the images after which they are trained."""
GUIDED_SHARE = 0.22
PROGRESS_PARTS = 1000
TRAINER_OPTIONS = (
    Option("stage", "gan", "gan, then encoder; classifier at any time.", STAGES),
    Option("resolution", 128, "Side in pixels, a power of two; of stage gan.", minimum=32, maximum=512),
    Option("images", 40_000, "Images shown in all; of stages gan and encoder.", minimum=2, maximum=10**9),
    Option("batch_size", 8, "Images a step.", minimum=2, maximum=4096),
    Option("discriminator", "projected", "Of stage gan.", DISCRIMINATORS),
    Option("guided", True, "Also reproduce the training images; of stage gan."),
    Option("grow", True, "Begin at 32 pixels; of stage gan."),
    Option("channel_base", 1536, "Channels = this / resolution; of stage gan.", minimum=64, maximum=65_536),
    Option("path_length", 0.0, "Weight of that penalty; of stage gan.", minimum=0, maximum=1000),
    Option("epochs", 2, "Passes over the images; of stage classifier.", minimum=1, maximum=1000),
    Option("framing", "crop", "How pictures become square.", FRAMINGS),
    Option("direction_layers", "", "Styles that directions change, FIRST-LAST; empty = the last two thirds."),
    Option("mixed_precision", False, "bfloat16 where it can; of stages gan and encoder."),
    Option("seed", 0, "Makes a run repeatable.", minimum=0, maximum=2**31 - 1),
)


def train_stage(
    data: Path, folder: Path, options: Mapping[str, Any], publish_to: Path | None, report: ReportTraining
) -> dict[str, Any]:
    """One stage of the course.

    Args:
        data: folder with ``metadata.csv`` and pictures, see ``read_lesions``.
        folder: takes checkpoints and weights; the same for all stages.
        options: of ``TRAINER_OPTIONS``, parsed.
        publish_to: takes copies of the weights; None = nobody.
        report: told the progress.

    Returns:
        Figures on held-out lesions, and the ranked directions as soon as generator and judge are there.
    """
    stage, resolution = str(options["stage"]), int(options["resolution"])
    layers = layers_of(str(options["direction_layers"]))
    if stage == "encoder":
        resolution = load_generator(WeightsStore((folder,))).generator.configuration.resolution
    lesions = read_lesions(data, resolution, str(options["framing"]), masks=stage == "classifier")
    training, held_out = lesions.split()

    def told(progress: Progress) -> None:
        report(
            TrainingProgress(
                progress.images, progress.total, progress.figures, seconds_left=progress.seconds_left,
                left_out=progress.left_out,
            )
        )

    figures: dict[str, Any] = {}
    if stage == "gan":
        train_generator(gan_configuration(options), training, folder, told, held_out=held_out)
    elif stage == "encoder":
        encoder = EncoderConfiguration(
            images=int(options["images"]),
            batch_size=int(options["batch_size"]),
            seed=int(options["seed"]),
            mixed_precision=bool(options["mixed_precision"]),
        )
        figures = dict(train_encoder(encoder, training, held_out, folder, told))
    else:
        judge = JudgeConfiguration(int(options["epochs"]), seed=int(options["seed"]))
        figures = dict(
            train_classifier(
                judge, training, held_out, folder,
                lambda share: report(TrainingProgress(round(share * PROGRESS_PARTS), PROGRESS_PARTS, {})),
            )
        )  # fmt: skip
    figures["directions"] = rank_directions(folder, layers)
    if publish_to is not None:
        _publish(folder, publish_to)
    return {"stage": stage, "training_images": len(training.images), **figures}


def layers_of(text: str) -> tuple[int, ...]:
    """``4-11`` or ``6`` as layer numbers; an empty text as none.

    Raises:
        InvalidValueError: another form, or a range that runs backwards.
    """
    if not text:
        return ()
    found = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if first > last:
        raise InvalidValueError(f"direction_layers: {text[:20]!r} must be like 4-11 or 6")
    return tuple(range(first, last + 1))


def gan_configuration(options: Mapping[str, Any]) -> TrainingConfiguration:
    """The record of a run of stage ``gan``.

    Raises:
        InvalidValueError: a value that is not allowed.
    """
    images, resolution, guided = int(options["images"]), int(options["resolution"]), bool(options["guided"])
    base = int(options["channel_base"])
    network = StyleGAN2Configuration(
        resolution=resolution,
        classes=len(CLASSES),
        latent_size=128,
        channel_base=base,
        channel_max=max(192, base // 16),
        mapping_rate=1.0 if guided else 0.01,
    )
    return TrainingConfiguration(
        network=network,
        discriminator=str(options["discriminator"]),
        guide=GuideConfiguration(images=head_start(GUIDED_SHARE, images)) if guided else None,
        growth=growth_by_shares(GROWTH_SHARES, resolution, images) if options["grow"] else (),
        images=images,
        batch_size=int(options["batch_size"]),
        momentum=0.5 if guided else 0.0,
        path_length=float(options["path_length"]),
        mismatched=MISMATCHED,
        seed=int(options["seed"]),
        mixed_precision=bool(options["mixed_precision"]),
    )


def _publish(folder: Path, target: Path) -> None:
    """Copies of all weights that are there."""
    for name in (GENERATOR, reference_name(GENERATOR), ENCODER, JUDGE, DIRECTIONS):
        if weights_file(folder, name).is_file():
            with whole_file(weights_file(target, name)) as beside:
                shutil.copyfile(weights_file(folder, name), beside)
