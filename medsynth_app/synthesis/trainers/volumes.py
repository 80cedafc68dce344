"""``medsynth train volume_synthesis``: a user's folder -> autoencoder (stage ``vae``), then diffusion of its codes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.options import Option
from medsynth_app.synthesis.data.volumes import Cubes, find_volumes, read_cubes, split
from medsynth_app.synthesis.latent_flow.network import FlowConfiguration
from medsynth_app.synthesis.latent_flow.training import Codes, train_flow
from medsynth_app.synthesis.measures.privacy import store_reference
from medsynth_app.synthesis.phantoms.request import VOLUME_KINDS
from medsynth_app.synthesis.training.loop import LoopConfiguration, ReportTraining, channels_of
from medsynth_app.synthesis.training.peak_memory import peak_memory_gb
from medsynth_app.synthesis.vae_gan.generator import load_vae, weights_name
from medsynth_app.synthesis.vae_gan.network import VaeConfiguration, VolumeAutoencoder, encode_mean
from medsynth_app.synthesis.vae_gan.training import LossWeights, VaeRun, train_vae
from medsynth_app.synthesis.vae_gan.transforms import with_copies
from medsynth_app.synthesis.weights import ENDING

STAGES = ("vae", "diffusion")
TRAINER_OPTIONS = (
    Option("stage", "vae", "The autoencoder, or the diffusion of its codes.", STAGES),
    Option("volume_type", "mri_brain", "What the volumes show.", VOLUME_KINDS),
    Option("sequence", "", "Only image files named ..._SEQUENCE, for example flair; empty = all."),
    Option("validation", "", "Beginnings of names that are held out; empty = a fifth by the seed."),
    Option("resolution", 64, "Voxels a side.", minimum=16, maximum=256),
    Option("channels", "16,32", "Of each level of the network; the first has half of the side."),
    Option("flow_channels", "32,64", "Of each level of the diffusion's network, multiples of 16."),
    Option("copies", 0, "Warped copies of each volume, whose codes are learned too.", minimum=0, maximum=1000),
    Option("warp", 0.015, "How strongly copies are warped, as a share of the side.", minimum=0, maximum=0.1),
    Option("latent_channels", 4, "Of the code.", minimum=1, maximum=64),
    Option("steps", 2000, "Updates in all.", minimum=1, maximum=10_000_000),
    Option("batch_size", 2, "Volumes an update.", minimum=1, maximum=1024),
    Option("learning_rate", 1e-3, "Top of the schedule.", minimum=1e-7, maximum=0.5),
    Option(
        "grow_until",
        0,
        "Update until which it trains at half the resolution; 0 = never.",
        minimum=0,
        maximum=10**7,
    ),
    Option("adversarial_from", 400, "Update at which the discriminator joins.", minimum=0, maximum=10**7),
    Option("perceptual", 0.05, "Weight of the perceptual loss; 0 = without.", minimum=0, maximum=100),
    Option("validate_every", 100, "Updates between validations.", minimum=1, maximum=10**6),
    Option("patience", 0, "Validations without gain until it stops; 0 = never.", minimum=0, maximum=10**6),
    Option("ema_decay", 0.99, "Of the moving average of the weights.", minimum=0, maximum=0.99999),
    Option("checkpointing", False, "Less memory, a third more time."),
    Option("mixed_precision", False, "bfloat16 where the hardware has it and learns rightly."),
    Option("seed", 0, "Makes a run repeatable.", minimum=0, maximum=2**31),
)


def train_volume_synthesis(
    data: Path,
    folder: Path,
    options: Mapping[str, Any],
    publish_to: Path | None,
    device: str | None,
    report: ReportTraining,
) -> dict[str, Any]:
    """One stage of the training; the same call goes on with an earlier run.

    Args:
        data: the user's volumes.
        folder: checkpoints, and the weights where they are not published.
        options: of ``TRAINER_OPTIONS``.
        publish_to: folder for the finished weights.
        device: ``cpu`` or ``cuda``; None = the best there is.
        report: told about progress.

    Returns:
        Figures with JSON values, among them ``peak_memory_gb``.

    Raises:
        InvalidValueError: an option, or a folder without fitting volumes.
    """
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    volume_type, resolution = str(options["volume_type"]), int(options["resolution"])
    configuration = VaeConfiguration(
        resolution,
        channels_of(options["channels"]),
        int(options["latent_channels"]),
        bool(options["checkpointing"]),
    )
    # One volume alone has no spread of codes to draw from.
    volumes = find_volumes(data, str(options["sequence"]), 1 if options["copies"] else 2)
    training, validation = split(volumes, str(options["validation"]), int(options["seed"]))
    cubes = read_cubes(training, resolution, volume_type)
    held_out = read_cubes(validation, resolution, volume_type) if validation else Cubes(cubes.array[:0], (), ())
    counted = "1 volume" if len(cubes.array) == 1 else f"{len(cubes.array)} volumes"
    copied = f" and {options['copies']} warped copies of each" if options["copies"] else ""
    trained_on = f"{counted} of {data.name}{_of(options)}{copied}, {len(held_out.array)} held out"
    into = publish_to or folder
    stage_folder = folder / f"{options['stage']}-{volume_type}"
    autoencoder = into / f"{weights_name('vae_gan', volume_type)}{ENDING}"
    if options["stage"] == "diffusion":
        facts = {"trained_on": trained_on, "volume_type": volume_type}
        target = into / f"{weights_name('diffusion', volume_type)}{ENDING}"
        figures = _train_flow(
            autoencoder, cubes, held_out, facts, options, stage_folder, target, where, report
        )
        return {"stage": "diffusion", "weights": target.name, **figures, "peak_memory_gb": peak_memory_gb(where)}
    run = VaeRun(
        configuration=configuration,
        losses=LossWeights(
            adversarial_from=int(options["adversarial_from"]), perceptual=float(options["perceptual"])
        ),
        loop=_loop(options, configuration),
        volume_type=volume_type,
        training=cubes.array,
        validation=held_out.array,
        sequences=cubes.sequences if cubes.kinds else (),
        spacing_mm=float(np.mean(cubes.spacings)),
        trained_on=trained_on,
        copies=int(options["copies"]),
        warp=float(options["warp"]),
    )
    figures = train_vae(run, stage_folder, autoencoder, where, report)
    return {"stage": "vae", "weights": autoencoder.name, **figures, "peak_memory_gb": peak_memory_gb(where)}


def _train_flow(
    autoencoder: Path,
    cubes: Cubes,
    held_out: Cubes,
    facts: Mapping[str, Any],
    options: Mapping[str, Any],
    folder: Path,
    target: Path,
    device: torch.device,
    report: ReportTraining,
) -> dict[str, Any]:
    """The second stage, on the codes of the first."""
    if not autoencoder.is_file():
        raise InvalidValueError(
            f"stage: diffusion needs {autoencoder.name} of the stage vae; train that first"
        )
    vae, stored = load_vae(autoencoder)
    shape = VaeConfiguration.from_dict(stored.configuration)
    if cubes.array.shape[-1] != shape.resolution:
        raise InvalidValueError(
            f"resolution: {cubes.array.shape[-1]} differs from that of {autoencoder.name}, {shape.resolution}"
        )
    known = tuple(str(name) for name in stored.notes.get("sequences", ()))
    flow = FlowConfiguration(shape.latent_channels, channels_of(options["flow_channels"]), known)
    learned = _codes(
        vae.to(device), cubes, known, int(options["copies"]), float(options["warp"]), int(options["seed"])
    )
    if not len(learned.array):
        raise InvalidValueError(f"data: holds none of the sequences that {autoencoder.name} was trained on")
    kept = _codes(vae, held_out, known)
    figures = train_flow(
        flow, _loop(options, shape), learned, kept, stored, facts, folder, target, device, report
    )
    store_reference(target, cubes.array, held_out.array)
    return figures


def _codes(
    vae: VolumeAutoencoder,
    cubes: Cubes,
    known: tuple[str, ...],
    copies: int = 0,
    warp: float = 0.0,
    seed: int = 0,
) -> Codes:
    """Codes of volumes as they are, and of so many warped copies of each; of known sequences only."""
    rows = [row for row, name in enumerate(cubes.sequences) if not known or name in known]
    if not rows:
        shape = vae.configuration.latent_shape
        return Codes(torch.zeros(0, *shape), torch.zeros(0, dtype=torch.long))
    all_cubes = with_copies(torch.from_numpy(cubes.array[rows]), copies, warp, seed)
    kinds = torch.tensor([known.index(cubes.sequences[row]) if known else 0 for row in rows])
    return Codes(encode_mean(vae, all_cubes), kinds.repeat(1 + copies))


def _loop(options: Mapping[str, Any], configuration: VaeConfiguration) -> LoopConfiguration:
    half = configuration.resolution // 2
    halves = half >= 16 and half % configuration.downsampling == 0
    return LoopConfiguration.from_options(options, configuration.resolution, halves, longest_warmup=50)


def _of(options: Mapping[str, Any]) -> str:
    return f" ({options['sequence']})" if options["sequence"] else ""
