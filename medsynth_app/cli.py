"""``medsynth ...``: the same jobs for scripts. Parses, calls, prints; everything else is elsewhere."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from medsynth_app import __version__
from medsynth_app.commands import benchmark, cross_check, dicom, doctor, evaluate, generate, hospitals, train
from medsynth_app.commands.server_process import server_environment
from medsynth_app.errors import MedSynthError
from medsynth_app.vocabulary import RESEARCH_NOTICE

application = typer.Typer(
    help=f"MedSynth {__version__}: brain-tumour segmentation, medical image synthesis, symptom cross-check. "
    + RESEARCH_NOTICE,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
application.command("evaluate")(evaluate.evaluate)
application.command("doctor")(doctor.doctor)
application.command("cross-check")(cross_check.cross_check)
application.command("dicom")(dicom.dicom)
application.add_typer(hospitals.application, name="hospitals")
application.add_typer(train.application, name="train")
application.add_typer(generate.application, name="generate")
application.add_typer(benchmark.application, name="benchmark")

APP_FOLDER = Path(__file__).resolve().parents[1] / "apps" / "medsynth"
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


@application.command()
def serve(
    studies: Annotated[str, typer.Option(help="Studies folder, or URL of a DICOMweb server.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    conf: Annotated[str, typer.Option(help='Settings of the application: "key value key value ...".')] = "",
    app: Annotated[Path, typer.Option(help="Folder of the MONAI Label application.")] = APP_FOLDER,
) -> None:
    """Start the MONAI Label server with MedSynth."""
    words = shlex.split(conf)
    if len(words) % 2:
        raise typer.BadParameter(f"must be pairs 'key value', got {conf!r}", param_hint="--conf")
    if not (app / "main.py").is_file():
        raise typer.BadParameter(f"{app.name!r} holds no MONAI Label application", param_hint="--app")
    if host not in LOCAL_HOSTS:
        Console(stderr=True).print(
            f"Listening on {host}: everybody on the network can read and change the studies."
        )
    pairs = [part for key, value in zip(words[::2], words[1::2]) for part in ("--conf", key, value)]
    arguments = [
        "start_server",
        "--app",
        str(app),
        "--studies",
        studies,
        "--host",
        host,
        "--port",
        str(port),
        *pairs,
    ]
    environment = {**os.environ, **server_environment(app)}
    command = [sys.executable, "-W", "ignore", "-m", "monailabel.main", *arguments]
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is what we want


def main() -> None:
    """Entry point; deliberate errors become one line and exit status 2."""
    try:
        application()
    except MedSynthError as error:
        Console(stderr=True).print(f"[red]medsynth:[/red] {error.message}", highlight=False)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
