"""Whether a T1 series was taken with contrast agent: its words, and what the scanner wrote about the agent.

Words outweigh the agent's tag (0018,0010), which scanners fill in before the injection too; a tag that denies an agent
outweighs a word like *post*, which may mean an operation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_AGENT = (
    r"(?:gd\w*|gad\w*|ce|km|kontrast\w*|contrast\w*|c|mdc|iv|gbca|enhance\w*|조영제?)(?![a-z])"  # noqa: S105
)
_NEGATED = re.compile(
    rf"(?<![a-z])(?:non?|not|without|w ?/ ?o|wo|ohne|sans|sin|senza|zonder|kein\w*|minus|nil)[\s./-]*{_AGENT}|"
    rf"(?:^|[\s(\[/,;])-{_AGENT}|"
    rf"(?<![a-z]){_AGENT}\s*[(\[]\s*-\s*[)\]]|"
    rf"[(\[]\s*-\s*[)\]]\s*{_AGENT}|"
    rf"(?<![a-z]){_AGENT}-(?=$|[\s)\],;])|"
    rf"(?<![a-z]){_AGENT}\s*[:=]\s*(?:no|none|neg\w*|0)(?![a-z])|"
    r"[비무]\s*조영|조영\s*전|조영제?\s*(?:없|안\s|미)"
)
"""``No Gd``, ``-GD``, ``CE(-)``, ``GD-``, ``contrast: none``: in the text with its signs."""
_MAYBE_MINUS = re.compile(r"\w ?- ?(?:gd|gad\w*|ce|km)(?![a-z])")
"""``T1-GD``: a hyphen, or a minus."""
_BOTH = re.compile(r"\bw (?:and |& )?w ?o\b|\bw ?o (?:and |& )?w\b|with (?:and |& |or )?without|pre (?:and |& )?post")
"""A name of the whole examination."""
_BEFORE = re.compile(
    r"\b(pre|native?|plain|ohne|unenhanced|non ?contrast|non ?enhanced|no contrast|without|w ?o|t1n|조영 ?전)\b"
)
_ABOUT_SOMETHING_ELSE = re.compile(
    r"\b(?:without|w ?o|no|non|ohne) ?(?:fat ?sat\w*|fat ?supp?\w*|fs|fat|mtc?|angul\w*|motion|sedation|ga)\b|"
    r"\b(?:post|pre|intra) ?(?:op\w*|surg\w*|rt|rx|tx|radi\w*|irradi\w*|treat\w*|therap\w*|chemo\w*|biops\w*|"
    r"resect\w*|crani\w*|proc\w*|ictal|stroke|trauma\w*|shunt|embol\w*|partum|natal|mortem|fossa|erior\w*|ural|covid)\b"
)
"""Before or after an operation, without fat saturation: nothing about an injection."""
_AFTER_OPERATION = re.compile(r"\bpost ?(?:op|surg|resect|crani|biops)")
_AFTER = re.compile(
    r"\b(ce|gd\w*|gad\w*|contrast\w*|km|kontrast\w*|mdc|enhanced|t1ce|t1c|t1gd|ct1|dotarem|magnevist|prohance|omniscan|"
    r"post ?(?:con\w*|gd|gad\w*|inj\w*|ce|km|c|iv|enh\w*|kontrast\w*))\b|\+ ?(c|gd|km|ce)\b|\bc ?\+|조영|t1 ?w? ?\+"
)
_PERHAPS_AFTER = re.compile(r"\b(post|iv)\b")
_NO_AGENT = re.compile(r"(no|none|non|n a|na|0|nil|not given|not used|unenhanced|kein\w*|없음)")


@dataclass(frozen=True)
class Contrast:
    """Whether contrast agent was given.

    Attributes:
        given: the answer.
        why: what told it, empty where nothing did (then none was given).
        doubt: what speaks against it.
    """

    given: bool
    why: str = ""
    doubt: str = ""


def contrast_of(description: str, protocol: str, agent: str) -> Contrast:
    """What a series' words and its ContrastBolusAgent tell.

    Args:
        description: SeriesDescription.
        protocol: ProtocolName.
        agent: ContrastBolusAgent, ``""`` where unknown.
    """
    tag = _agent_given(agent)
    after_operation = any(_AFTER_OPERATION.search(_plain(text)) for text in (description, protocol))
    for field, text in (("description", description), ("protocol", protocol)):
        word, strength = _word(text)
        if strength == 0:
            continue
        why = f"{field} says {word!r}"
        if strength < 0:
            return Contrast(False, why)
        if tag is False and strength == 1:
            return Contrast(False, f"ContrastBolusAgent is {agent[:20]!r}", f"{why}, but its agent is {agent[:20]!r}")
        return Contrast(True, why, "" if tag else _doubt(field, text, word, strength, tag, after_operation))
    if tag:
        return Contrast(True, f"ContrastBolusAgent is {agent[:20]!r}")
    return Contrast(False)


def _doubt(field: str, text: str, word: str, strength: int, tag: bool | None, after_operation: bool) -> str:
    """What to tell of words that no agent's tag confirms."""
    if tag is False:
        return f"{field} says {word!r}, but ContrastBolusAgent denies it; taken as with contrast agent"
    if _MAYBE_MINUS.search(_spaced(text)):
        return f"{text[:64]!r} may mean with or without contrast agent; taken as with"
    if strength == 1 and after_operation:
        return f"{word!r} may mean after the operation; taken as with contrast agent"
    return f"only its {field} says {word!r}; taken as with contrast agent" if field == "protocol" else ""


def _word(text: str) -> tuple[str, int]:
    """The word about contrast, and what it says: -1 none given, 0 nothing, 1 perhaps given, 2 given."""
    plain = _ABOUT_SOMETHING_ELSE.sub(" ", _plain(text))
    if _BOTH.search(plain):
        return "", 0
    for pattern, searched, strength in (
        (_NEGATED, _spaced(text), -1), (_BEFORE, plain, -1), (_AFTER, plain, 2), (_PERHAPS_AFTER, plain, 1),
    ):  # fmt: skip
        found = pattern.search(searched)
        if found:
            return found[0].strip(), strength
    return "", 0


def _agent_given(agent: str) -> bool | None:
    plain = _plain(agent)
    if not plain:
        return None
    return not (_NO_AGENT.fullmatch(plain) or _NEGATED.search(_spaced(agent)) or _BEFORE.search(plain))


def _spaced(text: str) -> str:
    """Lower case, with ``_`` as a space; signs stay."""
    return re.sub(r"[_\s]+", " ", text.lower()).strip()


def _plain(text: str) -> str:
    """Lower case, with signs but ``+`` as spaces, so that word borders are where a reader sees them."""
    return re.sub(r"[_\-./,;:()\[\]\s]+", " ", text.lower()).strip()
