"""``medsynth ...``: the same jobs for scripts. Each command is imported when it is called."""

from __future__ import annotations

import typer
from rich.console import Console

from medsynth_app import __version__
from medsynth_app.commands.support.lazy_group import CommandPlace, lazy_group
from medsynth_app.errors import MedSynthError
from medsynth_app.vocabulary import RESEARCH_NOTICE

COMMANDS = {
    "serve": CommandPlace(
        "medsynth_app.commands.serve", "serve",
        "Start the MONAI Label server with MedSynth.",
    ),
    "segment": CommandPlace(
        "medsynth_app.commands.segment", "segment",
        "Segment studies, raw or prepared: NAME_seg.nii.gz, labels 0..3, on the grid of the reference series.",
    ),
    "prepare": CommandPlace(
        "medsynth_app.commands.segment", "prepare",
        "Raw studies -> BraTS-style cases (co-registered, brain only, 1 mm), with transforms and preparation.json.",
    ),
    "evaluate": CommandPlace(
        "medsynth_app.commands.evaluate", "evaluate",
        "Segment labelled cases and report Dice, IoU, sensitivity, specificity and HD95 for WT, TC and ET.",
    ),
    "batch": CommandPlace(
        "medsynth_app.commands.batch", "application",
        "Many studies or synthetic cases; the same command again goes on.",
    ),
    "doctor": CommandPlace(
        "medsynth_app.commands.doctor", "doctor",
        "Check Python, packages, processor, memory, devices and weights; exit status 1 if something is missing.",
    ),
    "cross-check": CommandPlace(
        "medsynth_app.commands.cross_check", "cross_check",
        "Cross-check symptoms with the tumour of a case. Research and education only.",
    ),
    "dicom": CommandPlace(
        "medsynth_app.commands.dicom", "dicom",
        "Turn a case into a DICOM study: one MR series a sequence, right geometry, the same UIDs every time.",
    ),
    "skin-progression": CommandPlace(
        "medsynth_app.commands.skin_progression", "skin_progression",
        "Walk from a lesion towards melanoma: a visual simulation without longitudinal truth.",
    ),
    "generate": CommandPlace(
        "medsynth_app.commands.generate", "generate",
        "Make synthetic images; each says in its header that it is synthetic.",
    ),
    "users": CommandPlace(
        "medsynth_app.commands.users", "application",
        "Users of the server. Once there is one, a login is needed.",
    ),
    "hospitals": CommandPlace(
        "medsynth_app.commands.hospitals", "application",
        "The hospital directory.",
    ),
    "train": CommandPlace(
        "medsynth_app.commands.train", "application",
        "Train a model on your own data.",
    ),
    "benchmark": CommandPlace(
        "medsynth_app.commands.benchmarks.application", "application",
        "Measure MedSynth's claims on this machine.",
    ),
}
"""Name -> where it lives, in the order of the help."""

application = typer.Typer(
    cls=lazy_group(COMMANDS),
    help=f"MedSynth {__version__}: brain-tumour segmentation, medical image synthesis, symptom cross-check. "
    + RESEARCH_NOTICE,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@application.callback()
def _group() -> None:  # help stands above
    pass


def main() -> None:
    """Entry point; deliberate errors become one line and exit status 2."""
    try:
        application()
    except MedSynthError as error:
        Console(stderr=True).print(f"[red]medsynth:[/red] {error.message}", highlight=False)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
