"""The report of a cross-check that a clinician can print: what it says, once, for HTML and PDF alike.

A report is a list of blocks (headings, sentences, tables, pictures) in one language. `report_html` and
`report_pdf` only set them on a page, with the research notice on every one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from medsynth_app.clinical.database.knowledge_repository import Symptom
from medsynth_app.clinical.intake.red_flags import EMERGENCY_EN, EMERGENCY_KO
from medsynth_app.clinical.record.decision import CrossCheckStatus
from medsynth_app.clinical.record.repository import StoredCrossCheck
from medsynth_app.clinical.report.words import (
    ACTIONS,
    CONCORDANCE,
    DIRECTIONS,
    EXPLANATIONS,
    GATE_MEANINGS,
    GATES,
    LIMITS,
    LOBES,
    REASONS,
    STATES,
    STATUS,
    SUPPORT,
    VERSION_NAMES,
    VOLUMES,
    WARNINGS,
    WEIGHTS,
    WORDS,
    Words,
)
from medsynth_app.imaging.atlas.brain_regions import region_named

Language = Literal["ko", "en"]
MOST_REGIONS = 10
MOST_ELOQUENT = 8
MOST_HOSPITALS = 5


class Tone(str, Enum):
    """How a sentence is set."""

    NORMAL = "normal"
    SMALL = "small"
    WARNING = "warning"
    URGENT = "urgent"


@dataclass(frozen=True)
class Heading:
    """Starts a section."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """One sentence or a few."""

    text: str
    tone: Tone = Tone.NORMAL


@dataclass(frozen=True)
class Table:
    """Rows of texts under column names; ``widths`` are relative."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...]


@dataclass(frozen=True)
class Picture:
    """A PNG file with a caption."""

    png: bytes
    caption: str


Block = Heading | Paragraph | Table | Picture


@dataclass(frozen=True)
class ReportContent:
    """All that a report says.

    Attributes:
        language: ``en`` or ``ko``.
        title: its name.
        facts: short (name, value) pairs at the top.
        notice: research only; on every page.
        page_word: the word for page.
        identifier: of the cross-check, at the foot of every page.
        verdict: the class in words.
        concordance: the class, for colours.
        blocks: everything else, in order.
    """

    language: Language
    title: str
    facts: tuple[tuple[str, str], ...]
    notice: str
    page_word: str
    identifier: str
    verdict: str
    concordance: str
    blocks: tuple[Block, ...]


def report_content(
    check: StoredCrossCheck,
    symptoms: Mapping[str, Symptom],
    pictures: Mapping[str, bytes],
    language: Language = "en",
) -> ReportContent:
    """Put a stored cross-check into words.

    Args:
        check: from the database; the patient's own words are not part of it.
        symptoms: the knowledge base, by identifier.
        pictures: ``mask``, ``regions``, ``registration`` -> PNG file; what is missing is left out.
        language: ``en`` or ``ko``.
    """
    author = _Author(check, symptoms, language)
    return ReportContent(
        language=language,
        title=author.word("title"),
        facts=tuple(author.facts()),
        notice=author.word("notice"),
        page_word=author.word("page"),
        identifier=check.id,
        verdict=author.pick(CONCORDANCE, check.result["concordance"]),
        concordance=check.result["concordance"],
        blocks=tuple(author.blocks(pictures)),
    )


def conclusion(check: StoredCrossCheck, language: Language = "en") -> str:
    """The answer in a few sentences, for FHIR and for a terminal."""
    author = _Author(check, {}, language)
    score = check.result["cross_check"]
    parts = [f"{author.word('concordance')}: {author.pick(CONCORDANCE, check.result['concordance'])}."]
    if score.get("probability") is not None:
        parts.append(f"{author.probability()}.")
    parts.extend(author.reasons())
    parts.append(f"{author.word('site')}: {author.site_line()}.")
    return " ".join(parts)


