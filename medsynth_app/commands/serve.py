"""``medsynth serve``: starts MONAI Label with MedSynth's application.

``python -m medsynth_app.commands.serve`` does the same without loading the other commands (some seconds less).
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from medsynth_app.accounts import default_users_file
from medsynth_app.commands.support.server_process import server_environment
from medsynth_app.options import TRUE_WORDS

APP_FOLDER = Path(__file__).resolve().parents[2] / "apps" / "medsynth"
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


def serve(
    studies: Annotated[str, typer.Option(help="Studies folder, or URL of a DICOMweb server.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    conf: Annotated[str, typer.Option(help='Settings of the application: "key value key value ...".')] = "",
    users: Annotated[
        Path | None, typer.Option(help="Users file (`medsynth users`); with one, a login is needed.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Without a login, answer every machine on the network.")
    ] = False,
    tls_certificate: Annotated[Path | None, typer.Option(help="Certificate (PEM): answer over HTTPS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    app: Annotated[Path, typer.Option(help="Folder of the MONAI Label application.")] = APP_FOLDER,
) -> None:
    """Start the MONAI Label server with MedSynth."""
    settings = _pairs(conf)
    if users is not None:
        settings["users"] = str(users.resolve())
    if insecure:
        settings["insecure"] = "true"
    if not (app / "main.py").is_file():
        raise typer.BadParameter(f"{app.name!r} holds no MONAI Label application", param_hint="--app")
    if host not in LOCAL_HOSTS:
        _check_open(host, settings)
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
        *_tls(tls_certificate, tls_key),
        *(part for key, value in settings.items() for part in ("--conf", key, value)),
    ]
    environment = {**os.environ, **server_environment(app)}
    command = [sys.executable, "-W", "ignore", "-m", "monailabel.main", *arguments]
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is what we want


def _pairs(conf: str) -> dict[str, str]:
    words = shlex.split(conf)
    if len(words) % 2:
        raise typer.BadParameter(f"must be pairs 'key value', got {conf!r}", param_hint="--conf")
    return dict(zip(words[::2], words[1::2]))


def _check_open(host: str, settings: Mapping[str, str]) -> None:
    """Other machines are answered with a login, or because the operator said so."""
    named = settings.get("users", "").strip()
    has_login = named.lower() != "none" and (Path(named) if named else default_users_file()).is_file()
    if has_login:
        return
    if settings.get("insecure", "").strip().lower() not in TRUE_WORDS:
        raise typer.BadParameter(
            f"{host} is open to other machines and the server has no users: add one with `medsynth users add NAME`, "
            "or say --insecure if everybody who reaches it may read and change the studies",
            param_hint="--host",
        )
    Console(stderr=True).print(
        f"Listening on {host} without a login: everybody on the network can read and change the studies."
    )


def _tls(certificate: Path | None, key: Path | None) -> list[str]:
    if certificate is None and key is None:
        return []
    if certificate is None or key is None:
        raise typer.BadParameter("--tls-certificate and --tls-key belong together", param_hint="--tls-certificate")
    for name, path in (("--tls-certificate", certificate), ("--tls-key", key)):
        if not path.is_file():
            raise typer.BadParameter(f"there is no file {path.name!r}", param_hint=name)
    return ["--ssl_certfile", str(certificate.resolve()), "--ssl_keyfile", str(key.resolve())]


if __name__ == "__main__":
    typer.run(serve)
