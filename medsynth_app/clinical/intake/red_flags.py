"""Signs that need urgent care whatever the score says: raised pressure, a new seizure, brainstem signs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from medsynth_app.clinical.intake.form import Answer, Intake, Onset
from medsynth_app.imaging.atlas.brain_regions import Lobe

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


POSTERIOR_FOSSA = RedFlag(
    id="posterior_fossa_vomiting",
    all_of=("nausea_vomiting",),
    onset=(),
    rapidly_worse=False,
    text_en="Vomiting with a lesion or signs of the cerebellum: the way of the cerebrospinal fluid may be closing",
    text_ko="소뇌 병변 또는 소뇌 증상과 구토: 뇌척수액 통로 폐쇄 위험",
)
"""Raised by vomiting with a mass in the cerebellum, or with a sign of it before any image is there (obstructive
hydrocephalus: NICE NG127, suspected neurological conditions; textbook consensus, page not checked)."""
_CEREBELLAR_SIGNS = (
    "limb_ataxia", "truncal_ataxia", "gait_ataxia", "dysmetria", "dysdiadochokinesia", "intention_tremor"
)  # fmt: skip


def raised_flags(
    intake: Intake, flags: Iterable[RedFlag], lobes: Collection[Lobe] = ()
) -> tuple[RedFlag, ...]:
    """The signs that a form shows, in the order of the knowledge base.

    Args:
        intake: the answers.
        flags: of the knowledge base.
        lobes: where the mask lies, as far as an image tells.
    """
    raised = [flag for flag in flags if flag.is_raised_by(intake)]
    cerebellar = Lobe.CEREBELLUM in lobes or any(intake.has(sign) for sign in _CEREBELLAR_SIGNS)
    if cerebellar and POSTERIOR_FOSSA.is_raised_by(intake):
        raised.append(POSTERIOR_FOSSA)
    return tuple(raised)
