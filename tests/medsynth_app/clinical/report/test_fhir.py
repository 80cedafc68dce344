"""FHIR R4 at the border."""

from __future__ import annotations

import json
from typing import Any

import pytest

from medsynth_app.clinical.intake.form import Answer, Onset, parse_intake
from medsynth_app.clinical.knowledge.side_words import BodySide
from medsynth_app.clinical.knowledge.symptom_model import Handedness, SymptomDefinition
from medsynth_app.clinical.record.decision import Decision, DecisionAction
from medsynth_app.clinical.report.fhir import (
    HPO_SYSTEM,
    ICD10_CM_SYSTEM,
    diagnostic_report,
    intake_from_response,
    observations,
    questionnaire,
)
from medsynth_app.clinical.repository import Repository
from medsynth_app.errors import InvalidValueError, MalformedRequestError
from medsynth_app.vocabulary import RESEARCH_NOTICE

Definitions = dict[str, SymptomDefinition]


def coded(code: str) -> list[dict[str, Any]]:
    return [{"valueCoding": {"code": code}}]


def response(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "QuestionnaireResponse", "status": "completed", "item": list(items), **more}


def test_response_becomes_an_intake(definitions: Definitions) -> None:
    intake = intake_from_response(
        response(
            {
                "linkId": "group",
                "item": [
                    {
                        "linkId": "symptom/arm_weakness",
                        "answer": coded("yes"),
                        "item": [
                            {"linkId": "symptom/arm_weakness/side", "answer": coded("left")},
                            {"linkId": "symptom/arm_weakness/onset", "answer": coded("weeks")},
                        ],
                    },
                    {"linkId": "symptom/headache", "answer": [{"valueBoolean": False}]},
                ],
            },
            {"linkId": "symptom/vertigo", "answer": coded("unknown")},
            {"linkId": "symptom/diplopia"},
            {"linkId": "handedness", "answer": coded("left")},
            {"linkId": "age-years", "answer": [{"valueInteger": 61}]},
            {"linkId": "free-text", "answer": [{"valueString": "words"}]},
            subject={"display": "Hong Gildong"},
        ),
        definitions,
    )
    arm, headache, vertigo = intake.answers
    assert (arm.answer, arm.side, arm.onset) == (Answer.YES, BodySide.LEFT, Onset.WEEKS)
    assert (headache.answer, vertigo.answer) == (Answer.NO, Answer.UNKNOWN)
    assert (intake.handedness, intake.age_years, intake.free_text) == (Handedness.LEFT, 61, "words")
    assert "Hong" not in str(intake.as_dict(with_free_text=True))


def test_parts_may_stand_under_the_answer(definitions: Definitions) -> None:
    side = {"linkId": "symptom/arm_weakness/side", "answer": coded("right")}
    item = {"linkId": "symptom/arm_weakness", "answer": [{"valueCoding": {"code": "yes"}, "item": [side]}]}
    assert intake_from_response(response(item), definitions).answers[0].side is BodySide.RIGHT


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            {"linkId": "symptom/nothing", "answer": coded("yes")},
            r"symptoms\[0\].symptom: 'nothing' is not a known",
        ),
        (
            {"linkId": "symptom/vertigo", "answer": coded("perhaps")},
            r"symptoms\[0\].answer: 'perhaps' received",
        ),
        ({"linkId": "shoe-size", "answer": coded("44")}, r"item\[0\].linkId: not a question of this form"),
        (
            {
                "linkId": "symptom/vertigo",
                "answer": coded("yes"),
                "item": [{"linkId": "why", "answer": coded("x")}],
            },
            r"item\[0\].item\[0\].linkId: not a part of a symptom; allowed: side, onset",
        ),
        ({"linkId": "age-years", "answer": [{"valueInteger": -1}]}, "age_years: -1 received"),
    ],
)
def test_wrong_answers_name_their_field(definitions: Definitions, item: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        intake_from_response(response(item), definitions)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"resourceType": "Patient"}, "resourceType: not 'QuestionnaireResponse'"),
        ([], "resourceType: not 'QuestionnaireResponse'"),
        (response() | {"item": "x"}, "item: not a list"),
        (response() | {"item": [5]}, r"item\[0\]: not an object"),
        (response({"linkId": "handedness", "answer": coded("left") * 2}), r"item\[0\].answer: more than one"),
        (response({"linkId": "handedness", "answer": [{}]}), r"item\[0\].answer\[0\]: 0 values"),
    ],
)
def test_wrong_shapes_are_malformed(definitions: Definitions, value: Any, message: str) -> None:
    with pytest.raises(MalformedRequestError, match=message):
        intake_from_response(value, definitions)


