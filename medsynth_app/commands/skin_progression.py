"""``medsynth skin-progression``: the simulated course of a skin lesion as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medsynth_app.commands.results import console, store_json
from medsynth_app.files import whole_file
from medsynth_app.synthesis.skin.course import progress
from medsynth_app.synthesis.skin.models import SHIPPED_FOLDER, CourseModels


def skin_progression(
    picture: Annotated[Path, typer.Argument(help="Dermatoscopic photograph, PNG or JPEG.", exists=True)],
    folder: Annotated[Path, typer.Argument(help="Where contact sheet, animation and record go.")],
    direction: Annotated[str, typer.Option(help="Name of a direction; empty = strongest.")] = "",
    alpha_from: Annotated[float, typer.Option(help="Start of the walk, -6 to 6.")] = 0.0,
    alpha_to: Annotated[float, typer.Option(help="End of the walk, -6 to 6.")] = 3.0,
    steps: Annotated[int, typer.Option(help="Pictures, 2 to 33.")] = 9,
    refinement_steps: Annotated[int, typer.Option(help="Steps of descent after the encoder.")] = 0,
    framing: Annotated[str, typer.Option(help="crop or pad.")] = "crop",
    plot: Annotated[bool, typer.Option("--plot", help="Also draw the curves.")] = False,
    weights: Annotated[
        Path | None, typer.Option(help="Folder of a training; the shipped by default.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the record to this file.")] = None,
) -> None:
    """Walk from a lesion towards melanoma: a visual simulation without longitudinal truth."""
    answer = progress(
        CourseModels.load(weights or SHIPPED_FOLDER),
        picture,
        {
            "direction": direction,
            "alpha_from": alpha_from,
            "alpha_to": alpha_to,
            "steps": steps,
            "refinement_steps": refinement_steps,
            "framing": framing,
            "result": "curve" if plot else "contact_sheet",
        },
    )
    for name, content in answer.files.items():
        with whole_file(folder / name) as beside:
            beside.write_bytes(content)
    facts = answer.facts
    console.print(
        f"{facts['direction']}: melanoma probability "
        f"{facts['steps'][0]['melanoma_probability']:.2f} -> {facts['steps'][-1]['melanoma_probability']:.2f}, "
        f"reconstruction error {facts['squared_error']:.4f}. {facts['simulation']}"
    )
    store_json(facts, json_file)
