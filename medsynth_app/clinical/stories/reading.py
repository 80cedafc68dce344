"""A patient's story to findings: what is there, what is denied, on which side, since when, and what stays unclear.

`read_sentence` finds the wordings that the lexicons know; what a clause says beyond them is looked up in the
phrase index, and taken only above a floor. Below it nothing is guessed: the words come back as not understood.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from medsynth_app.clinical.free_text.korean import is_korean, letters, ngrams, normalise
from medsynth_app.clinical.free_text.phrase_index import PhraseIndex
from medsynth_app.clinical.intake.form import Onset
from medsynth_app.clinical.knowledge.side_words import BodySide, mentioned_side
from medsynth_app.clinical.stories.course import Course, said_course
from medsynth_app.clinical.stories.cues import Lexicon
from medsynth_app.clinical.stories.frames import Said, symptoms_of
from medsynth_app.clinical.stories.hits import Clause, Hit, ReadSentence, read_sentence
from medsynth_app.clinical.stories.lexicon_en import ENGLISH, rewritten
from medsynth_app.clinical.stories.lexicon_ko import KOREAN
from medsynth_app.clinical.stories.questions import Question, questions_for
from medsynth_app.errors import InvalidValueError

PRESENT, DENIED = "present", "denied"
CUE_CONFIDENCE, CARRIED_CONFIDENCE = 0.9, 0.75


@dataclass(frozen=True)
class LookupFloor:
    """What a look-up in the phrase index must reach to be taken at all.

    Attributes:
        score: of the candidate.
        likeness: letter pieces that the clause shares with the wording it is taken for, 0 to 1.
    """

    score: float
    likeness: float


THE_VERY_WORDS = LookupFloor(1.0, 0.0)
"""A wording of the knowledge base, letter for letter: nothing is looked for inside it."""
WHOLE_SENTENCE = LookupFloor(0.58, 0.32)
REST_OF_SENTENCE = LookupFloor(0.66, 0.42)
"""Beside complaints that were understood, a few words more must be surer to count as another one."""
LONGEST_STORY = 4000
LONGEST_SENTENCE = 400
LONGEST_LOOKUP = 120
"""Longer stretches are no single phrase, and looking one up costs seconds."""
_ANY_SEIZURE = frozenset({"seizure_unspecified", "seizure_gtc"})
_SENTENCE_END = re.compile(r"(?<=[.!?;\n。…])\s+|\n+")


@dataclass(frozen=True)
class Finding:
    """One complaint, present or denied.

    Attributes:
        id: the symptom.
        state: ``present`` or ``denied``.
        side: left, right, both or unknown; unknown where the symptom has no side.
        onset: when it began.
        course: words of how it goes.
        intensity: ``severe``, ``mild`` or empty.
        confidence: 0 to 1.
        words: the clause it was read in.
    """

    id: str
    state: str
    side: BodySide
    onset: Onset
    course: tuple[str, ...]
    intensity: str
    confidence: float
    words: str


@dataclass(frozen=True)
class Story:
    """All that was understood.

    Attributes:
        findings: one row per complaint, in the order of the words.
        questions: what to ask back.
        not_understood: clauses that gave nothing.
    """

    findings: tuple[Finding, ...]
    questions: tuple[Question, ...]
    not_understood: tuple[str, ...]


class StoryReader:
    """Reads stories; made once, it never changes.

    Args:
        index: single phrases, for what the lexicons do not know.
        side_asked: symptom -> what its side refers to, ``none`` where none is asked.
    """

    def __init__(self, index: PhraseIndex, side_asked: Mapping[str, str]) -> None:
        self._index = index
        self._sided = frozenset(symptom for symptom, asked in side_asked.items() if asked != "none")
        self._known = frozenset(side_asked)

    def read(self, text: str) -> Story:
        """Understand a story of any number of sentences.

        Args:
            text: the patient's words, 1 to `LONGEST_STORY` characters.

        Raises:
            InvalidValueError: the story is empty or too long; its words are not in the message.
        """
        plain = normalise(text)
        if not 1 <= len(plain) <= LONGEST_STORY:
            raise InvalidValueError(
                f"text has {len(plain)} characters; allowed: 1 to {LONGEST_STORY}", code="free_text_length"
            )
        lexicon = KOREAN if is_korean(plain) else ENGLISH
        findings: list[Finding] = []
        strange: list[str] = []
        for sentence in _sentences(plain):
            prepared = sentence if lexicon is KOREAN else rewritten(sentence)
            found, left = self._sentence(read_sentence(prepared, lexicon), lexicon)
            findings += found
            strange += left
        kept = tuple(_merged(findings))
        return Story(kept, questions_for(kept, self._sided), tuple(strange))

    def _sentence(self, read: ReadSentence, lexicon: Lexicon) -> tuple[list[Finding], list[str]]:
        whole = said_course(read.text)
        named = self._looked_up(read.text, whole, THE_VERY_WORDS)
        if named is not None:
            return [named], []
        found: list[tuple[int, Finding]] = []
        strange: list[str] = []
        heard: set[int] = set()
        for hit in read.hits:
            clause = read.clauses[hit.clause]
            rows = list(self._of_hit(read, hit, clause, whole))
            found += [(hit.start, row) for row in rows]
            if rows:
                heard.add(hit.clause)
        for start, end in _silent_stretches(read, heard):
            words = read.text[start:end].strip(" .,!?;:")
            row = self._looked_up(words, whole, REST_OF_SENTENCE if heard else WHOLE_SENTENCE)
            if row is not None:
                found.append((start, row))
            elif _says_something(words, lexicon):
                strange.append(words)
        return _without_generic([row for _, row in sorted(found, key=lambda pair: pair[0])]), strange

    def _of_hit(self, read: ReadSentence, hit: Hit, clause: Clause, whole: Course) -> Iterator[Finding]:
        words = read.text[clause.start : clause.end].strip(" .,!?;:")
        lateral = hit.side in (BodySide.LEFT, BodySide.RIGHT)
        said = Said(
            hit.cue.means,
            hit.parts,
            lateral,
            hit.both_named,
            read.text[clause.start : clause.end],
            hit.denied,
        )
        course = said_course(words).or_else(whole)
        for symptom in symptoms_of(said):
            if symptom in self._known:
                side = hit.side if symptom in self._sided else BodySide.UNKNOWN
                sure = CUE_CONFIDENCE if symptom == hit.cue.means or hit.parts else CARRIED_CONFIDENCE
                state = DENIED if hit.denied else PRESENT
                yield Finding(
                    symptom, state, side, course.onset, course.course, course.intensity, sure, words
                )

    def _looked_up(self, words: str, whole: Course, floor: LookupFloor) -> Finding | None:
        """A clause without a known wording, as the phrase index knows it; None below the floor."""
        if not 2 <= len(words) <= LONGEST_LOOKUP:  # noqa: PLR2004 - one letter is no phrase
            return None
        candidates = self._index.understand(words, limit=1).candidates
        if not candidates or candidates[0].score < floor.score:
            return None
        best = candidates[0]
        # a shared word or two is no sentence in common: 기침이 나요 is not 물을 마시면 기침이 나요
        if likeness(words, best.matched) < floor.likeness:
            return None
        course = said_course(words).or_else(whole)
        state = DENIED if best.negated and best.score < 1.0 else PRESENT
        return Finding(
            best.symptom, state, best.side, course.onset, course.course, course.intensity,
            round(best.score * 0.9, 3), words,
        )  # fmt: skip


def _sentences(text: str) -> Iterator[str]:
    """Sentences; one without an end is cut at a blank, so that no pattern runs over thousands of letters."""
    for part in _SENTENCE_END.split(text):
        rest = part.strip()
        while len(rest) > LONGEST_SENTENCE:
            cut = rest.rfind(" ", 1, LONGEST_SENTENCE)
            cut = cut if cut > 0 else LONGEST_SENTENCE
            yield rest[:cut].strip()
            rest = rest[cut:].strip()
        if rest:
            yield rest


def likeness(one: str, other: str) -> float:
    """Letter pieces that two phrases share, side words left out, 0 to 1 (Dice coefficient)."""
    first, second = (
        ngrams(letters(re.sub(r"\W", "", mentioned_side(normalise(each)).rest))) for each in (one, other)
    )
    return 2.0 * len(first & second) / max(len(first) + len(second), 1)


def _silent_stretches(read: ReadSentence, heard: Collection[int]) -> Iterator[tuple[int, int]]:
    """Runs of clauses in which nothing was found; where nothing was found at all, the whole sentence."""
    start = end = -1
    for number, clause in enumerate(read.clauses):
        if number in heard:
            if start >= 0:
                yield start, end
            start = -1
        else:
            start, end = (clause.start if start < 0 else start), clause.end
    if start >= 0:
        yield start, end


def _without_generic(rows: list[Finding]) -> list[Finding]:
    """ "A seizure" beside the seizure's own signs says nothing more."""
    special = any(
        row.id.startswith("seizure_") and row.id not in _ANY_SEIZURE and row.state == PRESENT for row in rows
    )
    return [row for row in rows if not (special and row.id == "seizure_unspecified" and row.state == PRESENT)]


def _says_something(words: str, lexicon: Lexicon) -> bool:
    rest = lexicon.filler.sub(" ", words)
    return len(re.sub(r"[\W\d_]+", "", rest)) > 1


def _merged(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Each complaint once: the same symptom with the same answer on the same or an unnamed side is one row."""
    rows: list[Finding] = []
    for new in findings:
        for at, old in enumerate(rows):
            if (old.id, old.state) == (new.id, new.state) and (
                old.side is new.side or BodySide.UNKNOWN in (old.side, new.side)
            ):
                side = new.side if old.side is BodySide.UNKNOWN else old.side
                rows[at] = replace(old, side=side, confidence=max(old.confidence, new.confidence))
                break
        else:
            rows.append(new)
    present = {(row.id, row.side) for row in rows if row.state == PRESENT}
    for row in rows:
        contradicts = row.state == DENIED and any(
            symptom == row.id and (row.side is BodySide.UNKNOWN or side in (row.side, BodySide.UNKNOWN))
            for symptom, side in present
        )
        if not contradicts:
            yield row
