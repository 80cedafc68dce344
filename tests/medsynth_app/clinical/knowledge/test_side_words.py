"""Side words, and words that only look like them."""

from __future__ import annotations

import pytest

from medsynth_app.clinical.free_text.korean import normalise
from medsynth_app.clinical.knowledge.side_words import BodySide, mentioned_side

LEFT, RIGHT, BOTH, UNKNOWN = BodySide.LEFT, BodySide.RIGHT, BodySide.BOTH, BodySide.UNKNOWN


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("왼쪽 팔", LEFT),
        ("왼팔이 저려요", LEFT),
        ("좌측 안면", LEFT),
        ("왼편", LEFT),
        ("오른손", RIGHT),
        ("우측", RIGHT),
        ("오른 쪽 다리", RIGHT),
        ("양쪽 다리", BOTH),
        ("양손", BOTH),
        ("왼쪽이랑 오른쪽 다 아파요", BOTH),
        ("단어가 떠오른다", UNKNOWN),
        ("얼굴이 부어오른 것 같아요", UNKNOWN),
        ("우편물", UNKNOWN),
        ("좌우를 구분 못 해요", UNKNOWN),
        ("왼쪽과 오른쪽을 헷갈려요", UNKNOWN),
        ("my left arm", LEFT),
        ("left-sided weakness", LEFT),
        ("Right hand", RIGHT),
        ("right-hand side", RIGHT),
        ("both legs", BOTH),
        ("bilateral", BOTH),
        ("the left half in both eyes", LEFT),
        ("left and right arm", BOTH),
        ("left arm but the right leg", UNKNOWN),
        ("I left the house", UNKNOWN),
        ("it hurts right now", UNKNOWN),
        ("the right word", UNKNOWN),
        ("all right", UNKNOWN),
        ("I confuse left and right", UNKNOWN),
        ("headache", UNKNOWN),
    ],
)
def test_side_of_a_phrase(text: str, side: BodySide) -> None:
    assert mentioned_side(normalise(text)).side is side


@pytest.mark.parametrize(
    ("text", "rest"), [("왼팔이 저려요", "팔이 저려요"), ("my left hand shakes", "my hand shakes")]
)
def test_the_body_part_stays(text: str, rest: str) -> None:
    assert mentioned_side(text).rest == rest
