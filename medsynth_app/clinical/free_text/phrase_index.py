"""Lay phrases in Korean or English to symptoms: the three best candidates, for the user to confirm.

A phrase and every synonym become stems (`phrase_tokens`). Stems are compared by their letters and by shared
lay terms (팔, 팔뚝, "arm" are one body part), weighted by how rare a stem is among symptoms (inverse
document frequency, Sparck Jones 1972, J Doc 28:11). A candidate's score joins three views:

    F   harmonic mean of how much of the phrase the best synonym covers and how much of the synonym is covered
    C   how much of the phrase all synonyms of the symptom cover together
    L   letter pieces shared by phrase and best synonym, which survives wrong spacing

    score = 0.50 F + 0.35 C + 0.15 L, times a penalty for another body part; 1 for the very same words

Nothing is taken silently: `Candidate.needs_confirmation` is true below `ACCEPTANCE_SCORE` and where two
candidates are close. All functions are pure; the index lives in memory.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from medsynth_app.clinical.free_text.denial import denies
from medsynth_app.clinical.free_text.korean import is_korean, ngrams, normalise
from medsynth_app.clinical.free_text.lay_vocabulary import ConceptTable, LayTerm, Vocabulary
from medsynth_app.clinical.free_text.phrase_tokens import Phrase, Token, parse_phrase
from medsynth_app.clinical.knowledge.side_words import BodySide, mentioned_side
from medsynth_app.errors import InvalidValueError

ACCEPTANCE_SCORE = 0.85
"""Below this a candidate is never taken without the user's word."""

LONGEST_PHRASE = 500
"""Characters of one phrase; longer text is a story, to be split by the user."""


@dataclass(frozen=True)
class Synonym:
    """One way of naming a symptom.

    Attributes:
        symptom: identifier of the symptom.
        language: ``ko`` or ``en``.
        text: the words.
    """

    symptom: str
    language: str
    text: str


@dataclass(frozen=True)
class Candidate:
    """A symptom the phrase may mean.

    Attributes:
        symptom: identifier.
        score: 0 to 1.
        matched: the synonym that fits best, to show the user what was understood.
        negated: the phrase denies this symptom.
        side: the side named, UNKNOWN where the symptom has no side or none was named.
        needs_confirmation: the user must confirm it.
    """

    symptom: str
    score: float
    matched: str
    negated: bool
    side: BodySide
    needs_confirmation: bool


@dataclass(frozen=True)
class Understanding:
    """What was understood of one phrase.

    Attributes:
        language: ``ko`` where the phrase holds Hangul, else ``en``.
        side: the side the phrase names.
        negated: whether the best candidate is denied.
        body_parts: the body parts named, sorted.
        candidates: at most three, best first; empty where nothing fits.
    """

    language: str
    side: BodySide
    negated: bool
    body_parts: tuple[str, ...]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class FreeTextConfiguration:
    """Numbers of the search.

    Attributes:
        best_synonym: weight of F.
        all_synonyms: weight of C.
        letter_pieces: weight of L.
        same_stem: least likeness of two stems that count as one word with different endings.
        same_concept: likeness of two different words of one lay term.
        other_polarity: factor where one word is negated and the other not.
        other_body_part: factor where the phrase names a body part that no synonym of the symptom has.
        side_not_asked: factor where the phrase names a side and the symptom has none.
        strange_word: weight of a word that the knowledge base lacks, as a share of the rarest word's.
        closer_look: how many symptoms, by shared words, are compared synonym by synonym.
        least_score: candidates below are not shown.
        clear_margin: a candidate this close to the next one needs confirmation whatever its score.
    """

    best_synonym: float = 0.50
    all_synonyms: float = 0.35
    letter_pieces: float = 0.15
    same_stem: float = 0.55
    same_concept: float = 0.80
    other_polarity: float = 0.60
    other_body_part: float = 0.70
    side_not_asked: float = 0.85
    strange_word: float = 0.5
    closer_look: int = 30
    least_score: float = 0.12
    clear_margin: float = 0.05


@dataclass(frozen=True)
class _IndexedSynonym:
    synonym: Synonym
    key: str
    tokens: tuple[Token, ...]
    pieces: frozenset[str]


@dataclass(frozen=True)
class _Query:
    """A phrase with what its words may stand for, worked out once."""

    key: str
    phrase: Phrase
    pieces: frozenset[str]
    weights: tuple[float, ...]
    likeness: tuple[Mapping[str, float], ...]
    body_parts: frozenset[str]
    side_named: bool

    @property
    def total_weight(self) -> float:
        return max(sum(self.weights), 1e-9)


