"""``/medsynth/api/symptoms``: the knowledge base's symptoms, searched in Korean and English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from medsynth_app.api.dependencies import ClinicHere
from medsynth_app.api.schemas import (
    CandidateView,
    ChoiceView,
    FindingView,
    PhraseRequest,
    QuestionView,
    SymptomList,
    SymptomView,
    UnderstandingView,
)
from medsynth_app.clinical.database.knowledge_repository import Symptom
from medsynth_app.clinical.free_text.phrase_index import ACCEPTANCE_SCORE, Understanding
from medsynth_app.clinical.knowledge.side_words import BodySide
from medsynth_app.clinical.report.fhir import questionnaire
from medsynth_app.clinical.repository import Repository
from medsynth_app.clinical.stories.questions import Question
from medsynth_app.clinical.stories.reading import DENIED, LONGEST_LOOKUP, Story

router = APIRouter(tags=["Clinic"])
Language = Literal["ko", "en"]


@router.get("/symptoms", summary="All symptoms, or those that fit a word or phrase (ko, en)")
def symptoms(
    clinic: ClinicHere,
    q: Annotated[str, Query(max_length=500, description="Word or phrase; for stories use POST.")] = "",
    lang: Language = "en",
    kind: str | None = None,
    limit: Annotated[int, Query(ge=1, le=300)] = 300,
) -> SymptomList:
    repository = clinic.repository
    if not q.strip():
        return SymptomList(symptoms=[_view(each, lang) for each in repository.symptoms(kind)][:limit])
    understood = _understanding(q, min(limit, 10), repository, lang)
    known = {each.id: each for each in repository.symptoms(kind)}
    by_phrase = [each.symptom for each in understood.candidates]
    by_name = [each.id for each in repository.symptoms_named(q, limit)]
    found = [known[each] for each in dict.fromkeys([*by_phrase, *by_name]) if each in known]
    return SymptomList(
        symptoms=[_view(each, lang) for each in found[:limit]],
        understanding=understood,
    )


@router.post("/symptoms/understand", summary="What a patient's story means: findings, questions, the rest")
def understand(request: PhraseRequest, clinic: ClinicHere, lang: Language = "en") -> UnderstandingView:
    return _understanding(request.text, request.limit, clinic.repository, lang)


@router.get("/questionnaire", summary="The intake form as a FHIR R4 Questionnaire")
def intake_questionnaire(clinic: ClinicHere, lang: Language = "en") -> dict[str, Any]:
    return questionnaire(clinic.repository.symptoms(), lang)


def _view(symptom: Symptom, lang: Language) -> SymptomView:
    name = symptom.name_ko if lang == "ko" else symptom.name_en
    shared = {key: getattr(symptom, key) for key in SymptomView.model_fields if key != "name"}
    return SymptomView(name=name, **shared)


def _understanding(text: str, limit: int, repository: Repository, lang: Language) -> UnderstandingView:
    story = repository.read_story(text)
    names = {each.id: each.name_ko if lang == "ko" else each.name_en for each in repository.symptoms()}
    phrase = repository.understand(text[:LONGEST_LOOKUP], limit)
    candidates = _candidates(story, phrase, names)[:limit]
    first = story.findings[0] if story.findings else None
    return UnderstandingView(
        language=phrase.language,
        side=phrase.side.value if first is None or first.side is BodySide.UNKNOWN else first.side.value,
        negated=phrase.negated if first is None else first.state == DENIED,
        body_parts=list(phrase.body_parts),
        candidates=candidates,
        findings=[
            FindingView(
                id=each.id,
                name=names.get(each.id, each.id),
                state="denied" if each.state == DENIED else "present",
                side=each.side.value,
                onset=each.onset.value,
                course=list(each.course),
                intensity=each.intensity,
                confidence=each.confidence,
                words=each.words,
            )
            for each in story.findings
        ],
        questions=[_question(each, names, lang) for each in story.questions],
        not_understood=list(story.not_understood),
    )


def _candidates(story: Story, phrase: Understanding, names: Mapping[str, str]) -> list[CandidateView]:
    """The findings first, then what else a single phrase might mean; nothing where nothing was understood."""
    asked = {each.about for each in story.questions}
    matched = {each.symptom: each for each in phrase.candidates}
    found = {
        each.id: CandidateView(
            symptom=each.id,
            name=names.get(each.id, each.id),
            score=round(max(each.confidence, matched[each.id].score if each.id in matched else 0.0), 3),
            matched=matched[each.id].matched if each.id in matched else each.words,
            negated=each.state == DENIED,
            side=each.side.value,
            needs_confirmation=each.confidence < ACCEPTANCE_SCORE or each.id in asked,
        )
        for each in story.findings
    }
    others = [
        CandidateView(
            symptom=each.symptom,
            name=names.get(each.symptom, each.symptom),
            score=round(each.score, 3),
            matched=each.matched,
            negated=each.negated,
            side=each.side.value,
            needs_confirmation=True,
        )
        for each in phrase.candidates
        if found and each.symptom not in found
    ]
    return [*found.values(), *others]


def _question(question: Question, names: Mapping[str, str], lang: Language) -> QuestionView:
    korean = lang == "ko"
    return QuestionView(
        kind=question.kind,
        about=question.about,
        text=question.text_ko if korean else question.text_en,
        choices=[
            ChoiceView(
                label=each.label_ko if korean else each.label_en,
                id=each.id,
                name=names.get(each.id, each.id),
                side=each.side,
            )
            for each in question.choices
        ],
    )
