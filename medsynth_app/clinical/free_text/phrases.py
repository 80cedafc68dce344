"""Splitting a patient's story into phrases that can be looked up one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST_PHRASES = 20
_PHRASE = re.compile(r"[^.!?;,\n。、]+")


def split_phrases(text: str) -> Iterator[tuple[int, str]]:
    """Phrases between punctuation and line ends, with the place where each starts.

    Args:
        text: the patient's words; phrases after the twentieth are left out.
    """
    found = 0
    for match in _PHRASE.finditer(text):
        phrase = match.group().strip()
        if not any(letter.isalpha() for letter in phrase):
            continue
        if found == MOST_PHRASES:
            return
        found += 1
        yield match.start() + len(match.group()) - len(match.group().lstrip()), phrase
