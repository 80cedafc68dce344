"""``/medsynth/api/symptoms``: the knowledge base's symptoms, searched in Korean and English."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from medsynth_app.api.dependencies import ClinicHere
from medsynth_app.api.schemas import CandidateView, PhraseRequest, SymptomList, SymptomView, UnderstandingView
from medsynth_app.clinical.fhir import questionnaire
from medsynth_app.clinical.free_text import Understanding
from medsynth_app.clinical.knowledge_repository import Symptom
from medsynth_app.clinical.repository import Repository

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
    understood = repository.understand(q, limit=min(limit, 10))
    known = {each.id: each for each in repository.symptoms(kind)}
    by_phrase = [each.symptom for each in understood.candidates]
    by_name = [each.id for each in repository.symptoms_named(q, limit)]
    found = [known[each] for each in dict.fromkeys([*by_phrase, *by_name]) if each in known]
    return SymptomList(
        symptoms=[_view(each, lang) for each in found[:limit]],
        understanding=_understanding(understood, repository, lang),
    )


@router.post("/symptoms/understand", summary="What a patient's phrase may mean, for the user to confirm")
def understand(request: PhraseRequest, clinic: ClinicHere, lang: Language = "en") -> UnderstandingView:
    repository = clinic.repository
    return _understanding(repository.understand(request.text, request.limit), repository, lang)


@router.get("/questionnaire", summary="The intake form as a FHIR R4 Questionnaire")
def intake_questionnaire(clinic: ClinicHere, lang: Language = "en") -> dict[str, Any]:
    return questionnaire(clinic.repository.symptoms(), lang)


def _view(symptom: Symptom, lang: Language) -> SymptomView:
    name = symptom.name_ko if lang == "ko" else symptom.name_en
    shared = {key: getattr(symptom, key) for key in SymptomView.model_fields if key != "name"}
    return SymptomView(name=name, **shared)


def _understanding(understood: Understanding, repository: Repository, lang: Language) -> UnderstandingView:
    names = {each.id: each.name_ko if lang == "ko" else each.name_en for each in repository.symptoms()}
    return UnderstandingView(
        language=understood.language,
        side=understood.side.value,
        negated=understood.negated,
        body_parts=list(understood.body_parts),
        candidates=[
            CandidateView(
                symptom=each.symptom,
                name=names.get(each.symptom, each.symptom),
                score=round(each.score, 3),
                matched=each.matched,
                negated=each.negated,
                side=each.side.value,
                needs_confirmation=each.needs_confirmation,
            )
            for each in understood.candidates
        ],
    )
