"""What a patient fills in before the visit: a structured yes / no / unknown for each symptom.

A record that exists is valid. `parse_intake` turns untrusted values (JSON, FHIR answers, form fields) into
records, or names the field that is wrong. What is doubtful but usable becomes a warning with a stable code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, TypeVar

from medsynth_app.clinical.knowledge.side_words import BodySide
from medsynth_app.clinical.knowledge.symptom_model import (
    Handedness,
    ReportedSide,
    ReportedSymptom,
    SymptomDefinition,
    SymptomState,
)
from medsynth_app.clinical.symptom_names import nearest_symptoms
from medsynth_app.errors import InvalidValueError, MalformedRequestError

ADULT_AGE = 18
OLDEST_AGE = 120
LONGEST_FREE_TEXT = 2_000


class Answer(str, Enum):
    """The answer to "do you have this?"."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Onset(str, Enum):
    """How long ago, or how fast, a symptom began."""

    SUDDEN = "sudden"
    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"
    YEARS = "years"
    UNKNOWN = "unknown"


_STATES = {
    Answer.YES: SymptomState.PRESENT,
    Answer.NO: SymptomState.DENIED,
    Answer.UNKNOWN: SymptomState.NOT_ASKED,
}
_SIDES = {BodySide.LEFT: ReportedSide.LEFT, BodySide.RIGHT: ReportedSide.RIGHT}


@dataclass(frozen=True)
class SymptomAnswer:
    """One answered question.

    Attributes:
        symptom: identifier in the knowledge base.
        answer: yes, no, or unknown (asked, and the patient does not know).
        side: side of the patient.
        onset: when it began.
    """

    symptom: str
    answer: Answer
    side: BodySide = BodySide.UNKNOWN
    onset: Onset = Onset.UNKNOWN


@dataclass(frozen=True)
class Intake:
    """A filled-in form. It holds no name and no birth date.

    Attributes:
        answers: at most one per symptom, in the order given.
        handedness: preferred hand.
        age_years: age; under 18 the cross-check answers ``indeterminate``.
        post_operative: whether the brain was operated on.
        rapidly_worse: whether the symptoms get worse from day to day.
        free_text: the patient's own words; may hold a name, so it is stored apart and never logged.
        warnings: what was doubtful, as stable codes such as ``side_missing:arm_weakness``.
    """

    answers: tuple[SymptomAnswer, ...]
    handedness: Handedness = Handedness.UNKNOWN
    age_years: int | None = None
    post_operative: bool = False
    rapidly_worse: bool = False
    free_text: str = ""
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # free text must not reach a log through a record's printed form
        return f"Intake({len(self.answers)} answers, free text of {len(self.free_text)} characters)"

    @property
    def is_child(self) -> bool:
        """Under 18; False where the age is unknown."""
        return self.age_years is not None and self.age_years < ADULT_AGE

    def has(self, symptom: str) -> bool:
        """Whether the patient answered yes to a symptom."""
        return any(each.symptom == symptom and each.answer is Answer.YES for each in self.answers)

    def reported_symptoms(self, definitions: Mapping[str, SymptomDefinition]) -> tuple[ReportedSymptom, ...]:
        """The answers as the score takes them.

        A side on both sides, or on a symptom that has none, becomes unknown: the score averages over it.
        """
        return tuple(
            ReportedSymptom(
                each.symptom,
                _STATES[each.answer],
                _SIDES.get(each.side, ReportedSide.UNKNOWN)
                if definitions[each.symptom].side_asked != "none"
                else ReportedSide.NONE,
            )
            for each in self.answers
        )

    def as_dict(self, *, with_free_text: bool = False) -> dict[str, Any]:
        """Plain values for JSON; the patient's own words only where asked for."""
        values = asdict(self)
        values["answers"] = [
            {name: part.value if isinstance(part, Enum) else part for name, part in each.items()}
            for each in values["answers"]
        ]
        values["handedness"] = self.handedness.value
        values["warnings"] = list(self.warnings)
        if not with_free_text:
            del values["free_text"]
        return values


def parse_intake(values: Mapping[str, Any], definitions: Mapping[str, SymptomDefinition]) -> Intake:
    """Read a form from untrusted values.

    Args:
        values: ``symptoms`` (a list of ``{symptom, answer, side, onset}`` or of identifiers, or a mapping of
            identifier to answer), ``handedness``, ``age_years``, ``post_operative``, ``rapidly_worse``,
            ``free_text``; all but ``symptoms`` may be absent.
        definitions: the knowledge base, by identifier.

    Raises:
        MalformedRequestError: the form, or ``symptoms``, is of the wrong kind.
        InvalidValueError: a value is not allowed; the message starts with the field, for example
            ``symptoms[2].side``.
    """
    if not isinstance(values, Mapping):
        raise MalformedRequestError(f"intake: {type(values).__name__} received; allowed: an object")
    _refuse_unknown_fields(values, _INTAKE_FIELDS, "intake")
    warnings: list[str] = []
    answers = _answers(values.get("symptoms", []), definitions, warnings)
    return Intake(
        answers=answers,
        handedness=_member(Handedness, values.get("handedness"), Handedness.UNKNOWN, "handedness"),
        age_years=_age(values.get("age_years"), warnings),
        post_operative=_flag(values.get("post_operative"), "post_operative"),
        rapidly_worse=_flag(values.get("rapidly_worse"), "rapidly_worse"),
        free_text=_free_text(values.get("free_text")),
        warnings=tuple(warnings),
    )


