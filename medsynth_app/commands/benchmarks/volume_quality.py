"""``medsynth benchmark volume-quality``: how near learned volumes come to real ones, and what the autoencoder keeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.table import Table

from medsynth_app.commands.support.results import console, progress_bar, store_json
from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.data.volumes import (
    Cubes,
    SourceVolume,
    find_volumes,
    read_cubes,
    rescaled,
    split,
)
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.measures.features import PhotographFeatures, slice_features
from medsynth_app.synthesis.measures.volume_quality import compared_volumes
from medsynth_app.synthesis.vae_gan.generator import load_vae, weights_name
from medsynth_app.synthesis.vae_gan.losses import TissueModel, anatomical_consistency
from medsynth_app.synthesis.vae_gan.training import reconstruction_figures
from medsynth_app.synthesis.weights import WeightsStore

TASK = "volume_synthesis"
GENERATORS = "vae_gan,diffusion"


def volume_quality(
    folder: Annotated[Path, typer.Argument(help="Real volumes: those of the training and held-out ones.")],
    validation: Annotated[str, typer.Option(help="Beginnings of the held-out names, by commas.")],
    volume_type: Annotated[str, typer.Option(help="What they show.")] = "mri_brain",
    weights: Annotated[Path | None, typer.Option(help="Folder with weights trained by you.")] = None,
    generators: Annotated[str, typer.Option(help=f"Some of {GENERATORS}.")] = GENERATORS,
    count: Annotated[int, typer.Option(help="Volumes of each sequence by each generator.", min=2)] = 6,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Reconstruction of held-out volumes; KID, Frechet distance and anatomy of made ones, beside real-vs-real."""
    store = WeightsStore.of(weights)
    vae, stored = load_vae(store.require(weights_name("vae_gan", volume_type), f"vae_gan of {volume_type}"))
    training, held_out = split(find_volumes(folder), validation, 0)
    sequences = tuple(str(name) for name in stored.notes.get("sequences", ())) or ("",)
    known, kept = (
        _read(part, vae.configuration.resolution, volume_type, sequences) for part in (training, held_out)
    )
    result: dict[str, Any] = {
        "training_volumes": len(known.array), "held_out_volumes": len(kept.array),
        "reconstruction": reconstruction_figures(vae, torch.from_numpy(kept.array)), "generators": {},
    }  # fmt: skip
    real = {"sequence_accuracy_real": sequence_accuracy(kept, known)}
    names = [name.strip() for name in generators.split(",") if name.strip()]
    with progress_bar() as bar:
        task = bar.add_task("volumes", total=len(names) * len(sequences) * count)
        for name in names:
            begin = time.process_time()
            made = _made(name, volume_type, sequences, count, store, lambda: bar.advance(task))
            seconds = (time.process_time() - begin) / len(made.array)
            figures = _figures(made, known, kept, sequences)
            result["generators"][name] = {**figures, **real, "cpu_seconds": round(seconds, 2)}
    _show(result)
    store_json(result, json_file)


def _read(volumes: Sequence[SourceVolume], resolution: int, volume_type: str, sequences: Sequence[str]) -> Cubes:
    """Of the sequences that the weights know; all count as one where they know none."""
    if sequences == ("",):
        volumes = [replace(volume, sequence="") for volume in volumes]
    wanted = [volume for volume in volumes if volume.sequence in sequences]
    if not wanted:
        raise InvalidValueError(f"data: no volume is of a sequence that the weights know: {', '.join(sequences)}")
    return read_cubes(wanted, resolution, volume_type)


def _made(
    generator: str,
    volume_type: str,
    sequences: Sequence[str],
    count: int,
    store: WeightsStore,
    on_done: Callable[[], None],
) -> Cubes:
    row = CATALOGUE.row(TASK, generator)
    built = row.build(store)
    cubes, asked = [], []
    for place, sequence in enumerate(sequences):
        conditions = row.conditions.parse({"volume_type": volume_type, "sequence": sequence})
        for number in range(count):
            # Every volume its own seed, so that no two sequences show the same head.
            result = built.generate(GenerationRequest(count * place + number, conditions))
            cubes.append(rescaled(result.array, volume_type))
            asked.append(sequence)
            on_done()
    return Cubes(np.stack(cubes), (), tuple(asked))


def _figures(made: Cubes, known: Cubes, kept: Cubes, sequences: Sequence[str]) -> dict[str, Any]:
    """Sequence -> figures, their mean, and how often the asked sequence is what was made."""
    rows = {}
    for sequence in sequences:
        ours, training, others = (_of(cubes, sequence) for cubes in (made, known, kept))
        real = np.concatenate([training, others])
        rows[sequence or "all"] = {
            **compared_volumes(list(ours[:, 0]), list(real[:, 0])),
            "anatomy": anatomy(ours, others),
            "anatomy_real": anatomy(training[: len(ours)], others),
        }
    names = ("kid", "kid_floor", "frechet", "frechet_floor", "coverage", "coverage_real", "anatomy", "anatomy_real")
    means = {name: float(np.mean([row[name] for row in rows.values()])) for name in names}
    return {"mean": means, **rows, "sequence_accuracy": sequence_accuracy(made, known)}


def _of(cubes: Cubes, sequence: str) -> np.ndarray:
    return cubes.array[[name == sequence for name in cubes.sequences]]


def anatomy(made: np.ndarray, held_out: np.ndarray) -> float:
    """Mean over held-out volumes of the best soft Dice of tissue classes with any of the others.

    How well does one of these heads explain a head that nobody trained on? With as many real training volumes in place
    of the made ones it says how well another patient does.

    Args:
        made / held_out: (N, 1, R, R, R), 0..1.
    """
    tissues, heads = TissueModel(), torch.from_numpy(made)
    best = []
    for wanted in torch.from_numpy(held_out):
        misses = [float(anatomical_consistency(head[None], wanted[None], tissues)) for head in heads]
        best.append(1.0 - min(misses))
    return float(np.mean(best))


def sequence_accuracy(made: Cubes, real: Cubes) -> float:
    """Share of volumes that are what was asked for, as the nearest sequence mean of real volumes' features says."""
    network = PhotographFeatures()
    known, asked = (slice_features(list(cubes.array[:, 0]), network) for cubes in (real, made))
    names = sorted(set(real.sequences))
    means = np.stack([known[[name == one for one in real.sequences]].mean(axis=0) for name in names])
    spread = known.std(axis=0) + 1e-6
    distances = np.square((asked[:, None] - means[None]) / spread).sum(axis=-1)
    found = [names[place] for place in distances.argmin(axis=1)]
    return float(np.mean([one == wanted for one, wanted in zip(found, made.sequences)]))


def _show(result: dict[str, Any]) -> None:
    kept = result["reconstruction"]
    console.print(
        f"reconstruction  {kept['psnr']:.2f} dB, SSIM {kept['ssim']:.3f}; {result['held_out_volumes']} held-out volumes"
    )
    columns = ("KID", "floor", "Frechet", "floor", "coverage", "anatomy", "real", "sequence", "real", "CPU s")
    table = Table("generator", *columns)
    for name, rows in result["generators"].items():
        mean = rows["mean"]
        table.add_row(
            name, *(f"{mean[key]:.2f}" for key in ("kid", "kid_floor", "frechet", "frechet_floor", "coverage")),
            f"{mean['anatomy']:.3f}", f"{mean['anatomy_real']:.3f}", f"{rows['sequence_accuracy']:.2f}",
            f"{rows['sequence_accuracy_real']:.2f}", str(rows["cpu_seconds"]),
        )  # fmt: skip
    console.print(table)
