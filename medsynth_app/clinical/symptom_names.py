"""The symptoms nearest to a name that is not known, by identifier, name and synonym."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path

from medsynth_app.clinical.free_text.korean import normalise

_SEED = Path(__file__).parent / "seed"
_SAME_WORD = 0.8
"""Likeness from which two words count as one with another ending or a slip of the pen."""


def nearest_symptoms(written: str, known: Collection[str], count: int = 3) -> tuple[str, ...]:
    """Identifiers of the symptoms whose names are nearest to what was written, best first.

    Args:
        written: a wrong identifier or name, in either language.
        known: the identifiers that may be answered.
        count: how many.
    """
    asked = _words(written[:60])
    best: dict[str, float] = {symptom: _likeness(asked, _words(symptom)) for symptom in known}
    for symptom, words in _wordings():
        if symptom in best and len(words) <= 2 * len(asked) + 2:
            best[symptom] = max(best[symptom], _likeness(asked, words))
    return tuple(sorted(best, key=lambda symptom: (-round(best[symptom], 6), symptom))[:count])


def _likeness(asked: tuple[str, ...], words: tuple[str, ...]) -> float:
    """Words in common (Dice), a little more for like spelling."""
    if not asked or not words:
        return 0.0
    shared = sum(max(_same(one, other) for other in words) for one in asked)
    spelling = SequenceMatcher(None, " ".join(sorted(asked)), " ".join(sorted(words))).quick_ratio()
    return 2.0 * shared / (len(asked) + len(words)) + 0.1 * spelling


@lru_cache(maxsize=65536)
def _same(one: str, other: str) -> float:
    if one == other:
        return 1.0
    if abs(len(one) - len(other)) > 3:  # noqa: PLR2004 - an ending, not another word
        return 0.0
    likeness = SequenceMatcher(None, one, other).ratio()
    return likeness if likeness >= _SAME_WORD else 0.0


def _words(text: str) -> tuple[str, ...]:
    plain = re.sub(r"'s\b", "", normalise(text).replace("_", " "))
    return tuple(re.findall(r"\w+", plain))


@lru_cache(maxsize=1)
def _wordings() -> tuple[tuple[str, tuple[str, ...]], ...]:
    found = []
    with (_SEED / "symptoms.csv").open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream):
            found += [(row["id"], _words(row[name])) for name in ("name_en", "name_ko", "hpo_label")]
            # "(Broca/expressive aphasia)": what stands in brackets is a name of its own
            found += [(row["id"], _words(part)) for part in re.findall(r"\(([^)]*)\)", row["name_en"])]
    with (_SEED / "synonyms.csv").open(encoding="utf-8-sig", newline="") as stream:
        found += [(row["symptom"], _words(row["text"])) for row in csv.DictReader(stream)]
    return tuple(found)
