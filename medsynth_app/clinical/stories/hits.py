"""Complaints found in one sentence: which wording, where, denied or not, of which part and side.

Order of work, all on the sentence's own character positions:

1. side words are blanked, clauses are cut out;
2. every clause is searched for cues, lack before all else; no letter serves two cues;
3. a cue is denied by what stands right before it (English) or after it (Korean), or as a member of a list whose
   neighbour is denied; a function ("speech", 기억력) counts only where it is said to be well;
4. body part and side come from the clause, else from the clause before it in the same sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from medsynth_app.clinical.knowledge.side_words import BodySide, PlacedSide, placed_sides
from medsynth_app.clinical.stories.cues import Cue, Lexicon
from medsynth_app.clinical.stories.frames import LIMB_PARTS
from medsynth_app.clinical.stories.lexicon_en import DENIED_BEFORE
from medsynth_app.clinical.stories.lexicon_ko import KOREAN

_SAID_WELL = re.compile(r"(?:well|fine|normally|everything|what|all|write|수는?\s*있|알아들어요|잘\s*삼키)$")
"""Functions whose wording says already that they are well."""
_NEXT_WORDS = 24
"""Characters in which the part of "power in my right arm" stands."""
_LACK = re.compile(r"없|안\s|못|꼼짝|대답|반응|예전|떠오르지$|나오지$|\s수[가는도]?$")
_MORE_TO_COME = re.compile(r"[^.;]{0,60}?\b(?:or|nor)\b(?!\s+\w+\s+(?:is|are|has|have)\b)")
"""An "or" that is still to come makes a list of what stands between commas."""
_VERBAL_NOUN = re.compile(r"(?:경련|발작|구토|우울|불안|기절|실신|초조|침울)$")


@dataclass(frozen=True)
class Clause:
    """A stretch of a sentence; ``joint`` is what ends it."""

    start: int
    end: int
    joint: str


@dataclass(frozen=True)
class Hit:
    """A wording found.

    Attributes:
        cue: the wording's cue.
        clause: number of its clause in the sentence.
        start: place in the sentence.
        end: place after it.
        denied: whether it is denied.
        parts: body parts it is said of.
        side: side it is said of.
        both_named: "both" is said beside a left or right.
    """

    cue: Cue
    clause: int
    start: int
    end: int
    denied: bool = False
    parts: frozenset[str] = frozenset()
    side: BodySide = BodySide.UNKNOWN
    both_named: bool = False


@dataclass(frozen=True)
class ReadSentence:
    """A sentence with its clauses and hits."""

    text: str
    clauses: tuple[Clause, ...]
    hits: tuple[Hit, ...]
    sides: tuple[PlacedSide, ...] = field(default=())


def read_sentence(text: str, lexicon: Lexicon) -> ReadSentence:
    """Find the complaints of one sentence (normalised; English also `rewritten`)."""
    sides = placed_sides(text)
    blank = list(text)
    for each in sides:
        blank[each.start : each.end] = " " * (each.end - each.start)
    plain = "".join(blank)
    clauses = tuple(_clauses(text, lexicon))
    hits = [hit for number, clause in enumerate(clauses) for hit in _hits(plain, clause, number, lexicon)]
    hits = _with_polarity(plain, clauses, hits, lexicon)
    hits = [hit for hit in hits if hit.denied or not hit.cue.function]
    return ReadSentence(text, clauses, tuple(_with_places(plain, clauses, hits, sides, lexicon)), sides)


def _clauses(text: str, lexicon: Lexicon) -> Iterator[Clause]:
    start = 0
    for match in lexicon.clause_end.finditer(text):
        if text[start : match.start()].strip():
            yield Clause(start, match.start(), match.group())
            start = match.end()
        elif not match.start():
            start = match.end()
    if text[start:].strip():
        yield Clause(start, len(text), "")


# ---- cues


def _hits(text: str, clause: Clause, number: int, lexicon: Lexicon) -> list[Hit]:
    taken: list[tuple[int, int]] = []
    found = []
    # the joint holds the end of a Korean verb (튀다가)
    inside = text[clause.start : clause.end] + (clause.joint.rstrip() if lexicon is KOREAN else "")
    for cue in lexicon.cues:
        for match in cue.pattern.finditer(inside):
            start, end = match.start() + clause.start, match.end() + clause.start
            if start < end and not any(
                start < other_end and other_start < end for other_start, other_end in taken
            ):
                taken.append((start, end))
                found.append(Hit(cue, number, start, end))
    return sorted(found, key=lambda hit: hit.start)


# ---- polarity


def _with_polarity(text: str, clauses: Sequence[Clause], hits: Sequence[Hit], lexicon: Lexicon) -> list[Hit]:
    direct = [replace(hit, denied=_is_denied(text, clauses[hit.clause], hit, lexicon)) for hit in hits]
    return (
        _lists_backward(text, clauses, direct, lexicon)
        if lexicon is KOREAN
        else _lists_forward(text, clauses, direct)
    )


def _is_denied(text: str, clause: Clause, hit: Hit, lexicon: Lexicon) -> bool:
    tail = text[hit.end : clause.end + len(clause.joint)]
    if hit.cue.function:
        before = DENIED_BEFORE.search(text[clause.start : hit.start]) if lexicon is not KOREAN else None
        well_before = re.search(r"\bnothing wrong with (?:my |the )?$", text[clause.start : hit.start])
        untroubled = before is not None and "trouble" in before.group()
        said_well = _SAID_WELL.search(text[hit.start : hit.end].strip())
        return bool(lexicon.well_after.match(tail) or untroubled or well_before or said_well)
    if lexicon.denied_after.match(tail):
        # 꼼짝도 안 해요, 불러도 대답을 안 해요: lack followed by "not" is still lack, unless by 지 않아요
        return not _LACK.search(text[hit.start : hit.end]) or bool(
            re.match(r"[가-힣]{0,3}지(?:는|도)?\s*않", tail)
        )
    return lexicon is not KOREAN and bool(DENIED_BEFORE.search(text[clause.start : hit.start]))


def _lists_backward(text: str, clauses: Sequence[Clause], hits: Sequence[Hit], lexicon: Lexicon) -> list[Hit]:
    """두통이나 구토는 없어요: in Korean the last member's predicate speaks for all."""
    settled = list(hits)
    for at in range(len(settled) - 2, -1, -1):
        hit, following = settled[at], settled[at + 1]
        between = text[hit.end : following.start]
        if not following.denied or not between or following.cue.function:
            continue
        joined = re.fullmatch(
            r"(?:\s*증상)?(?:이나|나|과|와|랑|이랑|하고|도|이든|및|또는|거나|,|·|/|\s)+", between
        )
        # 정신을 잃고 쓰러진 적 없어요: one thing said with two verbs
        if between.strip() in ("고", "거나") and following.cue.means == hit.cue.means:
            settled[at] = replace(hit, denied=True)
            continue
        verbal = between.startswith("하고") and _VERBAL_NOUN.search(text[hit.start : hit.end])
        if joined and not verbal:
            settled[at] = replace(hit, denied=True)
    return settled


