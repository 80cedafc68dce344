"""The printable report: complete in both languages, with the notice on every page, and safe to open."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from PIL import Image
from reportlab import rl_config

from medsynth_app.clinical.record.decision import CrossCheckStatus, DecisionAction
from medsynth_app.clinical.record.repository import StoredCrossCheck, StoredDecision
from medsynth_app.clinical.report import words as report_words
from medsynth_app.clinical.report.content import (
    Heading,
    Paragraph,
    Picture,
    Table,
    Tone,
    conclusion,
    report_content,
)
from medsynth_app.clinical.report.fonts import report_fonts
from medsynth_app.clinical.report.html import render_html
from medsynth_app.clinical.report.pdf import render_pdf
from medsynth_app.clinical.scoring.components import ComponentStatus
from medsynth_app.clinical.scoring.cross_check import ConcordanceClass, Explanation, Reason
from medsynth_app.imaging.atlas.brain_regions import Lobe
from medsynth_app.vocabulary import RESEARCH_NOTICE


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (60, 20), (10, 20, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def site(**changes: Any) -> dict[str, Any]:
    region = {"code": "BROCA", "side": "left", "name_en": "left Broca", "name_ko": "왼쪽 브로카", "lobe": "frontal"}
    return {
        "status": "proposed", "reasons": [], "side": "left", "crosses_midline": False, "icd10_site": "C71.1",
        "volumes_ml": {"whole_tumor": 12.0, "edema": 5.0},
        "lobes": [{"lobe": "frontal", "side": "left"}],
        "regions": [{**region, "tumor_ml": 9.0, "percent_of_tumor": 75.0, "percent_of_region": 40.0}],
        "eloquent": [{**region, "distance_mm": 0.0}],
        "components": [], "small_components": 0,
        "quality": [{"name": "brain_dice", "value": 0.95, "allowed": "at least 0.9", "passed": True}],
        **changes,
    }  # fmt: skip


def score(**changes: Any) -> dict[str, Any]:
    answer = {
        "id": "aphasia_expressive", "state": "present", "side": "none", "nats": 1.2, "weight_word": "moderate",
        "explanation": "explained", "sites": [{"region": "BROCA", "side": "left", "share": 0.9}],
    }  # fmt: skip
    return {
        "reasons": ["high_probability"], "probability": 0.86, "probability_interval": [0.7, 0.93],
        "log_bayes_factor": 1.9, "mirrored_log_bayes_factor": -2.0, "possible_side_error": False,
        "symptoms": [answer], "unexplained": [], "silent_sites": [], "suspected_sites": [], "components": [],
        **changes,
    }  # fmt: skip


def check(decision: StoredDecision | None = None, **result: Any) -> StoredCrossCheck:
    found = {"concordance": "concordant", "cross_check": score(), "site": site(), "warnings": [], **result}
    status = CrossCheckStatus.FINAL if decision else CrossCheckStatus.PROPOSED
    intake = {"handedness": "right", "age_years": 50, "answers": []}
    return StoredCrossCheck(
        "0" * 36, "case_1", "abc", "2026-01-02T03:04:05.000+00:00", status, intake, found, {"atlas": "1"}, decision
    )


def texts(content: Any) -> str:
    parts = [content.title, content.verdict]
    for block in content.blocks:
        if isinstance(block, (Heading, Paragraph)):
            parts.append(block.text)
        elif isinstance(block, Table):
            parts += [cell for row in (block.columns, *block.rows) for cell in row]
        elif isinstance(block, Picture):
            parts.append(block.caption)
    return "\n".join(parts)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_html_holds_everything_and_loads_nothing(language: Any) -> None:
    html = render_html(report_content(check(), {}, {"mask": png(), "registration": png()}, language))
    assert html.count(report_words.WORDS["notice"][language == "ko"]) >= 2
    assert html.count("data:image/png;base64,") == 2
    assert "http" not in html.replace("http-equiv", "")
    assert ("일치" if language == "ko" else "concordant with the reported symptoms") in html


def test_the_notice_is_on_every_page_of_the_pdf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rl_config, "pageCompression", 0)
    rows = [{**site()["regions"][0], "name_en": f"region {number}"} for number in range(10)]
    pictures = {name: png() for name in ("mask", "regions", "registration")}
    pdf = render_pdf(report_content(check(site=site(regions=rows)), {}, pictures, "en"))
    pages = pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page /") + pdf.count(b"/Type /Page>")
    assert pages >= 2
    assert pdf.count(b"(Research and education only. Not a medical device.") >= pages


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_pdf_is_made_in_both_languages(language: Any) -> None:
    pdf = render_pdf(report_content(check(), {}, {"mask": png()}, language))
    assert pdf.startswith(b"%PDF-")
    korean = b"Nanum" if report_fonts().embedded else b"HYGothic"
    assert (korean in pdf) is (language == "ko")


def test_what_people_wrote_is_text_not_markup() -> None:
    decision = StoredDecision(DecisionAction.REJECT, "<b>Kim</b>", "<script>alert(1)</script> & more", "2026-01-02", "")
    content = report_content(check(decision), {}, {}, "en")
    html = render_html(content)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert render_pdf(content).startswith(b"%PDF-")


def test_urgent_signs_come_first() -> None:
    flag = {"text_en": "first seizure", "text_ko": "첫 발작"}
    content = report_content(check(red_flags=[flag]), {}, {}, "ko")
    urgent = [block for block in content.blocks if isinstance(block, Paragraph) and block.tone is Tone.URGENT]
    assert content.blocks[1] is urgent[0]
    assert "응급실" in urgent[0].text
    assert "첫 발작" in texts(content)


def test_doubts_are_told() -> None:
    doubtful = score(
        possible_side_error=True,
        unexplained=["aphasia_expressive"],
        silent_sites=[{"region": "M1_HAND", "side": "left", "occupancy": 0.4, "denied": ["arm_weakness"]}],
        suspected_sites=[{"region": "OCC_CALC", "side": "right", "symptoms": ["hemianopia"]}],
    )
    box = {"region": "OCC_CALC", "side": "right", "center_mm": [12.0, -80.0, 4.0]}
    said = texts(report_content(check(cross_check=doubtful, look_here=[box]), {}, {}, "en"))
    parts = ("mirrored mask fits", "Not accounted for", "left hand area", "right calcarine cortex", "12, -80, 4 mm")
    assert [part for part in parts if part not in said] == []


def test_a_denied_symptom_is_not_called_unexplained() -> None:
    denied = {**score()["symptoms"][0], "state": "denied", "explanation": "unexplained"}
    said = texts(report_content(check(cross_check=score(symptoms=[denied], unexplained=[denied["id"]])), {}, {}, "en"))
    assert "Not accounted for by the mask" not in said


def test_not_assessable_has_reasons_and_no_probability() -> None:
    blank = score(reasons=["registration_failed"], probability=None, symptoms=[])
    gate = {"name": "brain_dice", "value": 0.3, "allowed": "at least 0.9", "passed": False}
    empty = site(quality=[gate], side="unknown", crosses_midline=None, lobes=[], regions=[], eloquent=[])
    record = check(concordance="not_assessable", cross_check=blank, site=empty)
    said = texts(report_content(record, {}, {}, "en"))
    assert "brain Dice: 0.3 (Allowed: at least 0.9). the brain's outline does not fit" in said
    assert "Calibrated probability" not in said
    assert conclusion(record).startswith("Symptoms and mask: not assessable.")


def test_a_korean_report_holds_no_english_sentence() -> None:
    """Doubts, gates and versions too: everything a reader must understand is in the reader's language."""
    gates = [
        {"name": name, "value": 0.3, "allowed": allowed, "passed": False, "meaning": "an English sentence here"}
        for name, allowed in zip(
            report_words.GATES, ("a head that can be registered", "at least 0.9", "at most 0.05", "0.9 to 1.7") * 2
        )
    ]
    doubtful = site(
        quality=gates, side_known=False, crosses_midline=True, small_components=3,
        warnings=["the tumour reaches across the midline; and so on"],
    )  # fmt: skip
    warnings = [*doubtful["warnings"], "side_missing:arm_weakness", "label:segmented_by_model", "registered_by:t2",
                "calibration_of_another_knowledge_base"]  # fmt: skip
    record = check(site=doubtful, warnings=warnings, cross_check=score(reasons=["registration_failed"]))
    said = texts(report_content(record, {}, {"mask": png()}, "ko"))
    assert re.findall(r"[A-Za-z]{2,}(?:[ ,;]+[A-Za-z]{2,}){2,}", said) == []
    english = texts(report_content(record, {}, {"mask": png()}, "en"))
    assert "an English sentence here" in english
    assert english.count("across the midline") == 1


@pytest.mark.parametrize(
    ("table", "codes"),
    [
        (report_words.CONCORDANCE, [each.value for each in ConcordanceClass]),
        (report_words.REASONS, [each.value for each in Reason]),
        (report_words.EXPLANATIONS, [each.value for each in Explanation]),
        (report_words.STATUS, [each.value for each in CrossCheckStatus]),
        (report_words.ACTIONS, [each.value for each in DecisionAction]),
        (report_words.SUPPORT, [each.value for each in ComponentStatus]),
        (report_words.LOBES, [each.value for each in Lobe]),
        (report_words.GATE_MEANINGS, list(report_words.GATES)),
    ],
)
def test_every_code_has_words_in_both_languages(table: dict[str, Any], codes: list[str]) -> None:
    assert set(codes) <= set(table)
    assert all(english and korean and english != korean for english, korean in table.values())


def test_the_notice_is_the_projects_own() -> None:
    assert RESEARCH_NOTICE in report_words.WORDS["notice"][0]
