"""``medsynth benchmark cross-check | calibration | registration | hospitals``: the clinic's figures, measured now."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from medsynth_app.benchmarks.cohorts.cohort import CohortConfiguration
from medsynth_app.benchmarks.cohorts.lobe_cohort import LobeCohortConfiguration
from medsynth_app.benchmarks.cross_check import (
    BenchmarkConfiguration,
    IndependentFigures,
    fit_calibration,
    run_cross_check_benchmark,
)
from medsynth_app.benchmarks.hospitals import benchmark_hospitals
from medsynth_app.benchmarks.registration import (
    RegisteredCase,
    benchmark_registration,
)
from medsynth_app.benchmarks.stories import StoryFigures, read_stories, score_stories
from medsynth_app.clinical.knowledge.lesion_library import load_lesion_library
from medsynth_app.clinical.knowledge.symptom_model import load_symptom_definitions
from medsynth_app.clinical.repository import Repository
from medsynth_app.clinical.seeding import SEED_FOLDER, open_seeded_database
from medsynth_app.commands.support.results import console, progress_bar, store_json
from medsynth_app.imaging.atlas.atlas import load_atlas
from medsynth_app.imaging.studies.cases import find_cases


def cross_check(
    patients: Annotated[int, typer.Option(help="Simulated patients.", min=40)] = 2400,
    seed: Annotated[int, typer.Option(help="Of the cohort.")] = 1,
    independent: Annotated[
        int, typer.Option(help="Patients of the generator that shares nothing with the score; 0 leaves it out.", min=0)
    ] = 800,
    picture: Annotated[Path | None, typer.Option(help="Write the reliability picture (PNG) here.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """How well the score tells a tumour's own symptoms from other sites', on simulated patients."""
    atlas = load_atlas()
    configuration = BenchmarkConfiguration(
        cohort=CohortConfiguration(patients=patients, seed=seed),
        independent=LobeCohortConfiguration(patients=independent) if independent else None,
    )
    result = run_cross_check_benchmark(
        atlas,
        load_symptom_definitions(SEED_FOLDER / "symptoms.csv"),
        load_lesion_library(atlas),
        configuration=configuration,
        picture=picture,
    )
    console.print(
        f"patients      {result.scored} of {result.patients}, median {result.median_symptoms:g} symptoms"
    )
    console.print("AUROC         other site   mirrored   permuted")
    for name, row in (("cross-check", result.score), ("overlap", result.overlap)):
        console.print(f"{name:13} {row.other_site:10.3f} {row.mirrored:10.3f} {row.permuted:10.3f}")
    console.print(
        f"mirrored      {result.mirrored_among_sided:.3f} among the {result.sided} whose symptoms tell a side"
    )
    console.print(
        f"calibration   error {result.calibration_error:.3f} (uncalibrated {result.uncalibrated_error:.3f}), "
        f"Brier {result.brier:.3f}"
    )
    console.print(f"score         {result.score_ms[0]:.1f} ms median, {result.score_ms[1]:.1f} ms p95, "
                  f"{result.score_processor_ms:.1f} ms of processor time")
    if result.independent is not None:
        _show_independent(result.independent)
    store_json(result.as_dict(), json_file)


def _show_independent(found: IndependentFigures) -> None:
    areas = (
        ("other site", found.other_site),
        ("other lobe or side", found.other_lobe),
        ("mirrored", found.mirrored),
    )
    console.print(f"independent   {found.patients} patients of lobe tables; permuted {found.permuted:.3f}")
    for name, area in areas:
        console.print(f"  {name:19} {area.value:.3f} ({area.low:.3f} to {area.high:.3f})", highlight=False)


def stories(
    files: Annotated[list[Path], typer.Argument(help="CSV with part, text, findings; see docs/cross_check.md.")],
    part: Annotated[str, typer.Option(help="held_out, tuning, or empty for all.")] = "",
    by_symptom: Annotated[bool, typer.Option(help="Also a row per symptom.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """How well patients' own stories are understood: recall, precision, polarity, side, and what is refused."""
    with tempfile.TemporaryDirectory() as folder, open_seeded_database(Path(folder) / "words.db") as database:
        repository = Repository(database)
        results = {}
        for file in files:
            told = [story for story in read_stories(file) if part in ("", story.part)]
            results[file.stem] = score_stories(told, repository.read_story)
    table = Table("stories", "recall", "precision", "denied", "present as denied", "polarity", "side", "refused")
    for name, row in results.items():
        table.add_row(
            f"{name} ({row.stories})", f"{row.recall:.3f}", f"{row.precision:.3f}", f"{row.denial_recall:.3f}",
            str(row.present_as_denied), f"{row.polarity_errors:.4f}", f"{row.side:.3f}", f"{row.refused:.3f}",
        )  # fmt: skip
    console.print(table)
    if by_symptom:
        for name, row in results.items():
            _show_by_symptom(name, row)
    store_json({name: asdict(row) for name, row in results.items()}, json_file)