_INTAKE_FIELDS = frozenset(
    {"symptoms", "handedness", "age_years", "post_operative", "rapidly_worse", "free_text"}
)
_ANSWER_FIELDS = frozenset({"symptom", "answer", "side", "onset"})


def _answers(
    written: Any, definitions: Mapping[str, SymptomDefinition], warnings: list[str]
) -> tuple[SymptomAnswer, ...]:
    if isinstance(written, Mapping):
        written = [
            {"symptom": symptom, **value}
            if isinstance(value, Mapping)
            else {"symptom": symptom, "answer": value}
            for symptom, value in written.items()
        ]
    if isinstance(written, (str, bytes)) or not isinstance(written, Sequence):
        raise MalformedRequestError(
            f"symptoms: {type(written).__name__} received; allowed: a list or an object"
        )
    found: dict[str, SymptomAnswer] = {}
    for place, each in enumerate(written):
        answer = _answer(each, f"symptoms[{place}]", definitions, warnings)
        earlier = found.get(answer.symptom)
        if earlier is not None and earlier != answer:
            raise InvalidValueError(
                f"symptoms[{place}]: {answer.symptom!r} is answered twice and differently "
                f"({earlier.answer.value} {earlier.side.value}, then "
                f"{answer.answer.value} {answer.side.value}); "
                "give one answer",
                code="contradictory_answers",
            )
        found[answer.symptom] = answer
    return tuple(found.values())


def _answer(
    written: Any, field: str, definitions: Mapping[str, SymptomDefinition], warnings: list[str]
) -> SymptomAnswer:
    if isinstance(written, str):
        written = {"symptom": written}
    if not isinstance(written, Mapping):
        raise MalformedRequestError(
            f"{field}: {type(written).__name__} received; allowed: an object or a name"
        )
    _refuse_unknown_fields(written, _ANSWER_FIELDS, field)
    symptom = _symptom(written.get("symptom"), f"{field}.symptom", definitions)
    answer = _member(Answer, _yes_no(written.get("answer")), Answer.YES, f"{field}.answer")
    side = _member(BodySide, written.get("side"), BodySide.UNKNOWN, f"{field}.side")
    onset = _member(Onset, written.get("onset"), Onset.UNKNOWN, f"{field}.onset")
    if answer is Answer.YES:
        warnings.extend(_side_warnings(definitions[symptom], side))
    return SymptomAnswer(symptom, answer, side, onset)


def _side_warnings(definition: SymptomDefinition, side: BodySide) -> list[str]:
    if definition.side_asked == "none":
        return [f"side_not_used:{definition.id}"] if side is not BodySide.UNKNOWN else []
    if side is BodySide.UNKNOWN and definition.needs_side:
        return [f"side_missing:{definition.id}"]
    return [f"side_both:{definition.id}"] if side is BodySide.BOTH else []


def _symptom(written: Any, field: str, definitions: Mapping[str, SymptomDefinition]) -> str:
    if isinstance(written, str) and written in definitions:
        return written
    # a wrong identifier may be a sentence about a patient: repeated only if it looks like one of ours
    shown = (
        repr(written)
        if isinstance(written, str) and written.isidentifier() and len(written) <= 60
        else "a text"
    )  # noqa: PLR2004
    near = nearest_symptoms(str(written), definitions)
    raise InvalidValueError(
        f"{field}: {shown} is not a known symptom; nearest are {', '.join(near)}", code="unknown_symptom"
    )


EnumMember = TypeVar("EnumMember", bound=Enum)


def _member(kind: type[EnumMember], written: Any, otherwise: EnumMember, field: str) -> EnumMember:
    if written is None or written == "":
        return otherwise
    try:
        return kind(written)
    except ValueError:
        allowed = ", ".join(str(each.value) for each in kind)
        raise InvalidValueError(f"{field}: {_shown(written)} received; allowed: {allowed}") from None


def _yes_no(written: Any) -> Any:
    return {True: "yes", False: "no"}[written] if isinstance(written, bool) else written


def _age(written: Any, warnings: list[str]) -> int | None:
    if written is None:
        return None
    if isinstance(written, bool) or not isinstance(written, int) or not 0 <= written <= OLDEST_AGE:
        raise InvalidValueError(
            f"age_years: {_shown(written)} received; allowed: a whole number, 0 to {OLDEST_AGE}"
        )
    if written < ADULT_AGE:
        warnings.append("age_below_18")
    return written


def _flag(written: Any, field: str) -> bool:
    if written is None or isinstance(written, bool):
        return bool(written)
    raise InvalidValueError(f"{field}: {_shown(written)} received; allowed: true or false")


def _free_text(written: Any) -> str:
    if written is None:
        return ""
    if not isinstance(written, str):
        raise InvalidValueError(f"free_text: {type(written).__name__} received; allowed: a text")
    if len(written) > LONGEST_FREE_TEXT:
        raise InvalidValueError(f"free_text: {len(written)} characters; allowed: up to {LONGEST_FREE_TEXT}")
    return written


def _refuse_unknown_fields(values: Mapping[str, Any], known: frozenset[str], field: str) -> None:
    strange = [each for each in values if each not in known]
    if strange:
        raise InvalidValueError(
            f"{field}: it has {len(strange)} unknown field(s); allowed: {', '.join(sorted(known))}",
            code="unknown_field",
        )


def _shown(written: Any) -> str:
    """A wrong value as a message may repeat it: short plain words only, so that no patient's text slips
    out."""
    text = repr(written)
    return (
        text if len(text) <= 24 and " " not in text else f"{type(written).__name__} of {len(text)} characters"
    )  # noqa: PLR2004
