"""``medsynth serve``: starts MONAI Label with MedSynth's application.

``python -m medsynth_app.commands.serve`` does the same without loading the other commands (some seconds less).
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from medsynth_app.commands.server_process import server_environment

APP_FOLDER = Path(__file__).resolve().parents[2] / "apps" / "medsynth"
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


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


if __name__ == "__main__":
    typer.run(serve)
