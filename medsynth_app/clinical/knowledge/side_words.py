"""Which side a phrase names, in Korean and English, and the phrase without those words.

Words that look like sides but are not ("right now", "I left the house", 떠오른다) are left alone, and a
phrase about confusing left and right names no side.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class BodySide(str, Enum):
    """The side of the patient that a phrase or an answer names."""

    LEFT = "left"
    RIGHT = "right"
    BOTH = "both"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class SideMention:
    """What a phrase says about sides.

    Attributes:
        side: LEFT, RIGHT or BOTH where the phrase is clear; UNKNOWN where it names none, or two different
        ones.
        named: whether any side word was found (also where ``side`` is UNKNOWN because they disagree).
        rest: the phrase without its side words.
    """

    side: BodySide
    named: bool
    rest: str


# A body part may be glued to the side: 왼팔, 오른손. Before 오른 no syllable may stand: 떠오른, 부어오른.
_KOREAN_PART = (
    "팔|손|발|다리|눈|귀|얼굴|볼|뺨|어깨|코|콧|입|허벅|무릎|종아리|몸|반신|뇌|머리|시야|옆구리|가슴|엉덩|골반"
)
_KOREAN = {
    BodySide.LEFT: re.compile(
        rf"왼\s?(?:쪽|편|켠)|좌측|좌편|(?<![가-힣])(?:왼(?={_KOREAN_PART})|좌(?=반신|안\b|뇌))"
    ),
    BodySide.RIGHT: re.compile(
        rf"(?<![가-힣])오른\s?(?:쪽|편|켠)|우측|우편(?!물)|(?<![가-힣])(?:오른(?={_KOREAN_PART})|우(?=반신|안\b|뇌))"
    ),
    BodySide.BOTH: re.compile(
        rf"양\s?(?:쪽|측|편|옆)|(?<![가-힣])(?:양\s?(?={_KOREAN_PART})|두\s(?=눈|팔|손|다리|귀|발))|좌우"
    ),
}
_NOT_ENGLISH_LEFT = (
    r"(?!\s+(?:the\s+(?:house|home|hospital|room|job)|home|work|over|out|behind|alone|untreated"
    r"|me\b|him\b|her\b))"
)
_NOT_ENGLISH_RIGHT = (
    r"(?!\s+(?:now|away|after|before|then|there|here|word|words|thing|way|answer|order|place|time"
    r"|direction|amount))"
)
_ENGLISH = {
    BodySide.LEFT: re.compile(
        rf"\b(?:left(?:[-\s]?(?:hand|sided|side))?|lt)\b{_NOT_ENGLISH_LEFT}(?<!nothing left)(?<!i left)"
    ),
    BodySide.RIGHT: re.compile(
        rf"(?<!all )(?<!not )\b(?:right(?:[-\s]?(?:hand|sided|side))?|rt)\b{_NOT_ENGLISH_RIGHT}"
    ),
    BodySide.BOTH: re.compile(
        r"\b(?:both(?:\s+(?:sides|of\s+my))?|bilateral(?:ly)?|each\s+side|either\s+side)\b"
    ),
}
# "left" alone leaves the hand of "left hand" where it is
_PLAIN_ENGLISH = {
    BodySide.LEFT: re.compile(
        rf"\b(?:left(?:[-\s](?:sided?|hand\s+side)\b)?|lt)\b{_NOT_ENGLISH_LEFT}(?<!nothing left)(?<!i left)"
    ),
    BodySide.RIGHT: re.compile(
        rf"(?<!all )(?<!not )\b(?:right(?:[-\s](?:sided?|hand\s+side)\b)?|rt)\b{_NOT_ENGLISH_RIGHT}"
    ),
    BodySide.BOTH: _ENGLISH[BodySide.BOTH],
}
_SPOKEN_OF_SIDES = re.compile(
    r"(?:왼쪽|좌)(?:이랑|과|와|하고|이|\s)*(?:오른쪽|우)[가-힣]*\s*(?:자꾸\s*)?(?:헷갈|구분|구별|혼동|분간)|좌우"
    r"|(?:tell|know|mix|confus|muddl)\w*\b.{0,12}\bleft\b.{0,12}\bright\b|left[- ]right (?:confusion|disorientation)"
)
# "left hand" loses its hand if the hand is taken with the side: only these nouns are taken
_HANDS = re.compile(r"\b(left|right)[-\s]hand\b(?!\s+side)")
_CONFUSED = re.compile(
    r"헷갈|구분|구별|혼동|분간|어느\s?쪽이|confus|mix|tell|wrong|which side|disorient|apart"
)


def mentioned_side(text: str) -> SideMention:
    """Find the side that a phrase names.

    Args:
        text: normalised phrase (NFC, lower case).

    Returns:
        An explicit left or right wins over "both" (which often belongs to the eyes: "the left half in both
        eyes"); left and right together give BOTH where joined by "and", UNKNOWN where they are confused.
    """
    if _is_left_right_confusion(text):
        # the words are the symptom here, so they stay in the phrase
        return SideMention(BodySide.UNKNOWN, named=False, rest=text)
    prepared = _HANDS.sub(r"\1 side hand", text)
    found = {side for side in BodySide if _matches(side, prepared)}
    return SideMention(_resolve(found, prepared), named=bool(found), rest=_without_sides(prepared))


@dataclass(frozen=True)
class PlacedSide:
    """A side word and where it stands.

    Attributes:
        side: LEFT, RIGHT or BOTH.
        start: place of its first character.
        end: place after its last one.
    """

    side: BodySide
    start: int
    end: int


def placed_sides(text: str) -> tuple[PlacedSide, ...]:
    """Every side word of a text with its place, first one first.

    Args:
        text: normalised phrase (NFC, lower case). Words about confusing left and right name no side.
    """
    found = [
        PlacedSide(side, match.start(), match.end())
        for table in (_KOREAN, _PLAIN_ENGLISH)
        for side, pattern in table.items()
        for match in pattern.finditer(text)
    ]
    spoken_of = [match.span() for match in _SPOKEN_OF_SIDES.finditer(text)]
    kept = [each for each in found if not any(start <= each.start < end for start, end in spoken_of)]
    return tuple(sorted(kept, key=lambda each: each.start))


def _matches(side: BodySide, text: str) -> bool:
    return any(table[side].search(text) for table in (_KOREAN, _ENGLISH) if side in table)


def _is_left_right_confusion(text: str) -> bool:
    both = all(_matches(side, text) for side in (BodySide.LEFT, BodySide.RIGHT)) or "좌우" in text
    return bool((both or "어느 쪽" in text or "which side is" in text) and _CONFUSED.search(text))


def _resolve(found: set[BodySide], text: str) -> BodySide:
    lateral = found & {BodySide.LEFT, BodySide.RIGHT}
    if len(lateral) == 1:
        return lateral.pop()
    if len(lateral) == 2:  # noqa: PLR2004 - left and right
        joined = re.search(
            r"(왼쪽|오른쪽|왼|오른|left|right)(이랑|과|와|하고|,|\s|and|or|다)+(왼|오른|left|right)", text
        )
        return BodySide.BOTH if joined else BodySide.UNKNOWN
    return BodySide.BOTH if BodySide.BOTH in found else BodySide.UNKNOWN


def _without_sides(text: str) -> str:
    for table in (_KOREAN, _ENGLISH):
        for pattern in table.values():
            text = pattern.sub(" ", text)
    return re.sub(r"\s+", " ", text).strip()
