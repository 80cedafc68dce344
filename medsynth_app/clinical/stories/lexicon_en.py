"""English wordings of complaints, as patients say them.

Patterns see a clause in lower case after `rewritten`: every way of not being able to is ``cannot``, every way of
finding it hard is ``trouble``, "n't" is ``not``; side words are blanked. "No strength", "lost my balance", "cannot
find words" are cues in themselves.
"""

from __future__ import annotations

import re

from medsynth_app.clinical.stories.cues import Lexicon, cues, parts, read_tables

_REWRITES = (
    (r"[’`]", "'"),
    (r"\b(?:can't|cant|cannot|can not|couldn't|could not)(?: (?:even|properly|really|always|quite))?"
     r"(?: be able to)?\b", "cannot"),
    (r"\b(?:can|could) (?:no longer|hardly|barely|not)\b", "cannot"),
    (r"\b(?:am|is|are|was|were|been|being|'m|become|became)? ?(?:unable|not able|no longer able|incapable)"
     r" (?:to|of)\b", " cannot"),
    (r"\b(?:have |has |had |'ve )?(?:lost|losing|loses) the ability to\b", "cannot"),
    (r"\b(?:no longer|do not any more|do not)(?= (?:understand|recogni[sz]e|know|remember|make sense))", "cannot"),
    (r"\b(?:don't|doesn't|didn't|does not|do not)(?= (?:understand|recogni[sz]e|know|remember))", "cannot"),
    (r"\bno longer (?=understand|read|write|find|speak|recogni[sz]e|smell|feel|see|hear)", "cannot "),
    (r"\b(?:very |so |really |too |increasingly )?(?:hard|difficult|a struggle|impossible)"
     r" (?:for me |for him |for her )?to\b", "trouble"),
    (r"\b(?:difficulty|difficulties|troubles?|struggl(?:e|es|ing|ed)|problems?|issues?|a hard time)"
     r"(?: (?:with|in|to|when))?\b", "trouble"),
    (r"\bforgot(?:ten)? how to\b", "cannot"),
    (r"\bwon't\b", "will not"),
    (r"\bleft (?:and|from|or|with) right\b|\bright (?:and|from|or|with) left\b|\bleft[- ]right\b", "leftright"),
    (r"n't\b", " not"),
    (r"'(?:ve|m|re|s|d|ll)\b", ""),
    (r"\bwithout (?:any )?(?:trouble|cannot)\b", "well"),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), replacement) for pattern, replacement in _REWRITES)


def rewritten(text: str) -> str:
    """A normalised text with its ways of saying "cannot", "hard to" and "not" made one."""
    for pattern, replacement in _COMPILED:
        text = pattern.sub(replacement, text)
    return re.sub(r"\s+", " ", text).strip()


_LIGHT = (
    r"(?:any|a|an|the|my|his|her|more|other|real|bad|kind of|sort of|have|has|had|having|get|gets|getting|got"
    r"|feel|feeling"
    r"|feels|felt|seem|be|been|being|am|is|are|was|were|i|he|she|it|to|of|in|with|from|for|suffer(?:ed|ing)?|experience[ds]?"
    r"|experiencing|notice[ds]?|ever|really|very|at all|all|further|history|signs?|symptoms?|trouble|episodes?|previous"
    r"|new|recent|sense|see|lose|lost|also|particularly|there|actually|both|either|too|so|that|yet)"
)

_TABLES = read_tables("en")

ENGLISH = Lexicon(
    cues=cues(_TABLES["cues"]) + cues(_TABLES["functions"], function=True),
    parts=parts(_TABLES["parts"]),
    clause_end=re.compile(
        r"[.!?;:,\n…]+\s*(?:(?:and|but|or|nor|so|then|although|though|however|while|just|only|yet|because)\s+)*"
        r"|\s+(?:and then|and also|and|but|although|though|however|while|whereas|so|then|because|nor|yet)\s+"
    ),
    list_joint=re.compile(r"^\s*(?:,|/|and|or|nor|any|a|of|the|no|\s)*\s*$"),
    denied_after=re.compile(
        r"^(?:\s+(?:is|are|was|were|has been|have been)\s+(?:denied|absent|not present|ruled out|gone now)\b"
        r"|\s*:\s*(?:no|none|denied)\b|\s+(?:reading |swallowing |speaking |at all )*gives? me no\b)"
    ),
    well_after=re.compile(
        r"^(?:\s+(?:is|are|was|were|feels?|seems?|stays?|remains?|works?|gives?"
        r"|in (?:my|the|both)\b.{0,14}\bis|of (?:my|the)\b.{0,14}\bis"
        r"|on (?:the|that)\b.{0,12}\bis))*\s*"
        r"(?:still |perfectly |quite |all |completely |pretty |just |me |very |absolutely )*"
        r"(?:fine|normal|ok|okay|good|intact|unaffected|perfect|alright|all right|well|strong|no trouble"
        r"|not affected|unchanged|everything"
        r"|excellent|clear)\b"
    ),
    same_again=re.compile(r"\b(?:too|also|as well|does too|the same|so does|so is|either)\b"),
    filler=re.compile(
        r"\b(?:i|me|my|he|she|it|they|have|has|had|am|is|are|was|were|be|been|the|a|an|of|to|in|on|for|since"
        r"|about|over|past|few|it all|"
        r"began|started|with|weeks?|months?|days?|years?|times?|every|now|then|just|only|this|last"
        r"|says?|said|that|wife|husband|daughter|"
        r"son|mother|father|doctor|noticed|reports?|apart|from|feel|well|day|mornings?|evenings?|comes?"
        r"|goes?|worse|better|and|than|it was)\b"
    ),
)
"""English."""

DENIED_BEFORE = re.compile(
    r"\b(?:no|not|never|without|den(?:y|ies|ied)|denying|neither|nor|none|free of|absence of"
    rf"|nothing wrong with|any more)\s+(?:{_LIGHT}\s+)*$"
)
"""What stands before an English cue that is denied, up to its very start."""
