"""How well stories are understood: findings against what a person wrote down beforehand.

A file of stories is a CSV with ``part, text, findings``. Findings stand in one cell, blanks between them:
``+arm_weakness@right -headache ?+falls``. ``+`` is present, ``-`` denied, ``a|b`` either of two that clinicians
would not tell apart, ``@`` the side, ``?`` in front may be found or not, a lone ``?`` forgives anything
more. An empty cell is a text that must give nothing.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medsynth_app.clinical.stories.reading import PRESENT, Finding, Story
from medsynth_app.errors import InvalidValueError

PRESENT_AS_DENIED_COUNTS = 10
"""A present complaint read as its denial is the worst reading: it counts as ten."""


@dataclass(frozen=True)
class Expected:
    """One finding that a story must give, or may.

    Attributes:
        symptoms: any of them.
        state: ``present`` or ``denied``.
        side: left, right, both, or empty where none is judged.
        optional: may be found or not.
    """

    symptoms: frozenset[str]
    state: str
    side: str
    optional: bool


@dataclass(frozen=True)
class ToldStory:
    """A story with what it means."""

    part: str
    text: str
    expected: tuple[Expected, ...]
    anything_more: bool

    @property
    def is_nonsense(self) -> bool:
        """Whether it must give nothing."""
        return not self.anything_more and all(each.optional for each in self.expected)


@dataclass(frozen=True)
class SymptomFigures:
    """Counts of one symptom (the first of its alternatives), present complaints only."""

    told: int
    found: int
    wrong: int
    sided: int
    side_right: int


@dataclass(frozen=True)
class StoryFigures:
    """Figures of one file.

    Attributes:
        stories: read.
        recall: share of present complaints found as present.
        precision: share of present findings that were told.
        denial_recall: share of denials found as denials.
        present_as_denied: present complaints read as denied.
        denied_as_present: denials read as present complaints.
        polarity_errors: (10 x present as denied + denied as present) over all complaints told.
        polarity_error_share: the same without the weight of ten.
        side: share of sides right among present complaints found.
        refused: share of texts without any complaint that give nothing.
        by_symptom: counts per symptom.
    """

    stories: int
    recall: float
    precision: float
    denial_recall: float
    present_as_denied: int
    denied_as_present: int
    polarity_errors: float
    polarity_error_share: float
    side: float
    refused: float
    by_symptom: Mapping[str, SymptomFigures] = field(default_factory=dict)


def read_stories(path: Path) -> tuple[ToldStory, ...]:
    """Stories of a file.

    Raises:
        InvalidValueError: a column is missing or a finding is not written as it should be.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows or not {"part", "text", "findings"} <= set(rows[0]):
        raise InvalidValueError(f"stories: {path.name!r} lacks rows or the columns part, text, findings")
    return tuple(_told(row) for row in rows)


def _told(row: Mapping[str, str]) -> ToldStory:
    words = row["findings"].split()
    expected = tuple(_expected(word) for word in words if word != "?")
    return ToldStory(row["part"], row["text"], expected, "?" in words)


def _expected(word: str) -> Expected:
    optional, plain = word.startswith("?"), word.removeprefix("?")
    if plain[:1] not in ("+", "-"):
        raise InvalidValueError(f"findings: {word[:60]!r}; allowed: +ID, -ID, with |, @side and ? in front")
    names, _, side = plain[1:].partition("@")
    return Expected(frozenset(names.split("|")), "present" if plain[0] == "+" else "denied", side, optional)


def score_stories(stories: Iterable[ToldStory], read: Callable[[str], Story]) -> StoryFigures:
    """Read every story and count."""
    counts: Counter[str] = Counter()
    per_symptom: dict[str, Counter[str]] = {}
    for story in stories:
        counts["stories"] += 1
        findings = list(read(story.text).findings)
        if story.is_nonsense:
            allowed = {symptom for each in story.expected for symptom in each.symptoms}
            counts["nonsense"] += 1
            counts["refused"] += all(found.id in allowed for found in findings)
        else:
            _count(story, findings, counts, per_symptom)
    return _figures(counts, per_symptom)


def _count(
    story: ToldStory, findings: list[Finding], counts: Counter[str], per_symptom: dict[str, Counter[str]]
) -> None:
    left = list(findings)
    for each in story.expected:
        own = per_symptom.setdefault(min(each.symptoms), Counter()) if not each.optional else Counter[str]()
        matching = [found for found in left if found.id in each.symptoms]
        right = [found for found in matching if found.state == each.state]
        right.sort(key=lambda found, side=each.side: bool(side) and found.side.value != side)  # type: ignore[misc]
        if not each.optional:
            counts[f"told_{each.state}"] += 1
            own["told"] += each.state == PRESENT
        chosen = (right or matching)[:1]
        for found in chosen:
            left.remove(found)
            if each.optional:
                continue
            if found.state != each.state:
                counts[f"inverted_{each.state}"] += 1
                continue
            counts[f"found_{each.state}"] += 1
            own["found"] += each.state == PRESENT
            if each.side and each.state == PRESENT:
                for counter in (counts, own):
                    counter["sided"] += 1
                    counter["side_right"] += found.side.value == each.side
    counts["findings"] += sum(found.state == PRESENT for found in findings)
    known = {symptom for each in story.expected for symptom in each.symptoms}
    for found in left:
        if found.state == PRESENT and found.id not in known and not story.anything_more:
            counts["wrong"] += 1
            per_symptom.setdefault(found.id, Counter())["wrong"] += 1


def _figures(counts: Counter[str], per_symptom: Mapping[str, Counter[str]]) -> StoryFigures:
    def share(part: str, whole: float) -> float:
        return counts[part] / whole if whole else 1.0

    told = counts["told_present"] + counts["told_denied"]
    inverted = counts["inverted_present"] + counts["inverted_denied"]
    weighted = PRESENT_AS_DENIED_COUNTS * counts["inverted_present"] + counts["inverted_denied"]
    return StoryFigures(
        stories=counts["stories"],
        recall=share("found_present", counts["told_present"]),
        precision=1.0 - (counts["wrong"] / counts["findings"] if counts["findings"] else 0.0),
        denial_recall=share("found_denied", counts["told_denied"]),
        present_as_denied=counts["inverted_present"],
        denied_as_present=counts["inverted_denied"],
        polarity_errors=weighted / told if told else 0.0,
        polarity_error_share=inverted / told if told else 0.0,
        side=share("side_right", counts["sided"]),
        refused=share("refused", counts["nonsense"]),
        by_symptom={
            name: SymptomFigures(*(each[key] for key in ("told", "found", "wrong", "sided", "side_right")))
            for name, each in per_symptom.items()
        },
    )
