"""``medsynth evaluate``: how well the segmentation agrees with reference labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from medsynth_app.commands.support.results import console, progress_bar, show_left_out, store_json
from medsynth_app.imaging.studies.cases import look_for_cases
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS, CurrentNetwork
from medsynth_app.segmentation.evaluation.calibration import BAND_MM, MOST_DOUBTFUL
from medsynth_app.segmentation.evaluation.cases import EvaluationReport, evaluate_cases
from medsynth_app.segmentation.inference import InferenceConfiguration
from medsynth_app.segmentation.missing_sequences import blanked_sequences
from medsynth_app.vocabulary import TumorRegion

SHOWN = ("dice", "iou", "sensitivity", "specificity", "hd95_mm", "lesion_wise_dice", "lesion_wise_hd95_mm")


def evaluate(
    cases_dir: Annotated[Path, typer.Argument(help="BraTS-style case folders with _seg or -seg.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights to evaluate; the shipped ones by default.")
    ] = None,
    test_time_augmentation: Annotated[bool, typer.Option(help="Average with the mirrored image.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; the best there is by default.")] = None,
    missing: Annotated[str, typer.Option(help="Sequences to blank first, separated by commas, e.g. flair,t1.")] = "",
    lesion_wise: Annotated[bool, typer.Option(help="Add BraTS 2023's lesion-wise Dice and HD95.")] = False,
) -> None:
    """Segment labelled cases and report Dice, IoU, sensitivity, specificity and HD95 for WT, TC and ET.

    What cannot be evaluated is listed with its reason and stops nothing. Exit status: 0 all done, 1 something was left
    out, 2 wrong use.
    """
    blanked = blanked_sequences(missing)
    found = look_for_cases(cases_dir).with_labels()
    cases = found.cases
    if not cases:
        show_left_out(found.left_out)
    network = CurrentNetwork([weights or SHIPPED_WEIGHTS], device)
    configuration = InferenceConfiguration(test_time_augmentation=test_time_augmentation)
    with progress_bar() as bar:
        task = bar.add_task("cases", total=len(cases))
        report = evaluate_cases(
            cases, network.get(), configuration, lambda name: bar.advance(task), blanked, lesion_wise
        ).with_left_out(found.left_out)
    _show(report)
    store_json(report.as_dict(), json_file)
    show_left_out(report.left_out)
    if report.left_out:
        raise typer.Exit(1)


def _show(report: EvaluationReport) -> None:
    columns = (f"{region.value} {name}" for name in ("Dice", "HD95") for region in TumorRegion)
    table = Table(Column("case", overflow="fold", min_width=16), *columns, "s")
    for name, row in report.cases.items():
        table.add_row(
            name,
            *(f"{row['regions'][r.value]['dice']:.3f}" for r in TumorRegion),
            *(f"{row['regions'][r.value]['hd95_mm']:.1f}" for r in TumorRegion),
            f"{row['seconds']:.1f}",
        )
    console.print(table)
    for kind in ("mean", "median"):
        figures = report.summary[kind]
        for region in TumorRegion if figures else ():
            shown = [name for name in SHOWN if name in figures[region.value]]
            line = "  ".join(f"{name} {figures[region.value][name]:.3f}" for name in shown)
            console.print(f"{kind:6} {region.value}: {line}")
    if report.calibration:
        _show_calibration(report.calibration)


def _show_calibration(figures: dict[str, Any]) -> None:
    errors = "  ".join(f"{region} {error:.3f}" for region, error in figures["ece"].items())
    console.print(f"expected calibration error within {BAND_MM:g} mm of the tumour: {errors}")
    if figures["errors_in_most_doubtful"] is not None:
        share = figures["errors_in_most_doubtful"]
        console.print(f"the {MOST_DOUBTFUL:.0%} most doubtful voxels hold {share:.0%} of the errors (median)")
    held = "  ".join(f"{name} {share:.0%}" for name, share in figures["volume_interval_holds"].items())
    console.print(f"volume intervals that hold the truth: {held}")
