"""``medsynth train image_synthesis``: a user's folder of pictures -> weights of a conditional generator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.options import Option
from medsynth_app.synthesis.data.arrays import FRAMINGS
from medsynth_app.synthesis.data.images import Pictures, find_pictures, read_pictures, split_pictures
from medsynth_app.synthesis.image_diffusion.conditions import Vocabulary
from medsynth_app.synthesis.image_diffusion.lesions import learned_habits
from medsynth_app.synthesis.image_diffusion.network import NetworkConfiguration
from medsynth_app.synthesis.image_diffusion.training import DiffusionRun, fit_codec, train_velocity
from medsynth_app.synthesis.image_diffusion.transforms import PATCH
from medsynth_app.synthesis.image_diffusion.weights import NAME, DiffusionModel
from medsynth_app.synthesis.measures.privacy import store_reference
from medsynth_app.synthesis.phantoms.images.request import IMAGE_MODALITIES
from medsynth_app.synthesis.stylegan2.images.training import STYLEGAN2_OPTIONS, train_picture_generator
from medsynth_app.synthesis.training.loop import LoopConfiguration, ReportTraining
from medsynth_app.synthesis.weights import ENDING

GENERATORS = ("diffusion", "stylegan2")
SMALLEST_RESOLUTION = 32
TRAINER_OPTIONS = (
    Option("generator", GENERATORS[0], "What is trained.", GENERATORS),
    Option(
        "modality", "", "What the pictures show, where the folder does not tell; else only these. Empty = all.",
        ("", *IMAGE_MODALITIES),
    ),
    Option("validation", "", "Beginnings of MODALITY/PATIENT that are held out; empty = a tenth by a hash."),
    Option("framing", "crop", "Cut the longer side, or keep all and pad.", FRAMINGS),
    Option("resolution", 128, "Pixels a side, a multiple of 32.", minimum=SMALLEST_RESOLUTION, maximum=512),
    Option("code_channels", 32, "Numbers that an 8 x 8 patch becomes.", minimum=4, maximum=192),
    Option("channels", "64,96,160", "Of each level of the network, multiples of 32."),
    Option("prior_axes", 128, "Of the Gaussian prior of each modality.", minimum=1, maximum=512),
    Option("steps", 5000, "Updates in all.", minimum=1, maximum=10_000_000),
    Option("batch_size", 32, "Pictures an update.", minimum=1, maximum=4096),
    Option("learning_rate", 1e-3, "Top of the schedule.", minimum=1e-7, maximum=0.5),
    Option(
        "grow_until", 0, "Update until which it trains at half the resolution; 0 = never.", minimum=0, maximum=10**7
    ),
    Option("validate_every", 250, "Updates between validations.", minimum=1, maximum=10**6),
    Option("patience", 0, "Validations without gain until it stops; 0 = never.", minimum=0, maximum=10**6),
    Option("ema_decay", 0.999, "Of the moving average of the weights.", minimum=0, maximum=0.99999),
    Option("mixed_precision", False, "bfloat16 where the hardware has it and learns rightly."),
    Option("seed", 0, "Makes a run repeatable.", minimum=0, maximum=2**31),
    *STYLEGAN2_OPTIONS,
)  # fmt: skip


def train_image_synthesis(
    data: Path,
    folder: Path,
    options: Mapping[str, Any],
    publish_to: Path | None,
    device: str | None,
    report: ReportTraining,
) -> dict[str, Any]:
    """Train; the same call goes on with an earlier run.

    Args:
        data: the user's pictures, see ``image_data``.
        folder: checkpoints and grids of samples, and the weights where they are not published.
        options: of ``TRAINER_OPTIONS``.
        publish_to: folder for the finished weights.
        device: ``cpu`` or ``cuda``; None = the best there is.
        report: told about progress.

    Raises:
        InvalidValueError: an option, or a folder without fitting pictures.
    """
    if options["generator"] == "stylegan2":
        return train_picture_generator(data, folder, options, publish_to, device, report)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    network, loop = _network(options), _loop(options)
    training, held_out = _pictures(data, options)
    vocabulary = Vocabulary.of(training.sources)
    codec = fit_codec(training, network.code_channels, loop.seed)
    run = DiffusionRun(network, loop, vocabulary, codec, training, held_out)
    velocity, figures = train_velocity(run, folder / NAME, where, report)
    held = 0 if held_out is None else len(held_out)
    model = DiffusionModel(
        velocity.cpu(),
        codec,
        vocabulary,
        int(options["resolution"]),
        learned_habits(training),
        training.grey_modalities(),
        notes={
            "pictures": training.counts(),
            "held_out": held,
            **figures,
            "seen": figures["steps"] * loop.batch_size,
        },
        trained_on=f"{len(training)} pictures of {', '.join(vocabulary.modality)}, {held} held out by patient",
    )
    target = (publish_to or folder) / f"{NAME}{ENDING}"
    digest = model.save(target)
    unseen = () if held_out is None else held_out.shown(model.grey)
    store_reference(target, training.shown(model.grey), unseen)
    return {
        "generator": "diffusion", "weights": target.name, "weights_sha256": digest, **figures,
        "left_out": list(training.left_out),
    }  # fmt: skip


def _pictures(data: Path, options: Mapping[str, Any]) -> tuple[Pictures, Pictures | None]:
    found, _ = find_pictures(data, str(options["modality"]))
    training, held_out = split_pictures(found, str(options["validation"]))
    side, framing = int(options["resolution"]), str(options["framing"])
    return (
        read_pictures(training, side, framing=framing),
        read_pictures(held_out, side, framing=framing) if held_out else None,
    )


def _network(options: Mapping[str, Any]) -> NetworkConfiguration:
    try:
        channels = tuple(int(part) for part in str(options["channels"]).split(","))
    except ValueError as error:
        raise InvalidValueError(
            f"channels: {options['channels']!r} must be whole numbers like 64,96,160"
        ) from error
    resolution = int(options["resolution"])
    step = PATCH * 2 ** (len(channels) - 1)
    if resolution % step:
        raise InvalidValueError(
            f"resolution: {resolution} must be a multiple of {step} with {len(channels)} levels"
        )
    # At the finest level every place would look at every other: too dear for what it gives.
    attention = tuple(level > 0 or len(channels) == 1 for level in range(len(channels)))
    return NetworkConfiguration(
        int(options["code_channels"]), channels, attention,
        prior_axes=int(options["prior_axes"]), side=resolution // PATCH,
    )  # fmt: skip


def _loop(options: Mapping[str, Any]) -> LoopConfiguration:
    resolution, levels = int(options["resolution"]), len(str(options["channels"]).split(","))
    halves = (resolution // 2) % (PATCH * 2 ** (levels - 1)) == 0
    return LoopConfiguration.from_options(options, resolution, halves, longest_warmup=100)
