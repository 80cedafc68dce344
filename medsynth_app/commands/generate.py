"""``medsynth generate``: synthetic data as files, by any generator of the catalogue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from medsynth_app.commands.support.results import console, progress_bar, store_json
from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.imaging.studies.studies import check_case_name
from medsynth_app.library.hosts import with_host
from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.conditions import parse_seed
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.previews import preview_png
from medsynth_app.synthesis.weights import WeightsStore
from medsynth_app.synthesis.writing import write_case


def generate(
    task: Annotated[str, typer.Argument(help=f"What to make: {', '.join(CATALOGUE.tasks)}.")],
    folder: Annotated[Path, typer.Argument(help="Folder that takes the result, for example the studies.")],
    name: Annotated[str, typer.Option(help="Name of the result; made of the seed by default.")] = "",
    seed: Annotated[int, typer.Option(help="The same seed and conditions give the same voxels.")] = 0,
    count: Annotated[int, typer.Option(help="How many, of seeds that follow each other.", min=1)] = 1,
    generator: Annotated[str, typer.Option(help="Which generator of the task; its first by default.")] = "",
    condition: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, e.g. volume_type=ct_chest, severity=0.7; repeatable.")
    ] = None,
    image: Annotated[Path | None, typer.Option(help="Input image, for tasks that take one.", exists=True)] = None,
    label: Annotated[Path | None, typer.Option(help="Input mask, for tasks that take one.", exists=True)] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Write a PNG of three planes beside it.")] = False,
    weights: Annotated[Path | None, typer.Option(help="Folder with weights trained by you.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write seeds and conditions to this file.")
    ] = None,
) -> None:
    """Make synthetic images; each says in its header that it is synthetic."""
    row = CATALOGUE.row(task, generator)
    named, host = with_host(parse_conditions(condition or []))
    conditions = row.conditions.parse(named)
    store = WeightsStore.of(weights)
    made = row.build(store)
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    with progress_bar() as bar:
        for each in bar.track(range(parse_seed(seed), parse_seed(seed) + count), description=task):
            result = made.generate(GenerationRequest(each, conditions, image, label, host))
            stem = check_case_name((name or f"synthetic-{task}-{each}") + (f"-{each}" if name and count > 1 else ""))
            path = write_case(result, folder, stem)
            if preview:
                with whole_file(folder / f"{stem}-preview.png") as beside:
                    beside.write_bytes(preview_png(result))
            records.append({"name": path.name, **result.facts, **result.mark.as_dict()})
    for record in records:
        console.print(f"{record['name']}: seed {record['seed']}")
    store_json(records[0] if count == 1 else {"results": records}, json_file)


def parse_conditions(pairs: list[str]) -> dict[str, Any]:
    """``NAME=VALUE`` texts; a value is JSON where it can be read as such, else the text itself.

    Raises:
        InvalidValueError: a text of another form.
    """
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