def _show_by_symptom(name: str, row: StoryFigures) -> None:
    table = Table(name, "told", "found", "wrongly found", "side right")
    for symptom, each in sorted(row.by_symptom.items()):
        side = f"{each.side_right}/{each.sided}" if each.sided else ""
        table.add_row(symptom, str(each.told), str(each.found), str(each.wrong), side)
    console.print(table)


def calibration(
    patients: Annotated[int, typer.Option(help="Simulated patients.", min=40)] = 1500,
    seed: Annotated[int, typer.Option(help="Of the cohort; not the benchmark's.")] = 77,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the constants to this file.")] = None,
) -> None:
    """Fit the constants that turn the score into a probability, for the knowledge base as it is now."""
    atlas = load_atlas()
    fitted = fit_calibration(
        atlas,
        load_symptom_definitions(SEED_FOLDER / "symptoms.csv"),
        load_lesion_library(atlas),
        CohortConfiguration(patients=patients, seed=seed),
    )
    console.print(
        f"slope         {fitted.slope:.4f}\nintercept     {fitted.intercept:.4f}\n"
        f"cohort        {fitted.cohort_hash}, {fitted.cohort_size} patients\nscorer        {fitted.scorer_hash}",
        highlight=False,
    )
    store_json(asdict(fitted), json_file)


def hospitals(
    count: Annotated[int, typer.Option(help="Invented hospitals.", min=100)] = 100_000,
    lookups: Annotated[int, typer.Option(help="Look-ups timed.", min=2)] = 100,
    database: Annotated[
        str, typer.Option(help="An empty database to measure; a SQLite file that is thrown away by default.")
    ] = "",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """How long an import and a look-up take in a directory of invented hospitals."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_seeded_database(database or Path(folder) / "clinical.db") as opened,
    ):
        result = benchmark_hospitals(Repository(opened), date.today(), count, lookups)
    console.print(
        f"{result.hospitals} hospitals on {result.dialect}\n"
        f"import        {result.import_seconds:.1f} s, {result.import_processor_seconds:.1f} s of processor time here\n"
        f"look-up       median {result.lookup_median_ms:.0f} ms, p95 {result.lookup_p95_ms:.0f} ms, "
        f"{result.lookup_processor_p95_ms:.0f} ms of processor time (first {result.first_lookup_ms:.0f} ms)\n"
        f"within 25 km  p95 {result.radius_p95_ms:.0f} ms",
        highlight=False,
    )
    store_json(asdict(result), json_file)


def registration(
    cases_dir: Annotated[Path, typer.Argument(help="Folder of labelled, skull-stripped cases.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """How long heads take to the atlas, which quality gates fail, and whether tumours keep their side."""
    cases = find_cases(cases_dir)
    table = Table("case", "s", "start", "side", "mask's own", "across ml", "failed gates")
    with progress_bar() as bar:
        task = bar.add_task("registration", total=len(cases))

        def show(case: RegisteredCase) -> None:
            across = "" if case.across_midline_ml is None else f"{case.across_midline_ml:.1f}"
            own = f"{case.side_of_mask} {100 * case.share_of_side:.0f} %"
            failed = "\n".join(case.failed)
            table.add_row(case.case, f"{case.seconds:.1f}", case.start, case.side, own, across, failed)
            bar.advance(task)

        result = benchmark_registration(cases, load_atlas(), progress=show)
    console.print(table)
    count = len(result.cases)
    console.print(
        f"registration  {result.median_seconds:.1f} s median, {result.slowest_seconds:.1f} s at most, "
        f"{result.median_processor_seconds:.1f} s of processor time\n"
        f"gates         {result.passed} of {count} cases pass all\n"
        f"side          {result.right_sides} of {count} as the mask's own geometry\n"
        f"report        {result.valid_reports} of {count} fit their schema",
        highlight=False,
    )
    store_json(
        {
            "median_seconds": result.median_seconds,
            "median_processor_seconds": result.median_processor_seconds,
            "slowest_seconds": result.slowest_seconds,
            "passed": result.passed,
            "right_sides": result.right_sides,
            "valid_reports": result.valid_reports,
            "cases": [asdict(case) for case in result.cases],
        },
        json_file,
    )
