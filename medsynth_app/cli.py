"""``medsynth ...``: the same jobs for scripts. Parses, calls, prints; everything else is elsewhere."""

from __future__ import annotations

import typer
from rich.console import Console

from medsynth_app import __version__
from medsynth_app.commands import (
    cross_check,
    dicom,
    doctor,
    evaluate,
    generate,
    hospitals,
    segment,
    serve,
    skin_progression,
    train,
    users,
)
from medsynth_app.commands.benchmarks import application as benchmark
from medsynth_app.errors import MedSynthError
from medsynth_app.vocabulary import RESEARCH_NOTICE

application = typer.Typer(
    help=f"MedSynth {__version__}: brain-tumour segmentation, medical image synthesis, symptom cross-check. "
    + RESEARCH_NOTICE,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
application.command("serve")(serve.serve)
application.command("segment")(segment.segment)
application.command("prepare")(segment.prepare)
application.command("evaluate")(evaluate.evaluate)
application.command("doctor")(doctor.doctor)
application.command("cross-check")(cross_check.cross_check)
application.command("dicom")(dicom.dicom)
application.command("skin-progression")(skin_progression.skin_progression)
application.add_typer(users.application, name="users")
application.add_typer(hospitals.application, name="hospitals")
application.add_typer(train.application, name="train")
application.command("generate")(generate.generate)
application.add_typer(benchmark.application, name="benchmark")


def main() -> None:
    """Entry point; deliberate errors become one line and exit status 2."""
    try:
        application()
    except MedSynthError as error:
        Console(stderr=True).print(f"[red]medsynth:[/red] {error.message}", highlight=False)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
