"""An operator's own words for the sequences: ``t1ce=REGEX;flair=REGEX``, one pattern a sequence."""

from __future__ import annotations

import re
from collections.abc import Mapping

from medsynth_app.errors import InvalidValueError
from medsynth_app.vocabulary import Modality

LONGEST_PATTERN = 100

SequenceMapping = Mapping[str, re.Pattern[str]]
"""Modality -> pattern that is searched, without regard to case, in a series' description and protocol."""


def parse_sequence_mapping(text: str, field: str = "sequence_mapping") -> dict[str, re.Pattern[str]]:
    """Read an operator's mapping.

    Args:
        text: ``t1ce=REGEX;flair=REGEX``; any of the sequences, each at most once; empty = no mapping.
        field: how errors call it.

    Raises:
        InvalidValueError: an unknown or repeated sequence, no ``=``, an empty, too long or wrong pattern.
    """
    mapping: dict[str, re.Pattern[str]] = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        name, separator, pattern = (part.strip() for part in entry.partition("="))
        name = name.lower()
        known = [m.value for m in Modality]
        if not separator or name not in known:
            raise InvalidValueError(
                f"{field}: {entry[:40]!r} must be SEQUENCE=REGEX with SEQUENCE one of {', '.join(known)}"
            )
        if name in mapping:
            raise InvalidValueError(f"{field}: {name} is there twice")
        mapping[name] = _compile(pattern, name, field)
    return mapping


def _compile(pattern: str, name: str, field: str) -> re.Pattern[str]:
    if not 1 <= len(pattern) <= LONGEST_PATTERN:
        raise InvalidValueError(
            f"{field}: the pattern of {name} must have 1 to {LONGEST_PATTERN} characters, has {len(pattern)}"
        )
    try:
        compiled = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise InvalidValueError(f"{field}: the pattern of {name} is no regular expression: {error}") from error
    if compiled.search(""):
        raise InvalidValueError(f"{field}: the pattern of {name} matches every series, {pattern!r}")
    return compiled
