"""The words the knowledge base uses, and how alike a patient's word is to each of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from medsynth_app.clinical.free_text.korean import is_korean, ngrams, stem
from medsynth_app.clinical.free_text.phrase_tokens import Token, english_stem


@dataclass(frozen=True)
class LayTerm:
    """Words that mean the same part or quality, in both languages.

    Attributes:
        concept: what they mean, for example ``arm``.
        kind: ``body_part``, ``quality`` or ``function``.
        language: ``ko`` or ``en``.
        forms: the words.
    """

    concept: str
    kind: str
    language: str
    forms: tuple[str, ...]


class ConceptTable:
    """Which lay terms a word stands for.

    Args:
        lay_terms: words that mean the same.
    """

    def __init__(self, lay_terms: Iterable[LayTerm]) -> None:
        self._kinds: dict[str, str] = {}
        self._by_stem: dict[str, set[str]] = defaultdict(set)
        self._prefixes: list[tuple[str, str]] = []
        self._cache: dict[str, frozenset[str]] = {}
        for term in lay_terms:
            self._kinds[term.concept] = term.kind
            for form in term.forms:
                self._by_stem[stem(form) if is_korean(form) else english_stem(form)].add(term.concept)
                # 팔뚝에서도: a Korean word may go on after the term; one syllable begins too many words
                if is_korean(form) and len(form) > 1:
                    self._prefixes.append((form, term.concept))

    def of(self, token: Token) -> frozenset[str]:
        """The concepts of a word; empty for most words."""
        if token.text not in self._cache:
            found = set(self._by_stem.get(token.stem, ()))
            if is_korean(token.text):
                found |= {concept for form, concept in self._prefixes if token.text.startswith(form)}
                found |= self._joined_parts(token.text)
            self._cache[token.text] = frozenset(found)
        return self._cache[token.text]

    def body_parts(self, tokens: Iterable[Token]) -> frozenset[str]:
        """The body parts that words name."""
        return frozenset(
            concept for token in tokens for concept in self.of(token) if self._kinds[concept] == "body_part"
        )

    def _joined_parts(self, text: str) -> set[str]:
        joined = {"팔다리": ("arm", "leg"), "손발": ("hand", "foot")}
        parts = {
            concept for word, concepts in joined.items() if text.startswith(word) for concept in concepts
        }
        return parts & set(self._kinds)


class Vocabulary:
    """The stems of the knowledge base, searchable by letters and by concept.

    Args:
        tokens: the words of all synonyms.
        concepts: the lay terms.
        same_stem: least likeness of two stems that count as one word with different endings.
        same_concept: likeness of two different words of one lay term.
    """

    def __init__(
        self, tokens: Iterable[Token], concepts: ConceptTable, same_stem: float, same_concept: float
    ) -> None:
        self._concepts = concepts
        self._same_stem, self._same_concept = same_stem, same_concept
        self._stems_with_piece: dict[str, list[str]] = defaultdict(list)
        self._stems_with_concept: dict[str, set[str]] = defaultdict(set)
        self._pieces_of: dict[str, int] = {}
        for token in tokens:
            for concept in concepts.of(token):
                self._stems_with_concept[concept].add(token.stem)
            if token.stem not in self._pieces_of:
                pieces = ngrams(token.stem)
                self._pieces_of[token.stem] = len(pieces)
                for piece in pieces:
                    self._stems_with_piece[piece].append(token.stem)

    def likeness(self, token: Token) -> dict[str, float]:
        """Known stems that a word may stand for, each with its likeness in (0, 1]."""
        pieces = ngrams(token.stem)
        shared = Counter(stem for piece in pieces for stem in self._stems_with_piece.get(piece, ()))
        found = {}
        for known, count in shared.items():
            # Dice coefficient of the two words' letter pieces
            like = 2.0 * count / (len(pieces) + self._pieces_of[known])
            if like >= self._same_stem:
                found[known] = like
        for concept in self._concepts.of(token):
            for known in self._stems_with_concept[concept]:
                found[known] = max(found.get(known, 0.0), self._same_concept)
        return found
