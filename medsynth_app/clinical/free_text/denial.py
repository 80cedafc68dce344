"""Whether a negated word denies the symptom or belongs to it.

"Does not recognise faces" negates and reports; "no headache" negates and denies. The knowledge base
decides: a negated word that the symptom's own wordings negate too, next to another shared word, is part of
the symptom.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from medsynth_app.clinical.free_text.korean import is_korean
from medsynth_app.clinical.free_text.phrase_tokens import Token

_DENYING_PREDICATE = re.compile(r"^(?:없|아니|아닙|아녜|않|느껴|느끼|하|해|했|나|있|겪|생기|그렇)")
"""Korean predicates that say of a symptom that it is not there: 두통은 없어요, 토는 안 해요, 열은 안 나요."""


def denies(
    tokens: Sequence[Token],
    likeness: Sequence[Mapping[str, float]],
    best_wording: Sequence[Token],
    wordings: Sequence[Sequence[Token]],
) -> bool:
    """Decide whether a phrase denies the symptom it was matched with.

    Args:
        tokens: the phrase.
        likeness: for each of its words, known stem -> likeness.
        best_wording: the synonym that fits best.
        wordings: all synonyms of the symptom.
    """
    for at, token in enumerate(tokens):
        if not token.negated:
            continue
        # the very word affirmed by the best wording is denied, whatever the other wordings say
        if any(other.stem == token.stem and other.polarity < token.polarity for other in best_wording):
            return True
        if any(_is_part_of(wording, tokens, likeness, at) for wording in wordings):
            continue
        affirmed = [other for other in best_wording if other.stem in likeness[at]]
        if affirmed:
            # 2 against 1: "no trouble speaking" against "trouble speaking"
            if max(other.polarity for other in affirmed) < token.polarity:
                return True
        elif is_korean(token.text) and token.last and _DENYING_PREDICATE.match(token.text):
            return True
    return False


def _is_part_of(
    wording: Sequence[Token], tokens: Sequence[Token], likeness: Sequence[Mapping[str, float]], at: int
) -> bool:
    """Whether a wording negates the same word and shares another one with the phrase."""
    same = any(other.stem in likeness[at] and other.polarity >= tokens[at].polarity for other in wording)
    return same and any(
        other.stem in likeness[place]
        for place in range(len(tokens)) if place != at
        for other in wording if other.stem not in likeness[at]
    )  # fmt: skip
