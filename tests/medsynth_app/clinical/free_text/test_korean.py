"""Stems of Korean words."""

from __future__ import annotations

import pytest

from medsynth_app.clinical.free_text.korean import is_korean, letters, normalise, similarity, stem


@pytest.mark.parametrize(
    "forms",
    [
        ("저려요", "저리지", "저립니다", "저리고"),
        ("두통이", "두통은", "두통을", "두통도"),
        ("없어요", "없습니다", "없고"),
        ("떨려요", "떨리는", "떨립니다"),
        ("처져요", "처졌어요", "처지고"),
        ("다리가", "다리를", "다리에서"),
    ],
)
def test_forms_of_a_word_share_their_stem(forms: tuple[str, ...]) -> None:
    assert len({stem(form) for form in forms}) == 1


@pytest.mark.parametrize("word", ["눈", "아이", "다리", "머리", "고무", "가", "이"])
def test_short_words_keep_something(word: str) -> None:
    assert len(stem(word)) >= 2


def test_letters_of_syllables() -> None:
    assert letters("팔a") == "ㅍㅏㄹa"


def test_normalise_composes_and_tidies() -> None:
    assert normalise(" \u1112\u1161\u11ab\tA ") == "한 a"


def test_similarity_is_symmetric_and_bounded() -> None:
    one, other = stem("흐릿하게"), stem("흐려요")
    assert similarity(one, one) == 1.0
    assert 0.0 < similarity(one, other) == similarity(other, one) < 1.0


def test_is_korean() -> None:
    assert is_korean("pain 두통")
    assert not is_korean("headache")
