"""``medsynth generate``: synthetic data as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from medsynth_app.commands.results import console, store_json
from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.tumor.generator import generate_tumor_case
from medsynth_app.synthesis.tumor.request import TumorCaseRequest
from medsynth_app.synthesis.tumor.saving import save_tumor_case

application = typer.Typer(help="Make synthetic data.", no_args_is_help=True)


@application.callback()
def _group() -> None:
    """Make synthetic data."""


@application.command("tumor_case_synthesis")
def tumor_case_synthesis(
    folder: Annotated[Path, typer.Argument(help="Studies folder; the case becomes a folder in it.")],
    name: Annotated[str, typer.Option(help="Name of the case; made of the seed by default.")] = "",
    seed: Annotated[int, typer.Option(help="The same seed and conditions give the same voxels.")] = 0,
    condition: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, e.g. volume_ml=40, side=left, grade=2; repeatable.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write seed and conditions to this file.")
    ] = None,
) -> None:
    """Make a labelled four-sequence brain-tumour case."""
    request = TumorCaseRequest.from_parameters({"seed": seed, **_conditions(condition or [])})
    case = generate_tumor_case(request)
    folder.mkdir(parents=True, exist_ok=True)
    path = save_tumor_case(case, folder, name or f"synthetic-{seed}")
    volumes = "  ".join(f"{label} {volume:.1f} ml" for label, volume in case.volumes_ml.items())
    console.print(f"{path.name}: {volumes}")
    store_json({"name": path.name, "volumes_ml": case.volumes_ml, **case.mark.as_dict()}, json_file)


def _conditions(pairs: list[str]) -> dict[str, Any]:
    """``NAME=VALUE`` texts; a value is JSON where it can be read as such, else the text itself."""
    conditions: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InvalidValueError(f"condition: {pair!r} must be NAME=VALUE")
        try:
            conditions[name] = json.loads(value)
        except ValueError:
            conditions[name] = value
    return conditions
