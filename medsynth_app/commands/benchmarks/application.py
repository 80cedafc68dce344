"""``medsynth benchmark``: every speed and quality claim, measured side by side in one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medsynth_app.commands.benchmarks import active_learning as active_learning_benchmark
from medsynth_app.commands.benchmarks import clinical as clinical_benchmark
from medsynth_app.commands.benchmarks import synthesis_utility as synthesis_utility_benchmark
from medsynth_app.commands.benchmarks.correction import correction
from medsynth_app.commands.benchmarks.images import image_quality, image_utility
from medsynth_app.commands.benchmarks.preparation import preparation
from medsynth_app.commands.benchmarks.segmentation import run
from medsynth_app.commands.benchmarks.skin_course import skin_course
from medsynth_app.commands.benchmarks.tumor_quality import tumor_quality
from medsynth_app.commands.benchmarks.volume_quality import volume_quality
from medsynth_app.commands.results import console, store_json

application = typer.Typer(help="Measure MedSynth's claims on this machine.", no_args_is_help=True)


@application.callback()
def _group() -> None:
    """Measure MedSynth's claims on this machine."""


application.command("active-learning")(active_learning_benchmark.active_learning)
application.command("correction")(correction)
application.command("preparation")(preparation)
application.command("tumor-quality")(tumor_quality)
application.command("volume-quality")(volume_quality)
application.command("synthesis-utility")(synthesis_utility_benchmark.synthesis_utility)
application.command("image-quality")(image_quality)
application.command("image-utility")(image_utility)
application.command("skin-course")(skin_course)
application.command("cross-check")(clinical_benchmark.cross_check)
application.command("stories")(clinical_benchmark.stories)
application.command("calibration")(clinical_benchmark.calibration)
application.command("registration")(clinical_benchmark.registration)
application.command("hospitals")(clinical_benchmark.hospitals)


@application.command("segmentation")
def segmentation(
    case_dir: Annotated[Path, typer.Option(help="Studies folder; its first full-size case is used.")] = Path(
        "sample-data/studies"
    ),
    case: Annotated[str, typer.Option(help="Case name; the largest by default.")] = "",
    repeats: Annotated[int, typer.Option(help="Requests on MedSynth's side.", min=1)] = 5,
    stock_repeats: Annotated[
        int, typer.Option(help="Requests on the stock side; each takes a minute.", min=1)
    ] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Seconds from request to last byte, beside MONAI Label's stock inference with the same weights."""
    result = run(case_dir, case, repeats, stock_repeats, console.print)
    agreement = result["mask_agreement_dice"]
    console.print(
        f"MedSynth      {result['medsynth_median_seconds']:.2f} s, {result['medsynth_peak_memory_gb']:.1f} GB"
    )
    console.print(
        f"stock         {result['stock_median_seconds']:.2f} s, {result['stock_peak_memory_gb']:.1f} GB"
    )
    console.print(f"times faster  {result['times_faster']:.1f}")
    console.print(
        f"same mask     Dice {agreement['whole_tumor']:.4f} (all labels {agreement['all_labels']:.4f})"
    )
    store_json(result, json_file)
