"""FHIR R4 at the border: a form in, findings out. Plain values; no FHIR package (the usual one dropped R4).

In: `questionnaire` offers the form, `intake_from_response` reads the filled-in QuestionnaireResponse. Out:
`observations` (one per answer) and `diagnostic_report`, ``preliminary`` until a person has decided.
Symptoms are coded in HPO and ICD-10-CM; SNOMED CT is left out because its licence does not reach every user
of this program.

Link identifiers of the form: ``symptom/ID`` with the answer yes, no or unknown; nested ``symptom/ID/side``
and ``symptom/ID/onset``; ``handedness``, ``age-years``, ``post-operative``, ``rapidly-worse``,
``free-text``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from medsynth_app.clinical.database.knowledge_repository import Symptom
from medsynth_app.clinical.intake.form import Answer, Intake, Onset, SymptomAnswer, parse_intake
from medsynth_app.clinical.knowledge.side_words import BodySide
from medsynth_app.clinical.knowledge.symptom_model import Handedness, SymptomDefinition
from medsynth_app.clinical.record.decision import CrossCheckStatus, DecisionAction
from medsynth_app.clinical.record.repository import StoredCrossCheck
from medsynth_app.errors import InvalidValueError, MalformedRequestError
from medsynth_app.vocabulary import RESEARCH_NOTICE

HPO_SYSTEM = "http://human-phenotype-ontology.org"
ICD10_CM_SYSTEM = "http://hl7.org/fhir/sid/icd-10-cm"
ANSWER_SYSTEM = "urn:medsynth:answer"
CASE_SYSTEM = "urn:medsynth:case"
CROSS_CHECK_SYSTEM = "urn:medsynth:cross-check"
DATA_ABSENT_SYSTEM = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_FIELDS = {
    "handedness": "handedness",
    "age-years": "age_years",
    "post-operative": "post_operative",
    "rapidly-worse": "rapidly_worse",
    "free-text": "free_text",
}
_SYMPTOM = "symptom/"
_QUESTIONS = {
    "side": ("Which side?", "어느 쪽입니까?"),
    "onset": ("When did it begin?", "언제 시작되었습니까?"),
    "handedness": ("Which hand do you prefer?", "주로 쓰는 손은?"),
    "age-years": ("Age in years", "나이(세)"),
    "post-operative": ("Was the brain operated on?", "뇌 수술을 받았습니까?"),
    "rapidly-worse": ("Do the symptoms get worse from day to day?", "증상이 날마다 나빠집니까?"),
    "free-text": ("In your own words", "자유롭게 적어 주세요"),
}


# ---- in ----


def questionnaire(symptoms: Iterable[Symptom], language: str = "en") -> dict[str, Any]:
    """The form as a FHIR R4 Questionnaire.

    Args:
        symptoms: those to ask for.
        language: ``en`` or ``ko``.

    Raises:
        InvalidValueError: another language.
    """
    if language not in {"en", "ko"}:
        raise InvalidValueError(f"language: {language!r}; allowed: en, ko")
    return {
        "resourceType": "Questionnaire",
        "url": "urn:medsynth:questionnaire:intake",
        "status": "draft",
        "language": language,
        "title": "Symptom intake" if language == "en" else "증상 문진",
        "description": RESEARCH_NOTICE,
        "subjectType": ["Patient"],
        "item": [*(_question(each, language) for each in symptoms), *_general_questions(language)],
    }


def intake_from_response(response: Mapping[str, Any], definitions: Mapping[str, SymptomDefinition]) -> Intake:
    """Read a filled-in form.

    Args:
        response: FHIR R4 QuestionnaireResponse as plain values. ``subject`` and ``author`` are not read.
        definitions: the knowledge base, by identifier.

    Raises:
        MalformedRequestError: it is not a QuestionnaireResponse, or not shaped as one.
        InvalidValueError: an unknown question or a value that is not allowed; the message names the field.
    """
    if not isinstance(response, Mapping) or response.get("resourceType") != "QuestionnaireResponse":
        raise MalformedRequestError(
            "resourceType: not 'QuestionnaireResponse'; allowed: a FHIR R4 QuestionnaireResponse"
        )
    if response.get("status") in {"entered-in-error", "stopped"}:
        raise InvalidValueError(f"status: {response['status']!r}; allowed: in-progress, completed, amended")
    values: dict[str, Any] = {"symptoms": []}
    for item, path in _items(response.get("item", []), "item"):
        link = item.get("linkId")
        if isinstance(link, str) and link.startswith(_SYMPTOM):
            _read_symptom(values["symptoms"], link.removeprefix(_SYMPTOM), item, path)
        elif link in _FIELDS:
            values[_FIELDS[str(link)]] = _answer_value(item, path)
        elif item.get("answer"):
            raise InvalidValueError(
                f"{path}.linkId: not a question of this form; allowed: symptom/ID, {', '.join(_FIELDS)}",
                code="unknown_question",
            )
    return parse_intake(values, definitions)


def _items(items: Any, path: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Items in order, groups opened; the parts of a symptom stay inside it."""
    if not isinstance(items, Sequence) or isinstance(items, (str, bytes)):
        raise MalformedRequestError(f"{path}: not a list; allowed: a list of items")
    for place, item in enumerate(items):
        here = f"{path}[{place}]"
        if not isinstance(item, Mapping):
            raise MalformedRequestError(f"{here}: not an object; allowed: an item with linkId")
        yield item, here
        if not str(item.get("linkId", "")).startswith(_SYMPTOM):
            yield from _items(item.get("item", []), f"{here}.item")


