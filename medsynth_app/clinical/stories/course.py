"""When a complaint began, how it goes and how bad it is, as far as the patient's words say."""

from __future__ import annotations

import re
from dataclasses import dataclass

from medsynth_app.clinical.intake.form import Onset

_MONTH = (
    "january|february|march|april|may|june|july|august|september|october|november|december|easter|christmas"
)
_DAY = "monday|tuesday|wednesday|thursday|friday|saturday|sunday|yesterday|today|this morning|last night"
_ONSETS: tuple[tuple[Onset, re.Pattern[str]], ...] = (
    (Onset.SUDDEN, re.compile(
        r"\bsudden|all of a sudden|out of the blue|within (?:minutes|seconds)|갑자기|느닷없이|순식간"
    )),
    (Onset.YEARS, re.compile(
        r"\byears?\b(?! old)|\d+\s*년|[일이삼사오육칠팔구십몇여러수]\s*년(?:째|\s|간|동안|전)|수년|작년"
    )),
    (Onset.MONTHS, re.compile(
        rf"\bmonths?\b|\b(?:since|in|from) (?:last )?(?:{_MONTH})\b"
        r"|\d+\s*(?:개월|달)|[한두세네몇여러]\s*달|지난달|\d+월|설날|추석|개월"
    )),
    (Onset.WEEKS, re.compile(r"\bweeks?\b|fortnight|\d+\s*주|[한두세네몇]\s*주|지난주|일주일|이번\s*주")),
    (Onset.DAYS, re.compile(
        rf"\bdays\b|\b(?:since|on|last)? ?(?:{_DAY})\b"
        r"|며칠|\d+\s*일|이틀|사흘|나흘|어제|오늘|그저께|[월화수목금토일]요일"
    )),
)  # fmt: skip
_COURSES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("worse", re.compile(r"\bwors\w+|increas\w+|progress\w+|getting (?:bad|weak)\w*|점점|심해|나빠|악화|더\s*심")),
    ("better", re.compile(r"\bbetter\b|improv\w+|went away|나아|좋아졌|호전")),
    ("in_spells", re.compile(
        r"comes? and goes?|\bspells?\b|\battacks?\b|episodes?|times a day|for (?:a|one|a few|\w+) (?:second|minute)"
        r"|sometimes|now and then"
        r"|가끔|하루에[도]?\s*몇\s*번|몇\s*분|일\s*분|때때로|왔다\s*갔다|발작적"
    )),
    ("in_the_morning", re.compile(r"\bmorning|on waking|when i wake|아침")),
    ("constant", re.compile(r"\bconstant\w*|all the time|always|계속|항상|늘\s|종일")),
)  # fmt: skip
_INTENSITIES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("severe", re.compile(
        r"\bsever\w+|terribl\w+|unbearable|pounding|worst|awful|심하게|너무|깨질|극심|엄청|전혀|완전히"
    )),
    ("mild", re.compile(r"\bslight\w*|\bmild\w*|a (?:little|bit)\b|약간|조금|살짝|좀\s")),
)  # fmt: skip


@dataclass(frozen=True)
class Course:
    """What was said of the time of a complaint.

    Attributes:
        onset: when it began.
        course: words of how it goes: worse, better, in_spells, in_the_morning, constant.
        intensity: ``severe``, ``mild`` or empty.
    """

    onset: Onset = Onset.UNKNOWN
    course: tuple[str, ...] = ()
    intensity: str = ""

    def or_else(self, other: Course) -> Course:
        """This, with onset and course of the words around it; intensity stays with its own clause."""
        return Course(
            self.onset if self.onset is not Onset.UNKNOWN else other.onset,
            tuple(dict.fromkeys([*self.course, *other.course])),
            self.intensity,
        )


def said_course(text: str) -> Course:
    """Read onset, course and intensity of a clause (normalised)."""
    onset = next((each for each, pattern in _ONSETS if pattern.search(text)), Onset.UNKNOWN)
    course = tuple(name for name, pattern in _COURSES if pattern.search(text))
    intensity = next((name for name, pattern in _INTENSITIES if pattern.search(text)), "")
    return Course(onset, course, intensity)
