"""``medsynth train skin_lesion``: the stages of the skin course, each resumable."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from medsynth_app.commands.results import console, progress_bar, store_json
from medsynth_app.synthesis.skin.dataset import CLASSES, read_lesions
from medsynth_app.synthesis.skin.judge_training import JudgeConfiguration
from medsynth_app.synthesis.skin.models import load_generator
from medsynth_app.synthesis.skin.training import (
    rank_directions,
    train_classifier,
    train_encoder,
    train_generator,
)
from medsynth_app.synthesis.stylegan2.encoder_training import EncoderConfiguration
from medsynth_app.synthesis.stylegan2.network import StyleGAN2Configuration
from medsynth_app.synthesis.stylegan2.training import GuideConfiguration, Progress, TrainingConfiguration

GROWTH_SHARES = ((32, 0.0), (64, 0.2), (128, 0.3), (256, 0.5), (512, 0.7))
"""Resolutions and the share of the images after which they are trained."""
GUIDED_SHARE = 0.22


class Stage(str, Enum):
    """Stages of the course."""

    GAN = "gan"
    ENCODER = "encoder"
    CLASSIFIER = "classifier"


def skin_lesion(
    data: Annotated[
        Path, typer.Argument(help="Folder with metadata.csv, pictures and masks (or zips of them).")
    ],
    folder: Annotated[Path, typer.Option(help="Where checkpoints and weights go; the same for all stages.")],
    stage: Annotated[Stage, typer.Option(help="gan, then encoder; classifier at any time.")] = Stage.GAN,
    resolution: Annotated[int, typer.Option(help="Side in pixels, 32 to 512; of stage gan.")] = 128,
    images: Annotated[int, typer.Option(help="Images shown in all; of stages gan and encoder.")] = 40_000,
    batch_size: Annotated[int, typer.Option(help="Images a step.")] = 8,
    discriminator: Annotated[str, typer.Option(help="projected or stylegan2; of stage gan.")] = "projected",
    guided: Annotated[bool, typer.Option(help="Also reproduce the training images; of stage gan.")] = True,
    grow: Annotated[bool, typer.Option(help="Begin at 32 pixels; of stage gan.")] = True,
    channel_base: Annotated[int, typer.Option(help="Channels = this / resolution; of stage gan.")] = 1536,
    path_length: Annotated[float, typer.Option(help="Weight of that penalty; of stage gan.")] = 0.0,
    epochs: Annotated[int, typer.Option(help="Passes over the images; of stage classifier.")] = 2,
    framing: Annotated[str, typer.Option(help="crop or pad to a square.")] = "crop",
    seed: Annotated[int, typer.Option(help="Makes a run repeatable.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Train a stage of the skin course; run the same command again to go on after a stop."""
    if stage is Stage.ENCODER:
        resolution = load_generator(folder)[0].configuration.resolution
    training, held_out = read_lesions(data, resolution, framing, masks=stage is Stage.CLASSIFIER).split()
    console.print(f"{len(training.images)} images to train on, {len(held_out.images)} of held-out lesions")
    with progress_bar() as bar:
        task = bar.add_task(stage.value, total=None)

        def report(progress: Progress) -> None:
            error = progress.figures.get("squared_error")
            shown = "" if error is None else f" error {error:.4f}"
            bar.update(task, completed=progress.images, total=progress.total, description=stage.value + shown)

        if stage is Stage.GAN:
            configuration = TrainingConfiguration(
                network=_network(resolution, channel_base, guided),
                discriminator=discriminator,
                guide=GuideConfiguration(images=round(GUIDED_SHARE * images)) if guided else None,
                growth=_growth(resolution, images) if grow else (),
                images=images,
                batch_size=batch_size,
                momentum=0.5 if guided else 0.0,
                path_length=path_length,
                seed=seed,
            )
            train_generator(configuration, training, folder, report)
            figures: dict[str, float] = {}
        elif stage is Stage.ENCODER:
            encoder = EncoderConfiguration(images=images, batch_size=batch_size, seed=seed)
            figures = train_encoder(encoder, training, held_out, folder, report)
        else:
            judge = JudgeConfiguration(epochs, seed=seed)
            figures = train_classifier(
                judge, training, held_out, folder, lambda share: bar.update(task, completed=share, total=1.0)
            )
    ranked = rank_directions(folder)
    for name, value in figures.items():
        console.print(f"{name}: {value:.4f}")
    console.print(
        f"{len(ranked)} directions ranked" if ranked else "directions: generator and classifier are needed"
    )
    store_json({**figures, "directions": ranked}, json_file)


def _network(resolution: int, channel_base: int, guided: bool) -> StyleGAN2Configuration:
    return StyleGAN2Configuration(
        resolution=resolution,
        classes=len(CLASSES),
        latent_size=128,
        channel_base=channel_base,
        channel_max=max(192, channel_base // 16),
        mapping_rate=1.0 if guided else 0.01,
    )


def _growth(resolution: int, images: int) -> tuple[tuple[int, int], ...]:
    """32, 64, ... up to the resolution."""
    return tuple((side, round(share * images)) for side, share in GROWTH_SHARES if side <= resolution)