def _read_symptom(found: list[dict[str, Any]], name: str, item: Mapping[str, Any], path: str) -> None:
    answer = _answer_value(item, path)
    if answer is None:
        return  # a blank is not an answer
    entry = {"symptom": name, "answer": answer}
    for nested, here in _items(_nested(item), f"{path}.item"):
        part = str(nested.get("linkId", "")).removeprefix(f"{_SYMPTOM}{name}/")
        if part not in {"side", "onset"}:
            raise InvalidValueError(
                f"{here}.linkId: not a part of a symptom; allowed: side, onset", code="unknown_question"
            )
        entry[part] = _answer_value(nested, here)
    found.append(entry)


def _nested(item: Mapping[str, Any]) -> list[Any]:
    # R4 allows follow-up questions under the item or under its answer
    under_answer = [
        each
        for answer in item.get("answer", [])
        if isinstance(answer, Mapping)
        for each in answer.get("item", [])
    ]
    return [*item.get("item", []), *under_answer]


def _answer_value(item: Mapping[str, Any], path: str) -> Any:
    answers = item.get("answer", [])
    if not isinstance(answers, list) or len(answers) > 1:
        raise MalformedRequestError(f"{path}.answer: more than one, or not a list; allowed: one answer")
    if not answers:
        return None
    values = (
        [value for name, value in answers[0].items() if name.startswith("value")]
        if isinstance(answers[0], Mapping)
        else []
    )
    if len(values) != 1:
        raise MalformedRequestError(f"{path}.answer[0]: {len(values)} values; allowed: one of value[x]")
    value = values[0]
    return value.get("code") if isinstance(value, Mapping) else value


# ---- out ----


def observations(check: StoredCrossCheck, symptoms: Mapping[str, Symptom]) -> list[dict[str, Any]]:
    """One FHIR R4 Observation for each answer of a stored cross-check.

    A denial is ``valueBoolean`` false; "unknown" has a ``dataAbsentReason`` instead of a value.

    Args:
        check: the cross-check.
        symptoms: the knowledge base, by identifier.
    """
    return [
        _observation(check, place, _stored_answer(each), symptoms[each["symptom"]])
        for place, each in enumerate(check.intake["answers"], start=1)
    ]


def diagnostic_report(
    check: StoredCrossCheck, symptoms: Mapping[str, Symptom], conclusion: str
) -> dict[str, Any]:
    """A FHIR R4 DiagnosticReport of a stored cross-check: ``final`` only when it was signed.

    Args:
        check: the cross-check.
        symptoms: the knowledge base, by identifier.
        conclusion: the text of the result, for people.
    """
    contained = observations(check, symptoms)
    report: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "id": check.id,
        "identifier": [{"system": CROSS_CHECK_SYSTEM, "value": check.id}],
        "status": report_status(check),
        "code": {"text": "Cross-check of reported symptoms and segmented tumour site"},
        "subject": _subject(check),
        "effectiveDateTime": check.created_at,
        "issued": check.decision.decided_at if check.decision else check.created_at,
        "conclusion": f"{conclusion} {RESEARCH_NOTICE}".strip(),
        "contained": contained,
        "result": [{"reference": f"#{each['id']}"} for each in contained],
    }
    if check.decision and check.status is CrossCheckStatus.FINAL:
        report["resultsInterpreter"] = [{"display": check.decision.actor}]
    return report


