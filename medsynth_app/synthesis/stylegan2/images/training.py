"""Training of ``image_synthesis`` by StyleGAN2 on a user's folder: every pathology of every modality is a class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsynth_app.errors import InvalidValueError
from medsynth_app.options import Option
from medsynth_app.synthesis.measures.privacy import store_reference
from medsynth_app.synthesis.stylegan2.checkpoint_watch import CheckpointWatch, Labelled
from medsynth_app.synthesis.stylegan2.configuration import (
    DISCRIMINATORS,
    MISMATCHED,
    GuideConfiguration,
    TrainingConfiguration,
    growth_by_shares,
    head_start,
)
from medsynth_app.synthesis.stylegan2.images.collection import PictureCollection
from medsynth_app.synthesis.stylegan2.images.model import WEIGHTS, PictureClasses, save_picture_model
from medsynth_app.synthesis.stylegan2.network import StyleGAN2Configuration
from medsynth_app.synthesis.stylegan2.run import Progress
from medsynth_app.synthesis.stylegan2.training import Trainer
from medsynth_app.synthesis.training.loop import ReportTraining, TrainingProgress
from medsynth_app.synthesis.weights import ENDING

STYLEGAN2_OPTIONS = (
    Option("images", 40_000, "Images shown in all; of stylegan2.", minimum=2, maximum=10**9),
    Option("discriminator", "projected", "Of stylegan2.", DISCRIMINATORS),
    Option(
        "guided_share", 0.22, "Of the images, in which it only reproduces training images; 0 = it never does so; of"
        " stylegan2.", minimum=0, maximum=1,
    ),
    Option("grow", True, "Begin at 32 pixels; of stylegan2."),
    Option("channel_base", 1024, "Channels = this / resolution; of stylegan2.", minimum=64, maximum=65_536),
    Option("path_length", 0.0, "Weight of that penalty; of stylegan2.", minimum=0, maximum=1000),
    Option("store_every", 2000, "Images between checkpoints; of stylegan2.", minimum=2, maximum=10**8),
)
"""What StyleGAN2 adds to the options of the task: generator, modality, resolution, batch_size, patience, ..."""
GROWTH_SHARES = ((32, 0.0), (64, 0.2), (128, 0.4), (256, 0.6), (512, 0.75))
"""Resolutions and the share of the images after which they are trained."""
CHANGES = ("shift", "scale", "stretch", "fraction", "brightness", "contrast")
"""Augmentations that keep a body upright, its right on the left, and grey pictures grey."""
RUN_FOLDER = "stylegan2"
LATENT_SIZE = 128
REGION, LESION, EDGE = 2.0, 6.0, 1.0
"""Of the reproduction: a body counts three times as much as the air around it, a lesion nine times; weight of edges."""


def train_picture_generator(
    data: Path,
    folder: Path,
    options: Mapping[str, Any],
    publish_to: Path | None,
    device: str | None,
    report: ReportTraining,
) -> dict[str, Any]:
    """Train, and store the weights of the checkpoint whose pictures come nearest to held-out ones.

    Args:
        data: the user's pictures, see ``image_data``.
        folder: checkpoints and sample grids in ``folder/stylegan2``; the same folder goes on with an earlier run.
        options: ``STYLEGAN2_OPTIONS`` and generator, modality, validation, framing, resolution, batch_size,
            patience (checkpoints without gain until it stops; 0 = never), seed.
        publish_to: folder for the finished weights; None = ``folder``.
        device: ``cpu`` or ``cuda``; None = the best there is.
        report: told about progress.

    Returns:
        Figures with JSON values.

    Raises:
        InvalidValueError: an option, or a folder without fitting pictures.
    """
    collection = PictureCollection.read(data, options)
    training = collection.training
    configuration = picture_configuration(options, collection.classes, len(training))
    run, into = folder / RUN_FOLDER, publish_to or folder
    kept = collection.held_out
    held_out = None if kept is None else Labelled(kept.images, collection.labels(kept))
    watch = CheckpointWatch(training.images, held_out, configuration, run, int(options["patience"]))
    trainer = Trainer(
        configuration,
        training.images,
        collection.labels(training),
        run,
        lambda average: watch.measure(average, trainer.seen),
        device,
        training.masks,
    )
    watch.take_up(trainer.history)

    def told(progress: Progress) -> None:
        report(TrainingProgress(
            progress.images, progress.total, progress.figures, watch.news(), watch.best, progress.seconds_left
        ))  # fmt: skip

    trainer.run(told, watch.is_over)
    notes = {"images": trainer.seen, "resolution": configuration.network.resolution, **watch.best_figures}
    digest = save_picture_model(
        into / f"{WEIGHTS}{ENDING}",
        watch.best_generator(trainer.average),
        collection.classes,
        collection.described(),
        notes,
    )
    grey = collection.classes.grey
    unseen = () if kept is None else kept.shown(grey)
    store_reference(into / f"{WEIGHTS}{ENDING}", training.shown(grey), unseen)
    return {
        "generator": "stylegan2",
        "weights": f"{WEIGHTS}{ENDING}",
        "weights_sha256": digest,
        "classes": list(collection.classes.names),
        "left_out": list(training.left_out),
        **notes,
    }


def picture_configuration(
    options: Mapping[str, Any], classes: PictureClasses, count: int
) -> TrainingConfiguration:
    """The record of a run.

    Args:
        options: see ``train_picture_generator``.
        classes: that the network learns; wrong ones are of the same modality, where it has several.
        count: training pictures; a guide needs more of them than a latent has numbers.

    Raises:
        InvalidValueError: a value that is not allowed.
    """
    images, resolution = int(options["images"]), int(options["resolution"])
    guided, base = float(options["guided_share"]), int(options["channel_base"])
    if guided and count <= LATENT_SIZE:
        raise InvalidValueError(
            f"guided_share: needs more than {LATENT_SIZE} pictures, have {count}; set guided_share=0"
        )
    network = StyleGAN2Configuration(
        resolution=resolution,
        classes=len(classes.names),
        latent_size=LATENT_SIZE,
        style_size=LATENT_SIZE,
        channel_base=base,
        channel_max=max(128, base // 8),
        mapping_rate=1.0 if guided else 0.01,
        class_spreads=bool(guided),
    )
    guide = GuideConfiguration(head_start(guided, images), region=REGION, lesion=LESION, edge=EDGE)
    return TrainingConfiguration(
        network=network,
        discriminator=str(options["discriminator"]),
        guide=guide if guided else None,
        growth=growth_by_shares(GROWTH_SHARES, resolution, images) if options["grow"] else (),
        images=images,
        batch_size=int(options["batch_size"]),
        momentum=0.5 if guided else 0.0,
        path_length=float(options["path_length"]),
        mismatched=MISMATCHED,
        groups=classes.groups,
        augmentations=CHANGES,
        turn_images=False,
        store_every=int(options["store_every"]),
        seed=int(options["seed"]),
        mixed_precision=bool(options["mixed_precision"]),
    )
