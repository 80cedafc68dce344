"""Signs that need urgent care whatever the score says: raised pressure, a new seizure, brainstem signs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from medsynth_app.clinical.intake import Answer, Intake, Onset

EMERGENCY_EN = "Go to an emergency department now."
EMERGENCY_KO = "지금 바로 응급실로 가십시오."


@dataclass(frozen=True)
class RedFlag:
    """A combination of answers that calls for urgent care.

    Attributes:
        id: stable name.
        all_of: symptoms that must all be answered yes; empty where ``rapidly_worse`` alone counts.
        onset: the onset of one of them must be among these; any where empty.
        rapidly_worse: the form must say that symptoms get rapidly worse.
        text_en: the reason, English.
        text_ko: the reason, Korean.
    """

    id: str
    all_of: tuple[str, ...]
    onset: tuple[Onset, ...]
    rapidly_worse: bool
    text_en: str
    text_ko: str

    def is_raised_by(self, intake: Intake) -> bool:
        """Whether a form shows this sign."""
        if self.rapidly_worse and not intake.rapidly_worse:
            return False
        if not all(intake.has(symptom) for symptom in self.all_of):
            return False
        begun = {
            each.onset for each in intake.answers if each.symptom in self.all_of and each.answer is Answer.YES
        }
        return not self.onset or bool(begun & set(self.onset))


def raised_flags(intake: Intake, flags: Iterable[RedFlag]) -> tuple[RedFlag, ...]:
    """The signs that a form shows, in the order of the knowledge base."""
    return tuple(flag for flag in flags if flag.is_raised_by(intake))
