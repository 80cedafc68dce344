"""``medsynth skin-progression``: the simulated course of a skin lesion as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from medsynth_app.commands.support.results import console, progress_bar, store_json
from medsynth_app.files import whole_file
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.skin.generator import PROGRESSION_CONDITIONS, SkinLesionProgression
from medsynth_app.synthesis.skin.pictures import animation
from medsynth_app.synthesis.weights import WeightsStore
from medsynth_app.synthesis.writing import write_synthetic


def skin_progression(
    picture: Annotated[Path, typer.Argument(help="Dermatoscopic photograph, PNG or JPEG.", exists=True)],
    folder: Annotated[Path, typer.Argument(help="Where contact sheet, animation and record go.")],
    direction: Annotated[str, typer.Option(help="Empty = SeFa's strongest, melanoma = class to class.")] = "",
    alpha_from: Annotated[float, typer.Option(help="Start of the walk, -6 to 6.")] = 0.0,
    alpha_to: Annotated[float, typer.Option(help="End of the walk, -6 to 6.")] = 3.0,
    steps: Annotated[int, typer.Option(help="Pictures, 2 to 33.")] = 9,
    refinement_steps: Annotated[int, typer.Option(help="Steps of descent after the encoder.")] = 0,
    framing: Annotated[str, typer.Option(help="crop or pad.")] = "crop",
    plot: Annotated[bool, typer.Option("--plot", help="Also draw the curves.")] = False,
    weights: Annotated[Path | None, typer.Option(help="Folder with weights trained by you.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the record to this file too.")
    ] = None,
) -> None:
    """Walk from a lesion towards melanoma: a visual simulation without longitudinal truth."""
    conditions = {
        "direction": direction,
        "alpha_from": alpha_from,
        "alpha_to": alpha_to,
        "steps": steps,
        "refinement_steps": refinement_steps,
        "framing": framing,
    }
    store = WeightsStore.of(weights)
    generator = SkinLesionProgression(store)
    request = GenerationRequest(0, PROGRESSION_CONDITIONS.parse(conditions), picture)
    with progress_bar() as bar:
        task = bar.add_task("course", total=100)
        course = generator.course(request, lambda share: bar.update(task, completed=round(100 * share)))
        bar.update(task, completed=100)
    for shown in ("contact_sheet", "curve") if plot else ("contact_sheet",):
        asked = replace(request, conditions={**request.conditions, "picture": shown})
        result = generator.drawn(course, asked)
        write_synthetic(result, folder / f"{shown}.png")
    with whole_file(folder / "animation.gif") as beside:
        beside.write_bytes(animation(course.progression))
    facts = {**result.facts, **result.mark.as_dict()}
    for path in (folder / "progression.json", json_file):
        store_json(facts, path)
    first, last = (facts["steps"][end]["melanoma_probability"] for end in (0, -1))
    console.print(
        f"{facts['direction']}: melanoma probability {first:.2f} -> {last:.2f}, "
        f"reconstruction error {facts['squared_error']:.4f}. {facts['simulation']}"
    )
