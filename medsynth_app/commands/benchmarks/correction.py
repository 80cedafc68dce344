"""``medsynth benchmark correction``: what an annotator's strokes bring."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medsynth_app.benchmarks.correction import CorrectedCase, correct_cases
from medsynth_app.commands.support.results import console, store_json
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.studies.cases import find_cases
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS, CurrentNetwork
from medsynth_app.vocabulary import TumorRegion

ALL = "all"


def correction(
    cases_dir: Annotated[Path, typer.Argument(help="BraTS-style case folders with _seg or -seg.")],
    weights: Annotated[Path, typer.Option(help="Weights that have not learned from these cases.")] = SHIPPED_WEIGHTS,
    only: Annotated[str, typer.Option(help="Names of cases, separated by commas; all by default.")] = "",
    strokes: Annotated[int, typer.Option(help="Strokes a case.", min=1, max=20)] = 3,
    region: Annotated[str, typer.Option(help="The annotator corrects errors of TC, WT, ET or all.")] = "TC",
    seed: Annotated[int, typer.Option(help="Of the hand's jitter.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Dice after each stroke of a simulated annotator, who always corrects the largest error."""
    wanted = {name for name in only.split(",") if name}
    cases = [
        case for case in find_cases(cases_dir) if case.label is not None and (not wanted or case.name in wanted)
    ]
    if region != ALL and region not in [each.value for each in TumorRegion]:
        raise InvalidValueError(f"region: {region!r} must be one of TC, WT, ET, {ALL}")
    looked_at = None if region == ALL else TumorRegion(region)

    def tell(case: CorrectedCase) -> None:
        rows = "   ".join(f"{name} " + " ".join(f"{v:.3f}" for v in values) for name, values in case.dice.items())
        console.print(f"{case.name}  {rows}", highlight=False)

    result = correct_cases(cases, CurrentNetwork([weights]).get(), strokes, seed, looked_at, tell)
    for name, gains in result["gain"].items():
        console.print(f"gain of {name}: " + " ".join(f"{gain:+.3f}" for gain in gains), highlight=False)
    console.print(f"whole tumour kept in {result['whole_tumor_kept']:.1%} of the strokes", highlight=False)
    console.print(f"p95 of a stroke: {result['seconds_p95']:.2f} s", highlight=False)
    store_json(result, json_file)
