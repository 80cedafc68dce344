"""``medsynth cross-check``: do a patient's symptoms fit a segmented tumour, and where does it lie?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from medsynth_app.clinical.clinic import Clinic, ClinicConfiguration
from medsynth_app.clinical.database.knowledge_repository import Symptom
from medsynth_app.clinical.intake.form import Intake, parse_intake
from medsynth_app.clinical.intake.red_flags import raised_flags
from medsynth_app.clinical.knowledge.side_words import BodySide
from medsynth_app.clinical.record.repository import StoredCrossCheck
from medsynth_app.clinical.record.view import record_view
from medsynth_app.clinical.report.content import conclusion, report_content
from medsynth_app.clinical.report.html import render_html
from medsynth_app.clinical.report.pdf import render_pdf
from medsynth_app.clinical.site.tumor_images import TumorImages, images_of_case, read_t1_like
from medsynth_app.clinical.stories.reading import DENIED
from medsynth_app.commands.support.results import console, store_json
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.array_cache import default_cache_folder
from medsynth_app.imaging.studies.cases import CaseFiles, case_in_folder
from medsynth_app.plain_values import plain
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS, CurrentNetwork
from medsynth_app.segmentation.inference import segment
from medsynth_app.vocabulary import RESEARCH_NOTICE

SIDES = ("left", "right", "both")
ANSWERS = ("yes", "no", "unknown")
ONSETS = ("sudden", "days", "weeks", "months", "years")
SYMPTOM_FORM = re.compile(r"(?P<id>[A-Za-z0-9_]+)(?:=(?P<words>[a-z,]+))?")


def cross_check(
    case_dir: Annotated[
        Path | None, typer.Argument(help="BraTS-style case folder; without a label it is segmented.")
    ] = None,
    symptom: Annotated[
        list[str],
        typer.Option(
            help="ID, or ID=WORDS of left right both, yes no unknown, sudden days weeks months years."
        ),
    ] = [],  # noqa: B006 - typer copies it
    says: Annotated[str, typer.Option(help="The patient's own words, Korean or English.")] = "",
    symptoms_only: Annotated[
        bool, typer.Option("--symptoms-only", help="No image: where the symptoms alone point to.")
    ] = False,
    label: Annotated[Path | None, typer.Option(help="Label map instead of the folder's own.")] = None,
    handedness: Annotated[str, typer.Option(help="right, left, ambidextrous or unknown.")] = "unknown",
    age: Annotated[int | None, typer.Option(help="Years.")] = None,
    post_operative: Annotated[bool, typer.Option(help="The brain was operated on.")] = False,
    rapidly_worse: Annotated[bool, typer.Option(help="The symptoms get worse from day to day.")] = False,
    lang: Annotated[str, typer.Option(help="Language of the reports: en or ko.")] = "en",
    html: Annotated[Path | None, typer.Option(help="Write the report to this file.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write the report to this file.")] = None,
    database: Annotated[
        str, typer.Option(help="Database URL or SQLite file; a file of the user's by default.")
    ] = "",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the record to this file.")] = None,
) -> None:
    """Cross-check symptoms with the tumour of a case. Research and education only."""
    if lang not in ("en", "ko"):
        raise InvalidValueError(f"--lang: {lang!r}; allowed: en, ko")
    clinic = open_clinic(database)
    answers = [parse_symptom(text) for text in symptom]
    answers += _told(clinic, says, {each["symptom"] for each in answers}, lang)
    form = {
        "symptoms": answers,
        "handedness": handedness,
        "age_years": age,
        "post_operative": post_operative,
        "rapidly_worse": rapidly_worse,
    }
    intake = parse_intake(form, clinic.definitions)
    if symptoms_only:
        show_suspects(clinic, intake, lang, json_file)
        return
    if case_dir is None:
        raise InvalidValueError("case_dir: missing; allowed: a case folder, or --symptoms-only without one")
    check = clinic.cross_check(_images(case_dir, label), intake)
    symptoms = {each.id: each for each in clinic.repository.symptoms()}
    _show(check, symptoms, "ko" if lang == "ko" else "en")
    content = report_content(check, symptoms, clinic.pictures.load(check.id), "ko" if lang == "ko" else "en")
    if html is not None:
        html.write_text(render_html(content), encoding="utf-8")
    if pdf is not None:
        pdf.write_bytes(render_pdf(content))
    store_json(record_view(check), json_file)


def open_clinic(database: str = "") -> Clinic:
    """The clinic of a user who works without a server.

    Args:
        database: URL or SQLite file; a file in the user's cache folder where empty.
    """
    pictures = default_cache_folder() / "cross_checks"
    return Clinic(ClinicConfiguration(database or default_database(), pictures))


def default_database() -> str:
    """The SQLite file of a user who works without a server; it need not be there."""
    return str(default_cache_folder() / "clinical.db")


def _told(clinic: Clinic, says: str, answered: set[str], lang: str) -> list[dict[str, Any]]:
    """Answers of the patient's own words; those given as options stand. Says what was and was not understood."""
    if not says.strip():
        return []
    story = clinic.repository.read_story(says)
    names = {each.id: each.name_ko if lang == "ko" else each.name_en for each in clinic.repository.symptoms()}
    for found in story.findings:
        side = "" if found.side is BodySide.UNKNOWN else f", {found.side.value}"
        console.print(f"understood: {names[found.id]} ({found.id}): {found.state}{side}", highlight=False)
    for question in story.questions:
        choices = " / ".join(each.label_ko if lang == "ko" else each.label_en for each in question.choices)
        console.print(f"to ask: {question.text_ko if lang == 'ko' else question.text_en} [{choices}]",
                      highlight=False, markup=False)  # fmt: skip
    if story.not_understood:
        console.print(f"not understood: {' / '.join(story.not_understood)}", highlight=False, markup=False)
    rows: dict[str, dict[str, Any]] = {}
    for found in story.findings:
        if found.id not in answered:
            rows.setdefault(
                found.id,
                {
                    "symptom": found.id,
                    "answer": "no" if found.state == DENIED else "yes",
                    "side": found.side.value,
                    "onset": found.onset.value,
                },
            )
    return list(rows.values())


