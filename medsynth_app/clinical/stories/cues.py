"""What the tables of a patient's wordings are made of: cues, body parts, ways of denying.

A *cue* is a wording that reports something: a symptom outright ("double vision"), or a quality ("weak",
저리다) that means a symptom only together with a body part. Its wording may already hold a "not": *lack* of
strength, of feeling, of words is the complaint itself, so such a cue is looked for before any negation is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_WORDINGS = Path(__file__).parent / "wordings"


@dataclass(frozen=True)
class Cue:
    """One wording.

    Attributes:
        means: identifier of a symptom, or the name of a quality in `story_frames`.
        pattern: what is looked for in a clause (normalised, side words blanked).
        function: names a function ("speech", 기억력): it reports only together with what is said of it, and
            counts as a denial where it is said to be well.
    """

    means: str
    pattern: re.Pattern[str]
    function: bool = False


@dataclass(frozen=True)
class Lexicon:
    """The wordings of one language.

    Attributes:
        cues: in order of precedence: a place in the text belongs to the first cue that takes it.
        parts: body part -> wording.
        clause_end: where one clause ends and the next begins; what is matched belongs to neither.
        list_joint: all that may stand between two members of one list.
        denied_after: what follows a cue that is denied, from its very end.
        well_after: what follows a function that is said to be well, from its very end.
        same_again: a clause that repeats the last complaint for another part ("the leg too").
        filler: words that say nothing of their own.
    """

    cues: tuple[Cue, ...]
    parts: tuple[tuple[str, re.Pattern[str]], ...]
    clause_end: re.Pattern[str]
    list_joint: re.Pattern[str]
    denied_after: re.Pattern[str]
    well_after: re.Pattern[str]
    same_again: re.Pattern[str]
    filler: re.Pattern[str]


def read_tables(language: str) -> dict[str, str]:
    """The tables of a language's file of wordings, by their names in square brackets."""
    text = (_WORDINGS / f"{language}.txt").read_text(encoding="utf-8")
    pieces = re.split(r"^\[(\w+)\]$", text, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2]))


def cues(table: str, *, function: bool = False) -> tuple[Cue, ...]:
    """Cues from lines ``name  pattern``; a blank line and a line that begins with ``#`` are left out."""
    found = []
    for line in table.strip().splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            name, pattern = line.strip().split(None, 1)
            found.append(Cue(name, re.compile(pattern), function))
    return tuple(found)


def parts(table: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Body parts from lines of the same form."""
    return tuple((cue.means, cue.pattern) for cue in cues(table))
