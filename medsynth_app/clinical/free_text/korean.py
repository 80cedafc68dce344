"""Korean words as stems of letters (jamo), so that conjugations and particles of one word meet.

Hangul syllables decompose by arithmetic (Unicode Standard, section 3.12, "Conjoining Jamo Behavior"). On the
letters, endings and particles are stripped from the right, contractions are undone (보여 -> 보이), and words
are compared by letter n-grams. That is coarse next to a morphological analyser, needs no dictionary, and
treats the query and the knowledge base alike.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_FIRST = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_MIDDLE = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_LAST = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")
_HANGUL_START, _HANGUL_END = 0xAC00, 0xD7A3

PARTICLES = (
    "에서는", "에서도", "한테서", "이라고", "으로는", "까지도", "에서", "에게", "한테", "으로", "이랑",
    "하고", "까지", "부터", "마다", "처럼", "같이", "보다",
    "께서", "밖에", "조차", "이나", "에는", "에도", "이는",
    "과는", "와는", "들이", "들을", "들은", "을", "를", "은", "는", "이", "가", "에", "로", "와", "과", "랑",
    "도", "만", "의", "씩", "쯤", "나", "들",
)  # fmt: skip
"""Case and topic particles (조사), longest first."""

ENDINGS = (
    "습니다", "거든요", "는데요", "은데요",
    "대요", "래요", "네요", "군요", "지요", "죠", "어요", "아요", "에요", "예요", "세요", "이다", "는데",
    "은데", "면서", "니까", "지만", "려고", "도록", "다가", "는지", "던데", "거나", "다고", "라고", "자마자",
    "어서", "아서", "어도", "아도", "어야", "으면", "면", "서", "요", "다", "고", "며", "게", "기", "던",
    "지", "음", "은", "는", "을", "어", "아", "네", "듯이", "듯", "대", "래",
)  # fmt: skip
"""Verb and adjective endings (어미), longest first; single-letter ones are handled on the letters."""

_CONTRACTIONS = {"ㅕ": "ㅣ", "ㅘ": "ㅗ", "ㅝ": "ㅜ", "ㅙ": "ㅚ"}


def normalise(text: str) -> str:
    """NFC, lower case, one blank between words: macOS file names and some web forms send decomposed
    Hangul."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text).casefold()).strip()


def is_korean(text: str) -> bool:
    """Whether the text holds at least one Hangul syllable."""
    return any(_HANGUL_START <= ord(character) <= _HANGUL_END for character in text)


@lru_cache(maxsize=65536)
def letters(text: str) -> str:
    """Spell Hangul syllables out as compatibility jamo; other characters stay. ``팔`` becomes ``ㅍㅏㄹ``."""
    spelled = []
    for character in text:
        code = ord(character) - _HANGUL_START
        if 0 <= code <= _HANGUL_END - _HANGUL_START:
            spelled.append(_FIRST[code // 588] + _MIDDLE[code % 588 // 28] + _LAST[code % 28])
        else:
            spelled.append(character)
    return "".join(spelled)


_OUTER = tuple(
    sorted(
        {letters(part) for part in (*ENDINGS, *PARTICLES)} | {"ㅂㄴㅣㄷㅏ", "ㄴㄷㅔ"}, key=len, reverse=True
    )
)
# What may stand inside an outer ending: past -었, -ㅆ, future -겠, honorific -시, and their joints.
_INNER = ("ㅇㅓㅆ", "ㅇㅏㅆ", "ㅇㅕㅆ", "ㄱㅔㅆ", "ㅅㅣ", "ㄴㅡㄴ", "ㅇㅓ", "ㅇㅏ", "ㅆ")
_SHORTEST_STEM = 2


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """The letters of a word less particles and endings, contractions undone.

    Args:
        word: one word (어절) without blanks, in NFC.

    Returns:
        Letters, at least two. ``저려요``, ``저리지`` and ``저립니다`` all give ``ㅈㅓㄹㅣ``.
    """
    spelled = _undo_contraction(_strip_once(letters(word), _OUTER))
    # an ending may follow an ending (들리-었-는데): two rounds are enough
    for _ in range(2):
        spelled = _undo_contraction(_strip_once(spelled, _INNER))
    return spelled


def _strip_once(spelled: str, endings: tuple[str, ...]) -> str:
    for ending in endings:
        rest = spelled.removesuffix(ending)
        # a bare 이 or 아 may be the word's own last syllable: something with a vowel must remain
        if rest != spelled and len(rest) >= _SHORTEST_STEM and any(letter in _MIDDLE for letter in rest):
            return rest
    return spelled


def _undo_contraction(spelled: str) -> str:
    if spelled.endswith("ㅎㅐ"):
        return spelled[:-1] + "ㅏ"
    if len(spelled) > _SHORTEST_STEM and spelled[-1] in _CONTRACTIONS:
        return spelled[:-1] + _CONTRACTIONS[spelled[-1]]
    return spelled


@lru_cache(maxsize=65536)
def ngrams(spelled: str) -> frozenset[str]:
    """Two- and three-letter pieces; the start is marked because a Korean stem stands at the front."""
    marked = "^" + spelled
    return frozenset(
        marked[at : at + size] for size in (2, 3) for at in range(max(1, len(marked) - size + 1))
    )


@lru_cache(maxsize=262144)
def similarity(one: str, other: str) -> float:
    """Dice coefficient of two stems' pieces, 0 (nothing shared) to 1 (the same)."""
    if one == other:
        return 1.0
    first, second = ngrams(one), ngrams(other)
    return 2.0 * len(first & second) / (len(first) + len(second))