def _lists_forward(text: str, clauses: Sequence[Clause], hits: Sequence[Hit]) -> list[Hit]:
    """No headache, nausea or vomiting: in English the first member's "no" speaks for all."""
    settled = list(hits)
    for at in range(1, len(settled)):
        before, hit = settled[at - 1], settled[at]
        if hit.denied or not before.denied or before.cue.function or hit.cue.function:
            continue
        between = text[before.end : hit.start]
        alternative = re.fullmatch(r"\s*(?:,\s*)?(?:or|nor|/)\s+(?:any |a |in |of |my |the )*", between)
        added = re.fullmatch(r"\s*,?\s*and\s+(?:any )?", between) and _ends_list(text, hit)
        listed = re.fullmatch(r"\s*,\s*", between) and _MORE_TO_COME.match(text[hit.end :])
        if alternative or added or listed:
            settled[at] = replace(hit, denied=True)
    return settled


def _ends_list(text: str, hit: Hit) -> bool:
    return bool(re.match(r"\s*(?:$|[.;,]|but\b|just\b|only\b|or\b|in the mornings?\s*$)", text[hit.end :]))


# ---- part and side


def _with_places(
    text: str, clauses: Sequence[Clause], hits: Sequence[Hit], sides: Sequence[PlacedSide], lexicon: Lexicon
) -> Iterator[Hit]:
    by_clause: dict[int, list[Hit]] = {}
    for hit in hits:
        by_clause.setdefault(hit.clause, []).append(hit)
    reach = _reaches(text, clauses, by_clause, lexicon)
    carried_parts: frozenset[str] = frozenset()
    carried_side = BodySide.UNKNOWN
    last: list[Hit] = []
    for number, clause in enumerate(clauses):
        own = by_clause.get(number, [])
        inside = text[clause.start : clause.end] + clause.joint
        if not own:
            if last and lexicon.same_again.search(inside) and _parts(text, clause.start, clause.end, lexicon):
                own = [replace(hit, clause=number, start=clause.start, end=clause.end) for hit in last]
            else:
                continue
        placed = []
        for at, hit in enumerate(own):
            start = reach[number][0] if at == 0 else own[at - 1].end
            end = reach[number][1] if at == len(own) - 1 else own[at + 1].start
            parts = _nearest_parts(text, hit, start, end, lexicon)
            side, both = _nearest_side(sides, hit, start, end, reach[number])
            if not parts and hit.cue.means.isupper():
                parts = carried_parts
            if side is BodySide.UNKNOWN and (
                not _nearest_parts(text, hit, start, end, lexicon) or parts & LIMB_PARTS
            ):
                side = carried_side
            placed.append(replace(hit, parts=parts, side=side, both_named=both))
            carried_parts, carried_side = (
                (parts or carried_parts),
                (side if side is not BodySide.UNKNOWN else carried_side),
            )
        last = [hit for hit in placed if hit.cue.means.isupper()] or last
        yield from placed


