"""Forms from untrusted values: valid records, or the field that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from medsynth_app.clinical.intake.form import Answer, Intake, Onset, SymptomAnswer, parse_intake
from medsynth_app.clinical.knowledge.side_words import BodySide
from medsynth_app.clinical.knowledge.symptom_model import (
    Handedness,
    ReportedSide,
    ReportedSymptom,
    SymptomDefinition,
    SymptomState,
)
from medsynth_app.errors import InvalidValueError, MalformedRequestError

Definitions = dict[str, SymptomDefinition]


def test_a_full_form(definitions: Definitions) -> None:
    intake = parse_intake(
        {
            "symptoms": [
                {"symptom": "arm_weakness", "answer": "yes", "side": "left", "onset": "weeks"},
                {"symptom": "headache", "answer": False},
                {"symptom": "vertigo", "answer": "unknown"},
            ],
            "handedness": "right",
            "age_years": 54,
            "free_text": "words",
        },
        definitions,
    )
    assert intake == Intake(
        answers=(
            SymptomAnswer("arm_weakness", Answer.YES, BodySide.LEFT, Onset.WEEKS),
            SymptomAnswer("headache", Answer.NO),
            SymptomAnswer("vertigo", Answer.UNKNOWN),
        ),
        handedness=Handedness.RIGHT,
        age_years=54,
        free_text="words",
    )


@pytest.mark.parametrize(
    "symptoms",
    [
        ["arm_weakness", "headache"],
        {"arm_weakness": "yes", "headache": True},
        {"arm_weakness": {"answer": "yes"}, "headache": {}},
    ],
)
def test_short_ways_of_writing(definitions: Definitions, symptoms: Any) -> None:
    intake = parse_intake({"symptoms": symptoms}, definitions)
    assert [each.symptom for each in intake.answers] == ["arm_weakness", "headache"]
    assert {each.answer for each in intake.answers} == {Answer.YES}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"symptoms": [{"symptom": "arm_weak"}]},
            r"symptoms\[0\].symptom: 'arm_weak' is not.*nearest are arm_weakness",
        ),
        (
            {"symptoms": ["headache", {"symptom": "vertigo", "side": "up"}]},
            r"symptoms\[1\].side: 'up' received; allowed: left, right, both, unknown",
        ),
        (
            {"symptoms": [{"symptom": "vertigo", "answer": "maybe"}]},
            r"symptoms\[0\].answer: 'maybe'.*yes, no, unknown",
        ),
        (
            {"symptoms": [{"symptom": "vertigo", "onset": 3}]},
            r"symptoms\[0\].onset: 3 received; allowed: sudden",
        ),
        (
            {"symptoms": [{"symptom": "vertigo", "age": 3}]},
            r"symptoms\[0\]: it has 1 unknown field.*answer, onset, side",
        ),
        ({"handedness": "both"}, "handedness: 'both' received; allowed: right, left, ambidextrous, unknown"),
        ({"age_years": 300}, "age_years: 300 received; allowed: a whole number, 0 to 120"),
        ({"age_years": "54"}, "age_years: '54' received"),
        ({"age_years": True}, "age_years: True received"),
        ({"post_operative": "yes"}, "post_operative: 'yes' received; allowed: true or false"),
        ({"free_text": "x" * 2001}, "free_text: 2001 characters; allowed: up to 2000"),
        ({"free_text": 5}, "free_text: int received; allowed: a text"),
        ({"name": "x"}, "intake: it has 1 unknown field.*allowed: age_years"),
    ],
)
def test_wrong_values_name_their_field(
    definitions: Definitions, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidValueError, match=message) as caught:
        parse_intake(values, definitions)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    "values", [[], "text", None, {"symptoms": "headache"}, {"symptoms": 5}, {"symptoms": [5]}]
)
def test_wrong_kinds_are_malformed(definitions: Definitions, values: Any) -> None:
    with pytest.raises(MalformedRequestError, match="received; allowed"):
        parse_intake(values, definitions)


def test_contradiction_is_refused_and_repetition_is_not(definitions: Definitions) -> None:
    same = {"symptom": "vertigo", "answer": "yes"}
    assert len(parse_intake({"symptoms": [same, same]}, definitions).answers) == 1
    with pytest.raises(InvalidValueError, match=r"symptoms\[1\]: 'vertigo' is answered twice") as caught:
        parse_intake({"symptoms": [same, same | {"answer": "no"}]}, definitions)
    assert caught.value.code == "contradictory_answers"


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        ({"symptoms": ["arm_weakness"]}, "side_missing:arm_weakness"),
        ({"symptoms": [{"symptom": "vertigo", "side": "left"}]}, "side_not_used:vertigo"),
        ({"symptoms": [{"symptom": "arm_weakness", "side": "both"}]}, "side_both:arm_weakness"),
        ({"age_years": 9}, "age_below_18"),
    ],
)
def test_doubtful_values_warn(definitions: Definitions, values: dict[str, Any], warning: str) -> None:
    assert parse_intake(values, definitions).warnings == (warning,)


def test_a_sentence_as_symptom_is_not_repeated(definitions: Definitions) -> None:
    with pytest.raises(InvalidValueError, match="a text is not a known symptom") as caught:
        parse_intake({"symptoms": ["Hong Gildong has a headache"]}, definitions)
    assert "Hong" not in str(caught.value)


def test_answers_as_the_score_takes_them(definitions: Definitions) -> None:
    intake = parse_intake(
        {
            "symptoms": [
                {"symptom": "arm_weakness", "side": "right"},
                {"symptom": "leg_weakness", "side": "both"},
                {"symptom": "vertigo", "answer": "no"},
                {"symptom": "headache", "answer": "unknown"},
            ]
        },
        definitions,
    )
    assert intake.reported_symptoms(definitions) == (
        ReportedSymptom("arm_weakness", SymptomState.PRESENT, ReportedSide.RIGHT),
        ReportedSymptom("leg_weakness", SymptomState.PRESENT, ReportedSide.UNKNOWN),
        ReportedSymptom("vertigo", SymptomState.DENIED, ReportedSide.NONE),
        ReportedSymptom("headache", SymptomState.NOT_ASKED, ReportedSide.NONE),
    )


def test_own_words_stay_out_of_print_and_dictionary(definitions: Definitions) -> None:
    intake = parse_intake({"free_text": "Hong Gildong"}, definitions)
    assert "Hong" not in repr(intake) + str(intake) + str(intake.as_dict())
    assert intake.as_dict(with_free_text=True)["free_text"] == "Hong Gildong"