@pytest.mark.parametrize(("language", "name"), [("en", "Headache"), ("ko", "두통")])
def test_every_question_of_the_form_can_be_answered(
    knowledge: Repository, definitions: Definitions, language: str, name: str
) -> None:
    form = questionnaire(knowledge.symptoms(), language)
    links = {item["linkId"]: item for item in form["item"]}
    assert links["symptom/headache"]["text"] == name
    assert len([link for link in links if link.startswith("symptom/")]) == 130
    filled = [
        {
            "linkId": link,
            "answer": coded("no"),
            "item": [{"linkId": part["linkId"], "answer": part["answerOption"][:1]} for part in item["item"]],
        }
        for link, item in links.items()
        if link.startswith("symptom/")
    ]
    assert len(intake_from_response(response(*filled), definitions).answers) == 130


def test_form_in_another_language(knowledge: Repository) -> None:
    with pytest.raises(InvalidValueError, match="language: 'fr'; allowed: en, ko"):
        questionnaire(knowledge.symptoms(), "fr")


def test_report_is_preliminary_until_it_is_signed(clinic: Repository, definitions: Definitions) -> None:
    symptoms = {each.id: each for each in clinic.symptoms()}
    values = {
        "symptoms": [
            {"symptom": "arm_weakness", "side": "left", "onset": "weeks"},
            {"symptom": "headache", "answer": "no"},
            {"symptom": "neglect", "answer": "unknown"},
        ],
        "free_text": "Hong Gildong",
    }
    stored = clinic.save_cross_check("case-1", "v1", parse_intake(values, definitions), {}, {})
    report = diagnostic_report(stored, symptoms, "concordant with reported symptoms.")
    assert report["status"] == "preliminary"
    assert report["conclusion"] == f"concordant with reported symptoms. {RESEARCH_NOTICE}"
    assert [each["reference"] for each in report["result"]] == ["#answer-1", "#answer-2", "#answer-3"]
    assert "Hong" not in json.dumps(report)
    decided = clinic.decide(stored.id, Decision(DecisionAction.ACCEPT, "Dr Kim", "fits"))
    assert diagnostic_report(decided, symptoms, "")["status"] == "preliminary"
    final = clinic.finalise(stored.id, "Dr Kim")
    signed = diagnostic_report(final, symptoms, "")
    assert signed["status"] == "final"
    assert {each["status"] for each in signed["contained"]} == {"final"}


@pytest.mark.parametrize(
    ("decision", "status"),
    [
        (Decision(DecisionAction.REJECT, "Dr Kim", "artefact"), "cancelled"),
        (Decision(DecisionAction.AMEND, "Dr Kim", "missed", "v2"), "amended"),
    ],
)
def test_other_decisions(clinic: Repository, decision: Decision, status: str) -> None:
    stored = clinic.save_cross_check("case-1", "v1", parse_intake({}, {}), {}, {})
    clinic.decide(stored.id, decision)
    assert diagnostic_report(clinic.finalise(stored.id, "Dr Kim"), {}, "")["status"] == status


def test_observations_say_yes_no_and_unknown(clinic: Repository, definitions: Definitions) -> None:
    values = {
        "symptoms": {
            "arm_weakness": {"side": "left", "onset": "days"},
            "headache": "no",
            "neglect": "unknown",
        }
    }
    stored = clinic.save_cross_check("case-1", "v1", parse_intake(values, definitions), {}, {})
    arm, headache, neglect = observations(stored, {each.id: each for each in clinic.symptoms()})
    assert arm["valueBoolean"] is True
    assert arm["bodySite"] == {"text": "left body"}
    assert arm["code"]["coding"] == [
        {"system": HPO_SYSTEM, "code": "HP:0003484", "display": "Upper limb muscle weakness"},
        {
            "system": ICD10_CM_SYSTEM,
            "code": "G83.20",
            "display": "Monoplegia of upper limb affecting unspecified side",
        },
    ]
    assert headache["valueBoolean"] is False
    assert "valueBoolean" not in neglect
    assert neglect["dataAbsentReason"]["coding"][0]["code"] == "asked-unknown"
    assert [each["system"] for each in neglect["code"]["coding"]] == [ICD10_CM_SYSTEM]
    assert "snomed" not in json.dumps([arm, headache, neglect]).lower()