def _reaches(
    text: str, clauses: Sequence[Clause], by_clause: dict[int, list[Hit]], lexicon: Lexicon
) -> dict[int, tuple[int, int]]:
    """Where each clause may look for parts: its own stretch and neighbours that hold nothing but parts."""
    reach = {}
    for number in range(len(clauses)):
        start, end = clauses[number].start, clauses[number].end
        before = number - 1
        while (
            before >= 0
            and before not in by_clause
            and _parts(text, clauses[before].start, clauses[before].end, lexicon)
        ):
            start, before = clauses[before].start, before - 1
        after = number + 1
        while (
            after < len(clauses)
            and after not in by_clause
            and (after + 1 >= len(clauses) or after + 1 not in by_clause or lexicon is not KOREAN)
            and _parts(text, clauses[after].start, clauses[after].end, lexicon)
            and not lexicon.same_again.search(text[clauses[after].start : clauses[after].end])
        ):
            end, after = clauses[after].end, after + 1
        reach[number] = (start, end)
    return reach


def _parts(text: str, start: int, end: int, lexicon: Lexicon) -> frozenset[str]:
    stretch = text[start:end]
    return frozenset(name for name, pattern in lexicon.parts if pattern.search(stretch))


def _nearest_parts(text: str, hit: Hit, start: int, end: int, lexicon: Lexicon) -> frozenset[str]:
    """Parts before the hit and in it, else those after it; in English behind a noun: "numbness in my arm"."""
    before = _parts(text, start, hit.end, lexicon)
    behind = lexicon is not KOREAN and re.match(
        r"\s*(?:feeling |sensation |of |in |on |down |from |at all )*(?:in|of|on|down|from|my|the)\b",
        text[hit.end :],
    )
    if behind and (named := _parts(text, hit.end, max(end, hit.end + _NEXT_WORDS), lexicon)):
        return named
    return before or _parts(text, hit.start, end, lexicon)


def _nearest_side(
    sides: Sequence[PlacedSide], hit: Hit, start: int, end: int, reach: tuple[int, int]
) -> tuple[BodySide, bool]:
    """The side word nearest to the hit; "both" gives way to a left or right beside it."""
    near = [each for each in sides if start <= each.start < end]
    near = near or [each for each in sides if reach[0] <= each.start < reach[1]]
    if not near:
        return BodySide.UNKNOWN, False
    both = any(each.side is BodySide.BOTH for each in near)
    lateral = [each for each in near if each.side is not BodySide.BOTH]
    if not lateral:
        return BodySide.BOTH, True
    chosen = min(lateral, key=lambda each: (_distance(each, hit), each.start))
    return chosen.side, both


def _distance(side: PlacedSide, hit: Hit) -> int:
    if side.end <= hit.start:
        return hit.start - side.end
    return max(0, side.start - hit.end)
