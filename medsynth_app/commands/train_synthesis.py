"""``medsynth train NAME`` for the generators of the catalogue; the same command again goes on after a stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from medsynth_app.commands.support.results import TrainingDisplay, console, left_out_words, store_json
from medsynth_app.errors import InvalidValueError
from medsynth_app.options import Option, parse_options
from medsynth_app.synthesis.catalogue import CATALOGUE, TrainerRow, TrainingRequest
from medsynth_app.synthesis.training.loop import TrainingProgress


def register(application: typer.Typer) -> None:
    """One command a trainer."""
    for name in CATALOGUE.trainer_names:
        row = CATALOGUE.trainer(name)
        application.command(name, help=f"{row.description} {_help(row)}")(_command(row))


def _help(row: TrainerRow) -> str:
    words = "; ".join(f"{option.name} ({option.default!r}): {option.description}" for option in row.options)
    return f"Options for --set NAME=VALUE: {words}"


def _command(row: TrainerRow) -> Callable[..., None]:
    def train(
        data: Annotated[Path, typer.Argument(help="Folder with your images.", exists=True)],
        folder: Annotated[Path, typer.Option(help="Where checkpoints and weights go.")],
        stage: Annotated[str, typer.Option(help="The same as --set stage=...")] = "",
        settings: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE; repeatable.")] = None,
        publish: Annotated[Path | None, typer.Option(help="Folder that takes the finished weights.")] = None,
        device: Annotated[str | None, typer.Option(help="cpu or cuda; the best there is by default.")] = None,
        json_file: Annotated[
            Path | None, typer.Option("--json", help="Write the figures to this file.")
        ] = None,
    ) -> None:
        given = _settings([*(settings or []), *([f"stage={stage}"] if stage else [])], row.options)
        options = parse_options(row.options, given)[0]
        with TrainingDisplay() as display:

            def report(progress: TrainingProgress) -> None:
                words = "  ".join(f"{name} {value:.4g}" for name, value in progress.figures.items())
                words += left_out_words(progress.left_out)
                note = json.dumps(dict(progress.validation)) if progress.validation else ""
                display.show(progress.step, progress.steps, words, progress.seconds_left, note)

            figures = row.train(TrainingRequest(data, folder, options, publish, device), report)
        console.print_json(json.dumps(figures))
        store_json(figures, json_file)

    return train


def _settings(pairs: list[str], options: Any) -> dict[str, str]:
    known = [option.name for option in options if isinstance(option, Option)]
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in known:
            raise InvalidValueError(f"set: {pair!r} must be NAME=VALUE, names are {', '.join(known)}")
        settings[name] = value
    return settings