def report_status(check: StoredCrossCheck) -> str:
    """FHIR's word for how far a cross-check has come.

    ``preliminary`` until it is final; a rejected one becomes ``cancelled``, an amended one ``amended``.
    """
    if check.status is not CrossCheckStatus.FINAL or check.decision is None:
        return "preliminary"
    words = {
        DecisionAction.ACCEPT: "final",
        DecisionAction.AMEND: "amended",
        DecisionAction.REJECT: "cancelled",
    }
    return words[check.decision.action]


def symptom_concept(symptom: Symptom) -> dict[str, Any]:
    """A symptom as a CodeableConcept: HPO where there is an exact term, ICD-10-CM, and the name."""
    codings = []
    if symptom.hpo_id:
        codings.append({"system": HPO_SYSTEM, "code": symptom.hpo_id, "display": symptom.hpo_label})
    if symptom.icd10_cm:
        codings.append(
            {"system": ICD10_CM_SYSTEM, "code": symptom.icd10_cm, "display": symptom.icd10_cm_label}
        )
    return {"coding": codings, "text": symptom.name_en}


def _observation(
    check: StoredCrossCheck, place: int, answer: SymptomAnswer, symptom: Symptom
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "resourceType": "Observation",
        "id": f"answer-{place}",
        "status": "final" if check.status is CrossCheckStatus.FINAL else "preliminary",
        "category": [{"text": "patient-reported symptom"}],
        "code": symptom_concept(symptom),
        "subject": _subject(check),
        "effectiveDateTime": check.created_at,
    }
    if answer.answer is Answer.UNKNOWN:
        found["dataAbsentReason"] = {"coding": [{"system": DATA_ABSENT_SYSTEM, "code": "asked-unknown"}]}
    else:
        found["valueBoolean"] = answer.answer is Answer.YES
    if answer.side is not BodySide.UNKNOWN:
        found["bodySite"] = {"text": f"{answer.side.value} {symptom.side_asked.replace('_', ' ')}"}
    if answer.onset is not Onset.UNKNOWN:
        found["note"] = [{"text": f"onset: {answer.onset.value}"}]
    return found


def _stored_answer(values: Mapping[str, str]) -> SymptomAnswer:
    return SymptomAnswer(
        values["symptom"], Answer(values["answer"]), BodySide(values["side"]), Onset(values["onset"])
    )


def _subject(check: StoredCrossCheck) -> dict[str, Any]:
    # the pseudonymous case, never a name
    return {"identifier": {"system": CASE_SYSTEM, "value": check.case_id}}


def _question(symptom: Symptom, language: str) -> dict[str, Any]:
    link = f"{_SYMPTOM}{symptom.id}"
    parts = [_choice(f"{link}/onset", "onset", language, Onset)]
    if symptom.side_asked != "none":
        parts.insert(0, _choice(f"{link}/side", "side", language, BodySide))
    return {
        "linkId": link,
        "text": symptom.name_ko if language == "ko" else symptom.name_en,
        "code": symptom_concept(symptom)["coding"],
        "type": "choice",
        "answerOption": _options(Answer),
        "item": parts,
    }


def _general_questions(language: str) -> list[dict[str, Any]]:
    kinds = {
        "age-years": "integer",
        "post-operative": "boolean",
        "rapidly-worse": "boolean",
        "free-text": "text",
    }
    asked = [
        {"linkId": link, "text": _QUESTIONS[link][language == "ko"], "type": kind}
        for link, kind in kinds.items()
    ]
    return [_choice("handedness", "handedness", language, Handedness), *asked]


def _choice(link: str, question: str, language: str, options: type[Enum]) -> dict[str, Any]:
    return {
        "linkId": link,
        "text": _QUESTIONS[question][language == "ko"],
        "type": "choice",
        "answerOption": _options(options),
    }


def _options(options: type[Enum]) -> list[dict[str, Any]]:
    return [{"valueCoding": {"system": ANSWER_SYSTEM, "code": each.value}} for each in options]