class PhraseIndex:
    """Synonyms prepared for search. Build once, ask often; it never changes.

    Args:
        synonyms: every way of naming every symptom, both languages.
        lay_terms: words that mean the same.
        symptoms_with_side: identifiers of the symptoms for which a side is asked.
        configuration: numbers of the search.
    """

    def __init__(
        self,
        synonyms: Iterable[Synonym],
        lay_terms: Iterable[LayTerm] = (),
        symptoms_with_side: Iterable[str] = (),
        configuration: FreeTextConfiguration = FreeTextConfiguration(),
    ) -> None:
        self._configuration = configuration
        self._symptoms_with_side = frozenset(symptoms_with_side)
        self._concepts = ConceptTable(lay_terms)
        self._by_symptom: dict[str, list[_IndexedSynonym]] = defaultdict(list)
        for synonym in synonyms:
            self._by_symptom[synonym.symptom].append(_indexed(synonym))
        self._weights = _rarity(self._by_symptom)
        self._pools = {symptom: _pool(entries) for symptom, entries in self._by_symptom.items()}
        tokens = [
            token for entries in self._by_symptom.values() for entry in entries for token in entry.tokens
        ]
        self._vocabulary = Vocabulary(
            tokens, self._concepts, configuration.same_stem, configuration.same_concept
        )
        self._body_parts = {
            symptom: self._concepts.body_parts(token for entry in entries for token in entry.tokens)
            for symptom, entries in self._by_symptom.items()
        }

    def understand(self, text: str, limit: int = 3) -> Understanding:
        """Find what a phrase means.

        Args:
            text: one phrase as a patient would say it, at most `LONGEST_PHRASE` characters.
            limit: how many candidates, best first.

        Raises:
            InvalidValueError: the phrase is empty or too long. The phrase itself is not in the message: it
            may
                hold a name.
        """
        plain = normalise(text)
        if not 1 <= len(plain) <= LONGEST_PHRASE:
            raise InvalidValueError(
                f"text has {len(plain)} characters; allowed: 1 to {LONGEST_PHRASE}", code="free_text_length"
            )
        mention = mentioned_side(plain)
        query = self._query(plain, parse_phrase(mention.rest), mention.side is not BodySide.UNKNOWN)
        ranked = self._ranked(query)
        candidates = tuple(
            self._candidate(query, mention.side, place, ranked) for place in range(min(limit, len(ranked)))
        )
        return Understanding(
            language="ko" if is_korean(plain) else "en",
            side=mention.side,
            negated=bool(candidates) and candidates[0].negated,
            body_parts=tuple(sorted(query.body_parts)),
            candidates=candidates,
        )

    # ---- scoring ----

    def _query(self, plain: str, phrase: Phrase, side_named: bool) -> _Query:
        likeness = tuple(self._vocabulary.likeness(token) for token in phrase.tokens)
        return _Query(
            key=_key(plain),
            phrase=phrase,
            pieces=_pieces(phrase.tokens),
            weights=tuple(self._weight(token, like) for token, like in zip(phrase.tokens, likeness)),
            likeness=likeness,
            body_parts=self._concepts.body_parts(phrase.tokens),
            side_named=side_named,
        )

    def _ranked(self, query: _Query) -> list[tuple[float, _IndexedSynonym]]:
        coverages = {symptom: self._coverage(query, pool) for symptom, pool in self._pools.items()}
        # a closer look at the symptoms that share most words is enough: the others cannot reach the top three
        closest = sorted(
            (name for name in coverages if coverages[name] > 0.0), key=lambda name: -coverages[name]
        )
        scored = []
        for symptom in closest[: self._configuration.closer_look]:
            score, entry = max(
                (
                    (self._entry_score(query, entry, coverages[symptom]), entry)
                    for entry in self._by_symptom[symptom]
                ),
                key=lambda pair: pair[0],
            )
            scored.append((score if score == 1.0 else score * self._penalty(symptom, query), entry))
        least = self._configuration.least_score
        return sorted(
            (pair for pair in scored if pair[0] >= least),
            key=lambda pair: (-pair[0], pair[1].synonym.symptom),
        )

    def _entry_score(self, query: _Query, entry: _IndexedSynonym, coverage: float) -> float:
        if entry.key == query.key:
            return 1.0
        settings = self._configuration
        matches = [
            [self._match(token, like, other) for other in entry.tokens]
            for token, like in zip(query.phrase.tokens, query.likeness)
        ]
        rarity = [self._weights[other.stem] for other in entry.tokens]
        covered = sum(weight * max(row, default=0.0) for weight, row in zip(query.weights, matches))
        explained = sum(weight * max(column) for weight, column in zip(rarity, zip(*matches)))
        precision = covered / query.total_weight
        recall = explained / max(sum(rarity), 1e-9)
        harmonic = 2 * precision * recall / max(precision + recall, 1e-9)
        letters = 2 * len(query.pieces & entry.pieces) / max(len(query.pieces) + len(entry.pieces), 1)
        score = (
            settings.best_synonym * harmonic
            + settings.all_synonyms * coverage
            + settings.letter_pieces * letters
        )
        # only the very same words are certain
        return min(score, 0.99)

    def _coverage(self, query: _Query, pool: Mapping[str, tuple[Token, ...]]) -> float:
        covered = 0.0
        for token, like, weight in zip(query.phrase.tokens, query.likeness, query.weights):
            shared = like.keys() & pool.keys()
            covered += weight * max(
                (self._match(token, like, other) for spelled in shared for other in pool[spelled]),
                default=0.0,
            )
        return covered / query.total_weight

    def _match(self, token: Token, likeness: Mapping[str, float], other: Token) -> float:
        like = likeness.get(other.stem, 0.0)
        if like and min(token.polarity, 1) != min(other.polarity, 1):
            return like * self._configuration.other_polarity
        return like

    def _weight(self, token: Token, likeness: Mapping[str, float]) -> float:
        if token.stem in self._weights:
            return self._weights[token.stem]
        if not likeness:
            return self._configuration.strange_word * max(self._weights.values(), default=1.0)
        return self._weights[max(likeness, key=lambda other: (likeness[other], other))]

    def _penalty(self, symptom: str, query: _Query) -> float:
        penalty = 1.0
        if query.body_parts and not query.body_parts & self._body_parts[symptom]:
            penalty *= self._configuration.other_body_part
        if query.side_named and symptom not in self._symptoms_with_side:
            penalty *= self._configuration.side_not_asked
        return penalty

    # ---- what is reported ----

    def _candidate(
        self, query: _Query, side: BodySide, place: int, ranked: Sequence[tuple[float, _IndexedSynonym]]
    ) -> Candidate:
        score, entry = ranked[place]
        symptom = entry.synonym.symptom
        rivals = [other for at, (other, _) in enumerate(ranked) if at != place]
        clear = all(score - rival >= self._configuration.clear_margin for rival in rivals)
        return Candidate(
            symptom=symptom,
            score=round(score, 4),
            matched=entry.synonym.text,
            negated=self._denies(query, entry),
            side=side if symptom in self._symptoms_with_side else BodySide.UNKNOWN,
            needs_confirmation=score < ACCEPTANCE_SCORE or not clear,
        )

    def _denies(self, query: _Query, entry: _IndexedSynonym) -> bool:
        if query.phrase.said_to_be_fine:
            return True
        wordings = [other.tokens for other in self._by_symptom[entry.synonym.symptom]]
        # the best wording first: it decides what the negated word is compared with
        return denies(query.phrase.tokens, query.likeness, entry.tokens, wordings)


def _indexed(synonym: Synonym) -> _IndexedSynonym:
    plain = normalise(synonym.text)
    tokens = parse_phrase(mentioned_side(plain).rest).tokens
    return _IndexedSynonym(synonym, _key(plain), tokens, _pieces(tokens))


def _key(plain: str) -> str:
    return "".join(character for character in plain if character.isalnum())


def _pieces(tokens: Sequence[Token]) -> frozenset[str]:
    return ngrams("".join(token.stem for token in tokens))


def _pool(entries: Sequence[_IndexedSynonym]) -> dict[str, tuple[Token, ...]]:
    pool: dict[str, dict[int, Token]] = defaultdict(dict)
    for entry in entries:
        for token in entry.tokens:
            pool[token.stem][min(token.polarity, 1)] = token
    return {spelled: tuple(found.values()) for spelled, found in pool.items()}


def _rarity(by_symptom: Mapping[str, Sequence[_IndexedSynonym]]) -> dict[str, float]:
    holders: dict[str, set[str]] = defaultdict(set)
    for symptom, entries in by_symptom.items():
        for entry in entries:
            for token in entry.tokens:
                holders[token.stem].add(symptom)
    return {spelled: math.log(1 + len(by_symptom) / len(found)) for spelled, found in holders.items()}