def show_suspects(clinic: Clinic, intake: Intake, lang: str, json_file: Path | None, count: int = 10) -> None:
    """Print the regions that the answers point to, and write all of them where a file is named."""
    found = clinic.suspect(intake)
    names = {each.id: each.name_ko if lang == "ko" else each.name_en for each in clinic.repository.symptoms()}
    table = Table("region", "side", "probability", "touched", "because of")
    for row in found.suspected[:count]:
        why = ", ".join(names[each.symptom] for each in row.reasons)
        table.add_row(row.region, row.side, f"{row.probability:.2f}", f"{row.touched_probability:.2f}", why)
    if found.suspected:
        console.print(table)
    else:
        console.print("no reported symptom points to a region", highlight=False)
    for flag in raised_flags(intake, clinic.repository.red_flags()):
        console.print(f"URGENT: {flag.text_ko if lang == 'ko' else flag.text_en}", style="bold red")
    console.print(RESEARCH_NOTICE, highlight=False)
    store_json({**plain(found), "notice": RESEARCH_NOTICE}, json_file)


def parse_symptom(text: str) -> dict[str, Any]:
    """``arm_weakness``, ``arm_weakness=left``, ``headache=no`` or ``seizure=left,sudden`` as an answer.

    Raises:
        InvalidValueError: another form, or a word that is not known.
    """
    match = SYMPTOM_FORM.fullmatch(text.strip())
    words = (match["words"] or "").split(",") if match else []
    answer: dict[str, Any] = {"symptom": match["id"] if match else "", "answer": "yes"}
    for word in filter(None, words):
        field = next(
            (n for n, known in (("side", SIDES), ("answer", ANSWERS), ("onset", ONSETS)) if word in known), ""
        )
        if not field:
            match = None
            break
        answer[field] = word
    if match is None:
        raise InvalidValueError(
            f"--symptom: {text[:60]!r}; allowed: ID or ID=WORDS with {', '.join((*SIDES, *ANSWERS, *ONSETS))}"
        )
    return answer


def _images(case_dir: Path, label: Path | None) -> TumorImages:
    case = case_in_folder(case_dir) if case_dir.is_dir() else None
    if case is None:
        raise InvalidValueError(
            f"case_dir: {case_dir.name!r} is no case; expected a folder with CASE_flair.nii.gz, _t1, _t1ce, _t2"
        )
    chosen = label or case.label
    if chosen is not None:
        return images_of_case(case, chosen, "")
    return _segmented(case)


def _segmented(case: CaseFiles) -> TumorImages:
    network, configuration, _ = CurrentNetwork([SHIPPED_WEIGHTS]).get()
    result = segment(case.read(configuration.modalities), network, modalities=configuration.modalities)
    volume, notes = read_t1_like(case)
    told = ("label:segmented_by_model", *result.warnings, *notes)
    return TumorImages(case.name, volume, result.labels, notes=told)


def _show(check: StoredCrossCheck, symptoms: dict[str, Symptom], lang: Any) -> None:
    console.print(conclusion(check, lang), highlight=False)
    rows = check.result["cross_check"]["symptoms"]
    if rows:
        table = Table("symptom", "answer", "side", "effect", "nats", "by the mask")
        for row in rows:
            known = symptoms[row["id"]]
            name = known.name_ko if lang == "ko" else known.name_en
            effect = f"{row['nats']:+.2f}"
            table.add_row(name, row["state"], row["side"], row["weight_word"], effect, row["explanation"])
        console.print(table)
    for flag in check.result["red_flags"]:
        console.print(f"URGENT: {flag['text_ko' if lang == 'ko' else 'text_en']}", style="bold red")
    console.print(f"cross-check {check.id}. {RESEARCH_NOTICE}", highlight=False)
