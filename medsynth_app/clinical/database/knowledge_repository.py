"""Questions asked of the knowledge base: symptoms, their words, regions and links."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import select

from medsynth_app.clinical.database.engine import Database
from medsynth_app.clinical.database.tables import (
    LayTermRow,
    LinkRow,
    RedFlagRow,
    RegionRow,
    SeedState,
    SymptomRow,
    SynonymRow,
)
from medsynth_app.clinical.free_text.korean import normalise
from medsynth_app.clinical.free_text.lay_vocabulary import LayTerm
from medsynth_app.clinical.free_text.phrase_index import PhraseIndex, Synonym, Understanding
from medsynth_app.clinical.intake.form import Onset
from medsynth_app.clinical.intake.red_flags import RedFlag
from medsynth_app.clinical.knowledge.symptom_model import LateralityRule, SymptomDefinition, SymptomKind
from medsynth_app.clinical.stories.reading import Story, StoryReader
from medsynth_app.clinical.symptom_names import nearest_symptoms
from medsynth_app.errors import InvalidValueError, NotFoundError
from medsynth_app.imaging.atlas.brain_regions import BrainRegion, Eloquence, Lobe

RETIRED = "retired"


@dataclass(frozen=True)
class Symptom:
    """A symptom as people see it.

    Attributes:
        id: stable identifier.
        name_en: English name.
        name_ko: Korean name.
        hpo_id: Human Phenotype Ontology term, empty where none is exact.
        hpo_label: that term's name.
        icd10_cm: ICD-10-CM code.
        icd10_cm_label: that code's name.
        icd10_category: its three-character category, shared with WHO ICD-10 and KCD.
        kind: deficit, irritative, endocrine or icp.
        laterality_rule: where the lesion lies given the side of the symptom.
        side_asked: what the side refers to, ``none`` where none is asked.
        strength: how much it says about the site, 0 to 1.
        frequency_percent: how often it was found, with its setting.
        evidence_status: sourced, mixed or textbook.
        source: where the association was read.
        note: remarks.
        status: ``draft`` until a clinician has reviewed it.
        version: of this row.
        reviewer: who reviewed it.
        reviewed_on: when, ISO 8601.
    """

    id: str
    name_en: str
    name_ko: str
    hpo_id: str
    hpo_label: str
    icd10_cm: str
    icd10_cm_label: str
    icd10_category: str
    kind: str
    laterality_rule: str
    side_asked: str
    strength: float
    frequency_percent: str
    evidence_status: str
    source: str
    note: str
    status: str
    version: int
    reviewer: str
    reviewed_on: str


@dataclass(frozen=True)
class SymptomRegionLink:
    """How much a symptom points to a region.

    Attributes:
        symptom: identifier.
        region: code.
        weight: share of the symptom's evidence, 0 to 1; a symptom's weights sum to 1.
        laterality_rule: side rule of the symptom.
        side_override: rule that replaces it in this region, empty where none does.
        strength: of the symptom, 0 to 1.
        evidence_status: sourced, mixed or textbook.
        source: where the association was read.
        status: ``draft`` until reviewed.
        version: of this row.
    """

    symptom: str
    region: str
    weight: float
    laterality_rule: str
    side_override: str
    strength: float
    evidence_status: str
    source: str
    status: str
    version: int


class KnowledgeRepository:
    """Questions about symptoms and regions.

    Args:
        database: open database.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._phrase_index: PhraseIndex | None = None
        self._story_reader: StoryReader | None = None

    def knowledge_version(self) -> dict[str, Any]:
        """Version and checksum of the knowledge base, for reports and the audit."""
        with self.database.reading() as session:
            state = session.scalars(select(SeedState)).one()
            return {
                "version": state.version,
                "checksum": state.manifest_checksum,
                "applied_at": state.applied_at,
            }

    def symptoms(self, kind: str | None = None) -> tuple[Symptom, ...]:
        """All symptoms, by identifier; only those of one kind where it is given.

        Raises:
            InvalidValueError: unknown kind.
        """
        if kind is not None and kind not in {each.value for each in SymptomKind}:
            allowed = ", ".join(each.value for each in SymptomKind)
            raise InvalidValueError(f"kind: {kind!r} is not known; allowed: {allowed}")
        query = select(SymptomRow).where(SymptomRow.status != RETIRED).order_by(SymptomRow.id)
        with self.database.reading() as session:
            return tuple(_symptom(row) for row in session.scalars(query) if kind in (None, row.kind))

    def symptom(self, identifier: str) -> Symptom:
        """One symptom.

        Raises:
            NotFoundError: unknown; the message names the three nearest.
        """
        with self.database.reading() as session:
            row = session.get(SymptomRow, identifier)
            if row is not None:
                return _symptom(row)
            known = list(session.scalars(select(SymptomRow.id)))
        near = nearest_symptoms(identifier, known)
        raise NotFoundError(f"symptom: not known; nearest are {', '.join(near)}", code="unknown_symptom")

    def symptoms_named(self, text: str, limit: int = 10) -> tuple[Symptom, ...]:
        """Symptoms one of whose names or synonyms contains a text, for search while typing.

        Args:
            text: at least one character; two-syllable Korean words are found.
            limit: most symptoms returned, those with the shortest matching wording first.
        """
        wanted = normalise(text)
        hits: dict[str, int] = {}
        for synonym in self.synonyms():
            # compared here: SQLite's LIKE ignores case for ASCII only, its trigram index needs 3 letters
            if wanted and wanted in normalise(synonym.text):
                hits[synonym.symptom] = min(len(synonym.text), hits.get(synonym.symptom, 1000))
        symptoms = {each.id: each for each in self.symptoms()}
        order = sorted(hits, key=lambda identifier: (hits[identifier], identifier))
        return tuple(symptoms[each] for each in order if each in symptoms)[:limit]

    def symptom_definitions(self) -> dict[str, SymptomDefinition]:
        """The knowledge base as the score takes it, by identifier."""
        links: dict[str, list[SymptomRegionLink]] = {}
        for link in self.links():
            links.setdefault(link.symptom, []).append(link)
        return {each.id: _definition(each, links.get(each.id, [])) for each in self.symptoms()}

    def synonyms(self, symptom: str | None = None) -> tuple[Synonym, ...]:
        """Ways of naming symptoms, names included; only of one symptom where it is given."""
        query = select(SynonymRow).order_by(SynonymRow.id)
        if symptom is not None:
            query = query.where(SynonymRow.symptom_id == symptom)
        with self.database.reading() as session:
            return tuple(Synonym(row.symptom_id, row.language, row.text) for row in session.scalars(query))

    def lay_terms(self) -> tuple[LayTerm, ...]:
        """Words that mean the same part or quality."""
        query = select(LayTermRow).order_by(LayTermRow.concept, LayTermRow.language)
        with self.database.reading() as session:
            return tuple(
                LayTerm(row.concept, row.kind, row.language, tuple(row.forms.split(";")))
                for row in session.scalars(query)
            )

    def phrase_index(self) -> PhraseIndex:
        """The index of free-text search, built at first use and kept: the knowledge base is fixed while
        open."""
        if self._phrase_index is None:
            with_side = [each.id for each in self.symptoms() if each.side_asked != "none"]
            self._phrase_index = PhraseIndex(self.synonyms(), self.lay_terms(), with_side)
        return self._phrase_index

    def understand(self, text: str, limit: int = 3) -> Understanding:
        """What a patient's phrase means: the best candidates, for the user to confirm.

        Raises:
            InvalidValueError: the phrase is empty or too long.
        """
        return self.phrase_index().understand(text, limit)

    def read_story(self, text: str) -> Story:
        """What a patient's story means: findings with answer, side and onset, questions, what was not understood.

        Raises:
            InvalidValueError: the story is empty or too long.
        """
        if self._story_reader is None:
            asked = {each.id: each.side_asked.split("(")[0].strip() or "none" for each in self.symptoms()}
            self._story_reader = StoryReader(self.phrase_index(), asked)
        return self._story_reader.read(text)

    def regions(self) -> tuple[BrainRegion, ...]:
        """All brain regions, by code."""
        with self.database.reading() as session:
            return tuple(
                BrainRegion(
                    row.code, row.name_en, row.name_ko, Lobe(row.lobe), Eloquence(row.eloquence),
                    row.icd10_site, bool(row.two_sided),
                )
                for row in session.scalars(select(RegionRow).order_by(RegionRow.code))
            )  # fmt: skip

    def links(self, symptom: str | None = None, region: str | None = None) -> tuple[SymptomRegionLink, ...]:
        """Links between symptoms and regions, strongest first within a symptom; filtered where asked."""
        query = select(LinkRow).order_by(LinkRow.symptom_id, LinkRow.weight.desc(), LinkRow.region_code)
        if symptom is not None:
            query = query.where(LinkRow.symptom_id == symptom)
        if region is not None:
            query = query.where(LinkRow.region_code == region)
        with self.database.reading() as session:
            return tuple(_link(row) for row in session.scalars(query))

    def red_flags(self) -> tuple[RedFlag, ...]:
        """Signs that need urgent care."""
        with self.database.reading() as session:
            return tuple(
                _red_flag(row) for row in session.scalars(select(RedFlagRow).order_by(RedFlagRow.id))
            )


