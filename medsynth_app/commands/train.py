"""``medsynth train``: long runs that survive a kill; the same command again goes on."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer

from medsynth_app.commands import train_synthesis
from medsynth_app.commands.support.results import TrainingDisplay, console, left_out_words, show_left_out
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.studies.cases import find_cases, look_for_cases
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS
from medsynth_app.segmentation.network import NetworkConfiguration
from medsynth_app.segmentation.training.advice import advice
from medsynth_app.segmentation.training.augmentation import AugmentationConfiguration
from medsynth_app.segmentation.training.dataset import load_cases
from medsynth_app.segmentation.training.distributed import launch
from medsynth_app.segmentation.training.loop import Progress, Trainer, TrainingConfiguration
from medsynth_app.segmentation.training.tracking import Tracker
from medsynth_app.segmentation.training.validation_cases import check_validation_cases
from medsynth_app.segmentation.weights import load_weights

MISSING_SEQUENCE = ("refuse", "blank")
SHIPPED = Path("shipped")

application = typer.Typer(help="Train a model on your own data.", no_args_is_help=True)


@application.callback()
def _group() -> None:
    """Train a model on your own data."""


@application.command("brain_tumor_segmentation")
def brain_tumor_segmentation(
    cases_dir: Annotated[Path, typer.Argument(help="BraTS-style case folders with _seg or -seg.")],
    folder: Annotated[Path, typer.Option(help="Where checkpoints and the best weights go.")],
    validation: Annotated[str, typer.Option(help="Names of the validation cases, separated by commas.")] = "",
    network: Annotated[
        str, typer.Option(help="unet, subpixel_unet, segresnet or dynunet.")
    ] = "subpixel_unet",
    width: Annotated[int, typer.Option(help="Channels of the first level.")] = 32,
    dropout: Annotated[float, typer.Option(help="Probability of dropping a channel.")] = 0.0,
    norm: Annotated[
        str, typer.Option(help="batch (its statistics are kept: patches and whole heads agree) or instance.")
    ] = "batch",
    contrast_withheld: Annotated[
        float, typer.Option(help="Share of patches with enhancing tumour that become ones without.")
    ] = 0.05,
    foreign_tumor: Annotated[
        float, typer.Option(help="Share of patches into which another case's tumour is put.")
    ] = 0.35,
    sequence_dropout: Annotated[
        float, typer.Option(help="Share of patches in which each sequence is blanked, so that it may be missing.")
    ] = 0.25,
    missing_sequence: Annotated[
        str, typer.Option(help="Cases that lack sequences: refuse (they are left out) or blank.")
    ] = "refuse",
    modalities: Annotated[str, typer.Option(help="Sequences to read, in order.")] = "flair,t1,t1ce,t2",
    loss: Annotated[
        str, typer.Option(help="region_dice_ce, dice, focal, dice_focal or dice_ce.")
    ] = "region_dice_ce",
    steps: Annotated[int, typer.Option(help="Optimizer updates in all.")] = 2000,
    patch_size: Annotated[str, typer.Option(help="Sides of a patch, multiples of 32.")] = "96,96,96",
    batch_size: Annotated[int, typer.Option(help="Patches a forward pass.")] = 1,
    accumulation: Annotated[int, typer.Option(help="Forward passes an update.")] = 1,
    learning_rate: Annotated[float, typer.Option(help="Peak of the schedule.")] = 1.5e-3,
    ema_decay: Annotated[float, typer.Option(help="Of the moving average of the weights.")] = 0.995,
    validate_every: Annotated[int, typer.Option(help="Updates between validations.")] = 250,
    patience: Annotated[int, typer.Option(help="Validations without gain until it stops; 0 = never.")] = 0,
    seed: Annotated[int, typer.Option(help="Makes a run repeatable.")] = 0,
    initial_weights: Annotated[
        Path | None, typer.Option(help="Start from these weights; shipped = MedSynth's.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda; all GPUs, else the CPU by default.")
    ] = None,
    mlflow_uri: Annotated[
        str | None, typer.Option(help="mlflow tracking URI, e.g. sqlite:///mlflow.db.")
    ] = None,
) -> None:
    """Train the brain tumour segmentation; run the same command again to go on after a stop.

    Cases that cannot be used are listed with the reason; the training goes on without them.
    """
    chosen = tuple(modalities.split(","))
    found = look_for_cases(cases_dir).with_labels()
    cases = found.cases
    show_left_out(found.left_out)
    held_out = {name for name in validation.split(",") if name}
    unknown = held_out - {case.name for case in cases}
    if unknown:
        raise InvalidValueError(
            f"validation: {', '.join(sorted(unknown))} are no labelled cases of {cases_dir.name}"
        )
    configuration = TrainingConfiguration(
        network=NetworkConfiguration(network, chosen, width, dropout, norm),
        loss=loss,
        steps=steps,
        patch_size=_sides(patch_size),
        batch_size=batch_size,
        accumulation=accumulation,
        learning_rate=learning_rate,
        ema_decay=ema_decay,
        validate_every=validate_every,
        patience=patience,
        seed=seed,
        augmentation=AugmentationConfiguration(
            contrast_withheld_probability=contrast_withheld, sequence_dropout_probability=sequence_dropout,
            foreign_tumor_probability=foreign_tumor,
        ),  # fmt: skip
    )
    if missing_sequence not in MISSING_SEQUENCE:
        raise InvalidValueError(
            f"missing_sequence: {missing_sequence!r} must be one of {', '.join(MISSING_SEQUENCE)}"
        )
    if initial_weights == SHIPPED:
        initial_weights = SHIPPED_WEIGHTS
    check_validation_cases(cases, held_out)
    blanks = len(chosen) - 1 if missing_sequence == "blank" else 0
    run = Run(
        cases_dir, folder, tuple(sorted(held_out)), blanks, configuration, initial_weights, device, mlflow_uri
    )  # fmt: skip
    processes = torch.cuda.device_count() if device is None else 1
    launch(_train, max(processes, 1), run)


@dataclass(frozen=True)
class Run:
    """What every process of a training needs; picklable.

    Attributes:
        cases_dir: BraTS-style case folders.
        folder: where checkpoints go.
        validation: names of the cases kept for validation.
        blanks: how many sequences a training case may lack.
        configuration: the training.
        initial_weights: file to start from, or None.
        device: ``cpu`` or ``cuda``; None = the best there is.
        mlflow_uri: tracking URI, or None.
    """

    cases_dir: Path
    folder: Path
    validation: tuple[str, ...]
    blanks: int
    configuration: TrainingConfiguration
    initial_weights: Path | None
    device: str | None
    mlflow_uri: str | None


def _train(rank: int, run: Run) -> None:
    """One process of the training; only the first one talks."""
    cases = [case for case in find_cases(run.cases_dir) if case.label is not None]
    modalities = run.configuration.network.modalities
    kept = [case for case in cases if case.name not in run.validation]

    def left_out(name: str, reason: str) -> None:
        if rank == 0:
            show_left_out({name: reason})

    training = load_cases(kept, modalities, run.blanks, left_out)
    held_out = [case for case in cases if case.name in run.validation]
    validating = load_cases(held_out, modalities, on_left_out=left_out) if held_out and rank == 0 else []
    initial = load_weights(run.initial_weights)[0].state_dict() if run.initial_weights else None
    with ExitStack() as stack:
        tracker = None
        if rank == 0:
            tracker = stack.enter_context(Tracker(run.folder, run.mlflow_uri, asdict(run.configuration)))
        trainer = Trainer(run.configuration, training, validating, run.folder, initial, run.device, tracker)
        if rank != 0:
            trainer.run()
            return
        for sentence in advice(training, run.configuration, tuned=initial is not None):
            console.print(sentence)
        display = stack.enter_context(TrainingDisplay())

        def report(progress: Progress) -> None:
            scores = "  ".join(f"{name} {value:.3f}" for name, value in (progress.validation or {}).items())
            words = f"loss {progress.loss:.3f}{left_out_words(progress.left_out)}"
            display.show(progress.step, progress.steps, words, progress.seconds_left, scores)

        best = trainer.run(report)
    console.print(
        f"best mean Dice: {best:.4f}" if best is not None else "done; no validation cases were given"
    )


def _sides(text: str) -> tuple[int, int, int]:
    try:
        x, y, z = (int(part) for part in text.split(","))
    except ValueError as error:
        raise InvalidValueError(f"patch_size: {text!r} must be three whole numbers like 96,96,96") from error
    return x, y, z


train_synthesis.register(application)
