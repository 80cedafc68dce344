"""Lay phrases: the right symptom, side and negation, on phrases written before the search was tuned."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from medsynth_app.clinical.free_text.phrase_index import ACCEPTANCE_SCORE, PhraseIndex, Understanding
from medsynth_app.clinical.knowledge.side_words import BodySide
from medsynth_app.clinical.repository import Repository
from medsynth_app.clinical.seeding import open_seeded_database
from medsynth_app.errors import InvalidValueError

HERE = Path(__file__).parent


@dataclass(frozen=True)
class LayPhrase:
    """A phrase and what it means; more than one symptom where clinicians would not tell them apart."""

    text: str
    symptoms: frozenset[str]
    side: BodySide
    negated: bool


@dataclass(frozen=True)
class Score:
    """Shares between 0 and 1."""

    first: float
    top_three: float
    negation: float
    side: float


def phrases(file: str, language: str) -> list[LayPhrase]:
    with (HERE / file).open(encoding="utf-8", newline="") as stream:
        return [
            LayPhrase(
                row["phrase"],
                frozenset(row["symptom"].split("|")),
                BodySide(row["side"] or "unknown"),
                row["negated"] == "yes",
            )
            for row in csv.DictReader(stream)
            if row["language"] == language
        ]


def score(index: PhraseIndex, wanted: list[LayPhrase]) -> Score:
    found = [index.understand(each.text) for each in wanted]

    def share(hits: list[bool]) -> float:
        return sum(hits) / len(hits)

    pairs = list(zip(found, wanted))
    return Score(
        first=share([bool(u.candidates) and u.candidates[0].symptom in p.symptoms for u, p in pairs]),
        top_three=share([any(c.symptom in p.symptoms for c in u.candidates) for u, p in pairs]),
        negation=share([u.negated == p.negated for u, p in pairs]),
        side=share([u.side == p.side for u, p in pairs]),
    )


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    # the search is pure: that both engines hold the same words is tested with the repository
    with open_seeded_database(tmp_path_factory.mktemp("words") / "clinic.db") as database:
        yield Repository(database)


@pytest.fixture(scope="module")
def index(words: Repository) -> PhraseIndex:
    return words.phrase_index()


@pytest.mark.parametrize("language", ["ko", "en"])
def test_sixty_phrases_of_a_language(index: PhraseIndex, language: str) -> None:
    wanted = phrases("lay_phrases.csv", language)
    assert len(wanted) == 60
    reached = score(index, wanted)
    assert reached.first >= 0.85
    assert reached.top_three >= 0.95
    assert reached.negation >= 0.95
    assert reached.side >= 0.95


@pytest.mark.parametrize("language", ["ko", "en"])
def test_forty_phrases_of_someone_who_had_not_seen_the_words(index: PhraseIndex, language: str) -> None:
    # written from the symptoms' names alone, measured once and never tuned on
    wanted = phrases("lay_phrases_blind.csv", language)
    assert len(wanted) == 40
    reached = score(index, wanted)
    assert reached.first >= 0.85
    assert min(reached.top_three, reached.negation, reached.side) >= 0.95


def test_no_phrase_of_the_test_is_a_synonym(words: Repository) -> None:
    known = {"".join(each.text.casefold().split()) for each in words.synonyms()}
    written = [
        "".join(each.text.casefold().split())
        for file in ("lay_phrases.csv", "lay_phrases_held_out.csv")
        for language in ("ko", "en")
        for each in phrases(file, language)
    ]
    assert len(written) == 160
    assert not known & set(written)


@pytest.mark.parametrize(
    ("text", "symptom"),
    [
        ("두통", "headache"),
        ("복시", "diplopia"),
        ("이명", "tinnitus"),
        ("경련", "seizure_unspecified"),
        ("실신", "syncope"),
        ("구토", "nausea_vomiting"),
        ("Headache", "headache"),
        ("seizure", "seizure_unspecified"),
    ],
)
def test_one_word_is_found_with_certainty(index: PhraseIndex, text: str, symptom: str) -> None:
    best = index.understand(text).candidates[0]
    assert best.symptom == symptom
    assert best.score == 1.0
    assert not best.needs_confirmation


def test_two_syllables_inside_a_sentence(index: PhraseIndex) -> None:
    assert index.understand("두통이요").candidates[0].symptom == "headache"
    assert "hemiplegia" in [each.symptom for each in index.understand("반신에 마비가 왔어요").candidates]


def test_decomposed_hangul_is_the_same_phrase(index: PhraseIndex) -> None:
    composed = "왼쪽 팔에 힘이 없어요"
    assert index.understand(unicodedata.normalize("NFD", composed)) == index.understand(composed)


def test_nothing_below_the_threshold_is_taken_silently(index: PhraseIndex) -> None:
    for language in ("ko", "en"):
        for phrase in phrases("lay_phrases.csv", language)[::6]:
            for candidate in index.understand(phrase.text).candidates:
                assert candidate.needs_confirmation or candidate.score >= ACCEPTANCE_SCORE


def test_at_most_three_candidates_best_first(index: PhraseIndex) -> None:
    understood = index.understand("I have trouble with my arm and speech and vision")
    scores = [each.score for each in understood.candidates]
    assert 1 <= len(scores) <= 3
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("두통이 있어요", False),
        ("두통은 없어요", True),
        ("두통 없음", True),
        ("머리는 안 아파요", True),
        ("팔에 힘이 없어요", False),
        ("냄새를 못 맡아요", False),
        ("한쪽 귀가 안 들려요", False),
        ("발음은 정상이에요", True),
        ("없던 두통이 생겼어요", False),
        ("삼키기 힘들지 않아요", True),
        ("I have a headache", False),
        ("no headache", True),
        ("I don't have any headaches", True),
        ("I can't smell", False),
        ("doesn't recognise faces", False),
        ("no trouble swallowing", True),
        ("without vomiting", True),
        ("my hearing is normal", True),
        ("hiccups won't stop", False),
        ("I have no energy", False),
    ],
)
def test_denial_is_told_from_inability(index: PhraseIndex, text: str, negated: bool) -> None:
    assert index.understand(text).negated is negated


def test_side_is_given_only_to_symptoms_that_have_one(index: PhraseIndex) -> None:
    understood = index.understand("왼쪽 손이 저려요")
    assert understood.side is BodySide.LEFT
    sides = {each.symptom: each.side for each in understood.candidates}
    assert sides["paresthesia_unilateral"] is BodySide.LEFT
    assert index.understand("left memory").candidates[0].side is BodySide.UNKNOWN


def test_body_parts_are_named(index: PhraseIndex) -> None:
    assert index.understand("오른쪽 다리랑 팔에 힘이 빠져요").body_parts == ("arm", "leg")


def test_strange_words_find_nothing(index: PhraseIndex) -> None:
    assert index.understand("qwxzv jkjkjk").candidates == ()


@pytest.mark.parametrize(("text", "length"), [("", 0), ("   ", 0), ("가" * 501, 501)])
def test_length_is_checked_without_repeating_the_words(index: PhraseIndex, text: str, length: int) -> None:
    with pytest.raises(InvalidValueError, match=f"text has {length} characters; allowed: 1 to 500") as caught:
        index.understand(text)
    assert "가" not in str(caught.value)


def test_an_empty_index_understands_nothing() -> None:
    assert PhraseIndex([]).understand("headache") == Understanding("en", BodySide.UNKNOWN, False, (), ())