class _Author:
    """Writes in one language about one cross-check."""

    def __init__(self, check: StoredCrossCheck, symptoms: Mapping[str, Symptom], language: Language) -> None:
        self.check, self.symptoms, self.language = check, symptoms, language
        self.result, self.intake = check.result, check.intake
        self.score: Mapping[str, Any] = check.result["cross_check"]
        self.site: Mapping[str, Any] = check.result["site"]

    # ---- words ----

    def word(self, key: str) -> str:
        return self.pick(WORDS, key)

    def pick(self, table: Mapping[str, Words], key: str) -> str:
        return table.get(key, (key.replace("_", " "), key))[self.language == "ko"]

    def side(self, side: str) -> str:
        return self.word("midline_side" if side == "midline" else side)

    def symptom(self, identifier: str) -> str:
        known = self.symptoms.get(identifier)
        if known is None:
            return identifier
        return known.name_ko if self.language == "ko" else known.name_en

    def place(self, code: str, side: str) -> str:
        region = region_named(code)
        name = region.name_ko if self.language == "ko" else region.name_en
        return name if side in ("midline", "unknown") else f"{self.side(side)} {name}"

    def name_of(self, row: Mapping[str, Any]) -> str:
        return str(row["name_ko"] if self.language == "ko" else row["name_en"])

    def yes_no(self, value: object) -> str:
        return self.word("unknown" if value is None else "yes" if value else "no")

    # ---- short lines ----

    def facts(self) -> Iterator[tuple[str, str]]:
        yield self.word("case"), self.check.case_id
        yield self.word("created"), f"{self.check.created_at[:16].replace('T', ' ')} UTC"
        yield self.word("status"), self.pick(STATUS, self.check.status.value)
        yield self.word("label"), self.check.label_version
        yield self.word("handedness"), self.word(str(self.intake.get("handedness", "unknown")))
        age = self.intake.get("age_years")
        yield self.word("age"), self.word("unknown") if age is None else f"{age} {self.word('years')}"

    def probability(self) -> str:
        low, high = self.score["probability_interval"]
        return (
            f"{self.word('probability')} {100 * self.score['probability']:.0f} % "
            f"({self.word('interval')} {100 * low:.0f}-{100 * high:.0f} %)"
        )

    def reasons(self) -> list[str]:
        return [self.pick(REASONS, reason) for reason in self.score["reasons"]]

    def site_line(self) -> str:
        whole = self.site["volumes_ml"]["whole_tumor"]
        parts = [self.side(self.site["side"])]
        parts += [self.pick(LOBES, row["lobe"]) for row in self.site["lobes"][:1]]
        return f"{' '.join(parts)}, {whole:.1f} ml, {self.site['icd10_site']}"

    # ---- sections, in the order of the page ----

    def blocks(self, pictures: Mapping[str, bytes]) -> Iterator[Block]:
        yield from self._urgent()
        yield from self._summary()
        yield from self._decision()
        yield from self._pictures(pictures, ("mask",))
        yield from self._answers()
        yield from self._doubts_about_site()
        yield from self._regions()
        yield from self._components()
        yield from self._pictures(pictures, ("regions", "registration"))
        yield from self._quality()
        yield from self._hospitals()
        yield from self._small_print()

    def _urgent(self) -> Iterator[Block]:
        flags = self.result.get("red_flags") or []
        if not flags:
            return
        yield Heading(self.word("urgent"))
        yield Paragraph(EMERGENCY_KO if self.language == "ko" else EMERGENCY_EN, Tone.URGENT)
        for flag in flags:
            yield Paragraph(flag["text_ko"] if self.language == "ko" else flag["text_en"], Tone.WARNING)

    def _summary(self) -> Iterator[Block]:
        yield Heading(self.word("summary"))
        if self.score.get("possible_side_error"):
            yield Paragraph(self.word("side_error"), Tone.WARNING)
        for reason in self.reasons():
            yield Paragraph(reason)
        for row in self.site["quality"]:
            if not row["passed"]:
                yield Paragraph(self._failed_gate(row), Tone.WARNING)
        yield Table(("", ""), tuple(self._summary_rows()), (1.0, 2.6))
        yield Paragraph(self.word("meaning"), Tone.SMALL)

    def _summary_rows(self) -> Iterator[tuple[str, str]]:
        if self.score.get("probability") is not None:
            low, high = self.score["probability_interval"]
            yield self.word("probability"), f"{100 * self.score['probability']:.0f} %"
            yield self.word("interval"), f"{100 * low:.0f} - {100 * high:.0f} %"
            bayes = f"{self.score['log_bayes_factor']:+.2f} ({self.score['mirrored_log_bayes_factor']:+.2f})"
            yield self.word("bayes"), bayes
        yield self.word("site"), self.site_line()
        parts = ", ".join(
            f"{self.pick(VOLUMES, name)} {ml:.1f} ml" for name, ml in self.site["volumes_ml"].items()
        )
        yield self.word("volumes"), parts
        yield self.word("midline"), self.yes_no(self.site["crosses_midline"])
        pieces = len(self.site["components"])
        small = self.site["small_components"]
        yield self.word("pieces"), f"{pieces}" + (f" (+ {small} < 0.1 ml)" if small else "")

    def _decision(self) -> Iterator[Block]:
        yield Heading(self.word("decision"))
        decision = self.check.decision
        if decision is None or self.check.status is CrossCheckStatus.PROPOSED:
            yield Paragraph(self.word("undecided"), Tone.WARNING)
            return
        text = self.word("decided").format(
            action=self.pick(ACTIONS, decision.action.value),
            actor=decision.actor,
            time=f"{decision.decided_at[:16].replace('T', ' ')} UTC",
            reason=decision.reason,
        )
        yield Paragraph(text)

    def _pictures(self, pictures: Mapping[str, bytes], names: Sequence[str]) -> Iterator[Block]:
        found = [name for name in names if name in pictures]
        if found:
            yield Heading(self.word(f"pictures_{names[0]}"))
        for name in found:
            yield Picture(pictures[name], self.word(f"picture_{name}"))

    def _answers(self) -> Iterator[Block]:
        rows = sorted(self.score["symptoms"], key=lambda row: -abs(row["nats"]))
        if not rows:
            return
        yield Heading(self.word("symptoms"))
        columns = tuple(self.word(key) for key in ("symptom", "answer", "effect", "explained", "where"))
        yield Table(columns, tuple(self._answer_row(row) for row in rows), (2.2, 0.9, 1.1, 1.1, 2.6))

    def _answer_row(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        answer = self.pick(STATES, row["state"])
        if row["side"] in ("left", "right"):
            answer += f", {self.side(row['side'])}"
        effect = self.pick(WEIGHTS, row["weight_word"])
        places = "; ".join(
            f"{self.place(each['region'], each['side'])} {100 * each['share']:.0f} %" for each in row["sites"]
        )
        explained = self.pick(EXPLANATIONS, row["explanation"]) if row["state"] == "present" else ""
        direction = self.pick(DIRECTIONS, "for" if row["nats"] > 0 else "against")
        shown = effect if row["weight_word"] == "none" else direction.format(effect)
        return self.symptom(row["id"]), answer, shown, explained, places if row["state"] == "present" else ""

    def _doubts_about_site(self) -> Iterator[Block]:
        present = {row["id"] for row in self.score["symptoms"] if row["state"] == "present"}
        unexplained = [each for each in self.score["unexplained"] if each in present]
        if unexplained:
            yield Heading(self.word("unexplained"))
            yield Paragraph(", ".join(self.symptom(each) for each in unexplained), Tone.WARNING)
        if self.score["silent_sites"]:
            yield Heading(self.word("silent"))
        for silent in self.score["silent_sites"]:
            denied = ", ".join(self.symptom(each) for each in silent["denied"])
            place = self.place(silent["region"], silent["side"])
            yield Paragraph(f"{place} ({100 * silent['occupancy']:.0f} %): {self.pick(STATES, 'denied')} - {denied}")
        boxes = {(box["region"], box["side"]): box for box in self.result.get("look_here") or []}
        if self.score["suspected_sites"]:
            yield Heading(self.word("look_here"))
        for suspected in self.score["suspected_sites"]:
            causes = ", ".join(self.symptom(each) for each in suspected["symptoms"])
            box = boxes.get((suspected["region"], suspected["side"]))
            where = "" if box is None else f", RAS {', '.join(f'{mm:.0f}' for mm in box['center_mm'])} mm"
            yield Paragraph(f"{self.place(suspected['region'], suspected['side'])}{where}: {causes}", Tone.WARNING)

    def _regions(self) -> Iterator[Block]:
        if self.site["regions"]:
            yield Heading(self.word("regions"))
            columns = tuple(self.word(key) for key in ("region", "lobe", "volume", "of_tumor", "of_region"))
            rows = tuple(
                (
                    f"{self.name_of(row)} ({row['code']})", self.pick(LOBES, row["lobe"]), f"{row['tumor_ml']:.1f} ml",
                    f"{row['percent_of_tumor']:.0f}", f"{row['percent_of_region']:.0f}",
                )
                for row in self.site["regions"][:MOST_REGIONS]
            )  # fmt: skip
            yield Table(columns, rows, (3.2, 1.4, 1.0, 1.0, 1.0))
        if self.site["eloquent"]:
            yield Heading(self.word("eloquent"))
            nearest = tuple(
                (self.name_of(row), self._distance(row["distance_mm"])) for row in self.site["eloquent"][:MOST_ELOQUENT]
            )
            yield Table((self.word("region"), self.word("distance")), nearest, (3.0, 1.2))

    def _distance(self, millimetres: float) -> str:
        return self.word("inside") if millimetres == 0 else f"{millimetres:.0f} mm"

    def _components(self) -> Iterator[Block]:
        support = {row["id"]: row for row in self.score["components"]}
        if len(self.site["components"]) < 2:
            return
        yield Heading(self.word("components"))
        rows = []
        for piece in self.site["components"]:
            verdict = support.get(piece["number"])
            words = self.pick(SUPPORT, verdict["status"]) if verdict else ""
            place = f"{self.side(piece['side'])} {self.pick(LOBES, piece['lobe'] or 'outside')}"
            rows.append((str(piece["number"]), f"{piece['volume_ml']:.1f} ml", place, words))
        columns = tuple(self.word(key) for key in ("piece", "volume", "site", "support"))
        yield Table(columns, tuple(rows), (0.6, 1.0, 2.2, 1.6))

    def _quality(self) -> Iterator[Block]:
        yield Heading(self.word("quality"))
        columns = tuple(self.word(key) for key in ("check", "value", "allowed", "passed"))
        rows = tuple(
            (
                self.pick(GATES, row["name"]),
                _number(row["value"]),
                self._limit(row["allowed"]),
                self.yes_no(row["passed"]),
            )
            for row in self.site["quality"]
        )
        yield Table(columns, rows, (1.6, 1.0, 1.6, 0.8))

    def _failed_gate(self, row: Mapping[str, Any]) -> str:
        name, limit = self.pick(GATES, row["name"]), self._limit(row["allowed"])
        value = f"{name}: {_number(row['value'])} ({self.word('allowed')}: {limit})"
        own_words = row.get("meaning") if self.language == "en" else None
        return f"{value}. {own_words or self.pick(GATE_MEANINGS, row['name'])}."

    def _limit(self, allowed: str) -> str:
        for pattern, words in LIMITS:
            if re.fullmatch(pattern, allowed):
                return re.sub(pattern, words[self.language == "ko"], allowed)
        return allowed

    def _hospitals(self) -> Iterator[Block]:
        answer = self.result.get("hospitals")
        if not answer:
            return
        yield Heading(self.word("hospitals_general" if answer["general_only"] else "hospitals"))
        wanted = ", ".join(self.name_of(row) for row in answer["wanted"][:8])
        yield Paragraph(f"{self.word('wanted')}: {wanted or self.word('none')}")
        columns = tuple(self.word(key) for key in ("hospital", "score_terms", "kilometres", "data_of"))
        rows = tuple(self._hospital_row(row) for row in answer["hospitals"][:MOST_HOSPITALS])
        yield Table(columns, rows, (2.6, 1.8, 0.6, 2.0))
        yield Paragraph(self.word("order_notice"), Tone.SMALL)

    def _hospital_row(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        hospital, terms = row["hospital"], row["terms"]
        translated = hospital["name_ko"] if self.language == "ko" else hospital["name_en"]
        name = translated or hospital["name"]
        # the project's own invented hospitals say so in their names
        if hospital["invented"] and not any(word in name for word in ("invented", "가상")):
            name += f" ({self.word('invented')})"
        numbers = f"{row['score']:.2f} = {terms['service_match']:.2f} / {terms['level']:.2f} / {terms['distance']:.2f}"
        distance = "?" if row["distance_km"] is None else f"{row['distance_km']:.0f}"
        source = self.word("invented_source") if hospital["invented"] else hospital["source"]
        return name, numbers, distance, f"{source}, {hospital['updated'] or '?'}"

    def _small_print(self) -> Iterator[Block]:
        doubts = [*self._doubts_of_answers(), *self._doubts_of_site()]
        if doubts:
            yield Heading(self.word("warnings"))
        for doubt in doubts:
            yield Paragraph(doubt, Tone.SMALL)
        yield Heading(self.word("versions"))
        versions = ", ".join(f"{self.pick(VERSION_NAMES, name)} {value}" for name, value in self.check.versions.items())
        yield Paragraph(versions, Tone.SMALL)
        yield Paragraph(self.word("simulated"), Tone.SMALL)

    def _doubts_of_answers(self) -> Iterator[str]:
        """The codes about answers and images; the site's own sentences are told from its facts."""
        for warning in self.result.get("warnings") or []:
            if warning not in self.site.get("warnings", ()):
                yield self._warning(str(warning))

    def _doubts_of_site(self) -> Iterator[str]:
        if not self.site.get("side_known", True):
            yield self.pick(WARNINGS, "site_side_unknown")
        if self.site["crosses_midline"]:
            yield self.pick(WARNINGS, "site_crosses_midline")
        if self.site["small_components"]:
            yield f"{self.pick(WARNINGS, 'site_small_pieces')}: {self.site['small_components']}"

    def _warning(self, warning: str) -> str:
        code, _, subject = warning.partition(":")
        if code not in WARNINGS:
            return f"{self.pick(WARNINGS, 'image_note')}: {warning}"
        text = self.pick(WARNINGS, code)
        if subject in self.symptoms:
            return f"{self.symptom(subject)}: {text}"
        return f"{text} ({subject})" if code == "registered_by" else text


def _number(value: float) -> str:
    """Three digits that count, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
