"""``medsynth segment`` and ``medsynth prepare``: from a study on disk to a mask, without a server."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from medsynth_app.batch.segmentation_job import UNFORESEEN, Outcome, SegmentationJob
from medsynth_app.commands.support.results import check_folder, console, progress_bar, store_json
from medsynth_app.errors import InvalidValueError, MedSynthError
from medsynth_app.imaging.dicom.sequence_mapping import parse_sequence_mapping
from medsynth_app.preparation.cache import PreparedCache, user_cache
from medsynth_app.preparation.finding import Found, find_studies, named_apart, study_of_files
from medsynth_app.preparation.pipeline import MODES, PreparationOptions, Stages, look_at, prepare_study
from medsynth_app.preparation.study_input import StudyInput
from medsynth_app.preparation.writing import write_prepared, write_unchanged
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS, CurrentNetwork
from medsynth_app.segmentation.inference import InferenceConfiguration
from medsynth_app.vocabulary import LABEL_NAMES, RESEARCH_NOTICE, Modality

MISSING = ("refuse", "blank")


def segment(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="INPUT...", help="Case folders, DICOM folders (nested, several patients), 4-D files."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results; made where it is not there.")] = Path("."),
    flair: Annotated[Path | None, typer.Option(help="FLAIR: a file, or a folder with its DICOM series.")] = None,
    t1: Annotated[Path | None, typer.Option(help="T1 before contrast.")] = None,
    t1ce: Annotated[Path | None, typer.Option(help="T1 after contrast.")] = None,
    t2: Annotated[Path | None, typer.Option(help="T2.")] = None,
    preparation: Annotated[str, typer.Option(help="auto: raw studies are prepared; none: taken as they are.")] = "auto",
    reference: Annotated[
        str | None, typer.Option(help="Sequence whose grid the mask is on; T1ce of a raw study, else FLAIR.")
    ] = None,
    missing_sequence: Annotated[str, typer.Option(help="refuse, or blank: it degrades the result.")] = "refuse",
    brain_mask: Annotated[
        Path | None, typer.Option(help="The brain, in the reference's space, instead of brain extraction.")
    ] = None,
    sequence_mapping: Annotated[str, typer.Option(help="Which DICOM series is which: 't1ce=REGEX;flair=REGEX'.")] = "",
    dicom_seg: Annotated[bool, typer.Option("--dicom-seg", help="A DICOM SEG object too (DICOM input).")] = False,
    rtstruct: Annotated[bool, typer.Option("--rtstruct", help="An RT structure set too (DICOM input).")] = False,
    uncertainty: Annotated[bool, typer.Option("--uncertainty", help="The entropy in per cent too.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="A PNG with the mask on three planes too.")] = False,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep prepared studies for the next run.")] = True,
    weights: Annotated[Path | None, typer.Option(help="Weights; the shipped ones by default.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; the best there is by default.")] = None,
    test_time_augmentation: Annotated[bool, typer.Option(help="Average with the mirrored image.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Write the run manifests to this file.")] = None,
) -> None:
    """Segment studies, raw or prepared: NAME_seg.nii.gz, labels 0..3, on the grid of the reference series."""
    named = {m.value: p for m, p in zip(Modality, (flair, t1, t1ce, t2)) if p is not None}
    _check_use(inputs, named, preparation, missing_sequence, reference, out)
    kept = PreparedCache(user_cache()) if cache else None
    job = SegmentationJob(
        network=CurrentNetwork([weights or SHIPPED_WEIGHTS], device),
        configuration=InferenceConfiguration(test_time_augmentation=test_time_augmentation),
        options=PreparationOptions(preparation, brain_mask, kept),
        blank=missing_sequence == "blank", reference=reference, out=out,
        extras={"dicom_seg": dicom_seg, "rtstruct": rtstruct, "uncertainty": uncertainty, "preview": preview},
    )  # fmt: skip
    outcome = _run(inputs or [], named, sequence_mapping, job.run)
    _show_volumes(outcome)
    store_json({"inputs": outcome.done, "failed": outcome.failed, "notice": RESEARCH_NOTICE}, json_file)
    store_json({"inputs": outcome.manifests, "failed": outcome.failed, "notice": RESEARCH_NOTICE}, report)
    _finish(outcome)


def prepare(
    paths: Annotated[list[Path], typer.Argument(metavar="INPUT... OUT", help="Studies, and the folder to write to.")],
    brain_mask: Annotated[
        Path | None, typer.Option(help="The brain, in the reference's space, instead of brain extraction.")
    ] = None,
    sequence_mapping: Annotated[str, typer.Option(help="Which DICOM series is which: 't1ce=REGEX;flair=REGEX'.")] = "",
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep prepared studies for the next run.")] = True,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all records to this file.")] = None,
) -> None:
    """Raw studies -> BraTS-style cases (co-registered, brain only, 1 mm), with transforms and preparation.json."""
    if len(paths) < 2:
        raise InvalidValueError("prepare: needs INPUT... and OUT, at least two paths")
    *inputs, out = paths
    check_folder(out)
    options = PreparationOptions("auto", brain_mask, PreparedCache(user_cache()) if cache else None)

    def run(study: StudyInput, stages: Stages, outcome: Outcome) -> None:
        with stages.stage("read"):
            seen = look_at(study)
        if seen.is_prepared:
            write_unchanged(study, seen.volumes, seen.reason, out)
            outcome.done[study.name] = {"kind": "prepared", "reason": seen.reason, "warnings": list(study.notes)}
            return
        prepared = prepare_study(study, options, stages, seen)
        write_prepared(prepared, out)
        outcome.done[study.name] = prepared.record()

    outcome = _run(inputs, {}, sequence_mapping, run)
    for name, record in outcome.done.items():
        _say(f"{name}: {record['kind']}, written to {out.name}/{name}")
        _warn(name, record["warnings"])
    store_json({"inputs": outcome.done, "failed": outcome.failed, "notice": RESEARCH_NOTICE}, json_file)
    _finish(outcome)


def _check_use(
    inputs: list[Path] | None, named: dict[str, Path], preparation: str, missing: str, reference: str | None, out: Path
) -> None:
    if bool(inputs) == bool(named):
        raise InvalidValueError("input: give INPUT..., or files by --flair --t1 --t1ce --t2, not both")
    known = [m.value for m in Modality]
    for name, value, allowed in (
        ("preparation", preparation, MODES), ("missing_sequence", missing, MISSING), ("reference", reference, known)
    ):  # fmt: skip
        if value is not None and value not in allowed:
            raise InvalidValueError(f"{name}: {value!r} must be one of {', '.join(allowed)}")
    check_folder(out)
    out.mkdir(parents=True, exist_ok=True)


def _run(
    inputs: list[Path], named: dict[str, Path], mapping: str, run: Callable[[StudyInput, Stages, Outcome], None]
) -> Outcome:
    outcome = Outcome()
    patterns = parse_sequence_mapping(mapping) if mapping else None
    with progress_bar(10.0) as bar:
        task = bar.add_task("looking for studies", total=None)
        studies: list[StudyInput] = []
        for path in inputs:
            found = _guarded(path.name, outcome, partial(find_studies, path, patterns)) or Found()
            studies += found.studies
            outcome.failed.update(found.failures)
        if named:
            study = _guarded("files", outcome, partial(study_of_files, named))
            studies += [study] if study is not None else []
        bar.update(task, total=len(studies), completed=0)
        for study in named_apart(studies):

            def tell(stage: str, name: str = study.name) -> None:
                bar.update(task, description=f"{name}: {stage}")

            _guarded(study.name, outcome, partial(run, study, Stages(tell), outcome))
            bar.advance(task)
    return outcome


def _guarded(name: str, outcome: Outcome, work: Callable[[], Any]) -> Any:
    """The work's result; None where it failed, with the reason noted."""
    try:
        return work()
    except MedSynthError as error:
        outcome.failed[name] = error.message
    except UNFORESEEN as error:
        outcome.failed[name] = f"{name}: unforeseen {type(error).__name__}: {str(error)[:200]}"
    return None


def _show_volumes(outcome: Outcome) -> None:
    table = Table("study", "kind", *(f"{name.replace('_', ' ')} ml" for name in LABEL_NAMES), "on", "s")
    for name, figures in outcome.done.items():
        table.add_row(
            name, figures["kind"], *(f"{figures['volumes_ml'][label]:.2f}" for label in LABEL_NAMES),
            figures["reference"], f"{sum(figures['seconds'].values()):.1f}",
        )  # fmt: skip
    if outcome.done:
        console.print(table)
    for name, figures in outcome.done.items():
        _warn(name, figures["warnings"])


def _warn(name: str, warnings: list[str]) -> None:
    for warning in warnings:
        _say(f"{name}: {warning}")


def _say(text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _finish(outcome: Outcome) -> None:
    for name, reason in outcome.failed.items():
        _say(f"failed: {reason if reason.startswith(name) else f'{name}: {reason}'}")
    _say(RESEARCH_NOTICE)
    if outcome.failed:
        raise typer.Exit(1)