def _symptom(row: SymptomRow) -> Symptom:
    return Symptom(**{each.name: getattr(row, each.name) for each in fields(Symptom)})


def _link(row: LinkRow) -> SymptomRegionLink:
    return SymptomRegionLink(
        row.symptom_id, row.region_code, row.weight, row.laterality_rule, row.side_override, row.strength,
        row.evidence_status, row.source, row.status, row.version,
    )  # fmt: skip


def _definition(symptom: Symptom, links: list[SymptomRegionLink]) -> SymptomDefinition:
    return SymptomDefinition(
        id=symptom.id,
        strength=symptom.strength,
        kind=SymptomKind(symptom.kind),
        laterality_rule=LateralityRule(symptom.laterality_rule),
        side_asked=symptom.side_asked,
        regions={link.region: link.weight for link in links},
        region_side_override={
            link.region: LateralityRule(link.side_override) for link in links if link.side_override
        },
    )


def _red_flag(row: RedFlagRow) -> RedFlag:
    return RedFlag(
        id=row.id,
        all_of=tuple(filter(None, row.all_of.split(";"))),
        onset=tuple(Onset(each) for each in filter(None, row.onset.split(";"))),
        rapidly_worse=bool(row.rapidly_worse),
        text_en=row.text_en,
        text_ko=row.text_ko,
    )
