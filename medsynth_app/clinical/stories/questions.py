"""What to ask back where a patient's words leave two readings, with the answers as buttons."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from medsynth_app.clinical.knowledge.side_words import BodySide


class Reported(Protocol):
    """What a question needs to know of a finding."""

    @property
    def id(self) -> str:
        """The symptom."""

    @property
    def state(self) -> str:
        """``present`` or ``denied``."""

    @property
    def side(self) -> BodySide:
        """The side named."""

    @property
    def words(self) -> str:
        """The clause it was read in."""


@dataclass(frozen=True)
class Choice:
    """One answer.

    Attributes:
        label_en: the button, English.
        label_ko: the button, Korean.
        id: the symptom that the answer means.
        side: the side that the answer means.
    """

    label_en: str
    label_ko: str
    id: str
    side: str


@dataclass(frozen=True)
class Question:
    """Something to ask the patient.

    Attributes:
        kind: stable name of the question.
        about: the finding's symptom that the answer replaces.
        text_en: the question, English.
        text_ko: the question, Korean.
        choices: two or three answers.
    """

    kind: str
    about: str
    text_en: str
    text_ko: str
    choices: tuple[Choice, ...]


_SIGHT = frozenset({"homonymous_hemianopia", "monocular_visual_loss"})
_GENERAL_SIGHT = frozenset({"visual_field_defect"})
_SPEECH = frozenset({"aphasia_expressive", "aphasia_unspecified"})


def questions_for(findings: Sequence[Reported], sided: Collection[str]) -> tuple[Question, ...]:
    """At most one question for each present finding.

    Args:
        findings: what was understood.
        sided: symptoms for which a side is asked.
    """
    asked = (_question(each, sided) for each in findings if each.state == "present")
    return tuple(each for each in asked if each is not None)


def _question(finding: Reported, sided: Collection[str]) -> Question | None:
    side = finding.side.value
    lateral = finding.side in (BodySide.LEFT, BodySide.RIGHT)
    if finding.id in _SIGHT and lateral:
        return Question(
            "both_eyes_or_one", finding.id,
            "Cover one eye, then the other: is the sight on that side missing in both eyes, or in one eye only?",
            "한쪽 눈씩 가려 보세요. 그쪽이 두 눈 모두에서 안 보이나요, 한쪽 눈에서만 안 보이나요?",
            (Choice("both eyes", "두 눈 모두", "homonymous_hemianopia", side),
             Choice("one eye only", "한쪽 눈만", "monocular_visual_loss", side)),
        )  # fmt: skip
    if finding.id == "intention_tremor" and lateral:
        return Question(
            "when_it_shakes", finding.id, "When does it shake?", "언제 떨리나요?",
            (Choice("when reaching for something", "물건을 잡으려 할 때", "intention_tremor", side),
             Choice("at rest", "가만히 있을 때", "rest_tremor_parkinsonism", side),
             Choice("in attacks, jerking", "발작처럼 튀듯이", "seizure_focal_motor", side)),
        )  # fmt: skip
    if finding.id in _SPEECH:
        return Question(
            "what_of_speech", finding.id, "What is it about the speech?", "말의 어떤 점이 힘드세요?",
            (Choice("the words do not come", "하고 싶은 단어가 안 떠오름", "aphasia_expressive", "unknown"),
             Choice("the words come, but slurred", "단어는 아는데 발음이 어눌함", "dysarthria", "unknown"),
             Choice("others' words are not understood", "남의 말을 못 알아들음", "aphasia_receptive", "unknown")),
        )  # fmt: skip
    if finding.id in sided and finding.side is BodySide.UNKNOWN:
        return _which_side(finding.id)
    return None


def _which_side(symptom: str) -> Question:
    sides = (("left", "왼쪽"), ("right", "오른쪽"), ("both", "양쪽"))
    return Question(
        "which_side", symptom, "On which side?", "어느 쪽인가요?",
        tuple(Choice(en, ko, symptom, en) for en, ko in sides),
    )  # fmt: skip
