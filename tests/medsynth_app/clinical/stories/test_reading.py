"""Stories of patients: what is present, what is denied, on which side, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from medsynth_app.benchmarks.stories import StoryFigures, read_stories, score_stories
from medsynth_app.clinical.repository import Repository
from medsynth_app.clinical.seeding import open_seeded_database

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    with open_seeded_database(tmp_path_factory.mktemp("stories") / "clinic.db") as database:
        yield Repository(database)


def figures(words: Repository, language: str, part: str) -> StoryFigures:
    stories = [each for each in read_stories(HERE / f"stories_{language}.csv") if each.part == part]
    assert len(stories) >= 140
    return score_stories(stories, words.read_story)


@pytest.mark.parametrize(
    ("language", "part", "present_as_denied", "polarity", "side"),
    [
        ("ko", "tuning", 0, 0.005, 0.97),
        ("en", "tuning", 0, 0.005, 0.97),
        # measured once; the aims (no present complaint denied, side .97) are missed here and not tuned on
        ("ko", "held_out", 2, 0.02, 0.97),
        ("en", "held_out", 0, 0.005, 0.95),
    ],
)
def test_stories_written_before_the_reader(
    words: Repository, language: str, part: str, present_as_denied: int, polarity: float, side: float
) -> None:
    reached = figures(words, language, part)
    assert reached.recall >= 0.95
    assert reached.polarity_error_share <= polarity
    assert reached.present_as_denied <= present_as_denied
    assert reached.side >= side
    assert reached.refused >= 0.95
    assert reached.precision >= 0.9


def rows(words: Repository, text: str) -> list[tuple[str, str, str]]:
    return [(each.id, each.state, each.side.value) for each in words.read_story(text).findings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("힘이 없지는 않아요", [("hemiparesis", "denied", "unknown")]),
        ("두통하고 구토가 없어요", [("headache", "denied", "unknown"), ("nausea_vomiting", "denied", "unknown")]),
        ("두통 말고 다른 증상은 없어요", [("headache", "present", "unknown")]),
        ("위를 올려다볼 수가 없어요", [("vertical_gaze_palsy", "present", "unknown")]),
        ("말을 못 알아들어요", [("aphasia_receptive", "present", "unknown")]),
        ("반쪽이 꼼짝도 안 해요", [("hemiplegia", "present", "unknown")]),
        ("My speech is fine", [("aphasia_unspecified", "denied", "unknown")]),
        ("I have never had seizures, and my left arm jerks",
         [("seizure_unspecified", "denied", "unknown"), ("seizure_focal_motor", "present", "left")]),
        ("no headache, nausea or vomiting",
         [("headache", "denied", "unknown"), ("nausea_vomiting", "denied", "unknown")]),
        ("my left arm is weak, the leg too",
         [("arm_weakness", "present", "left"), ("leg_weakness", "present", "left")]),
    ],
)  # fmt: skip
def test_scope_of_a_denial(words: Repository, text: str, expected: list[tuple[str, str, str]]) -> None:
    assert rows(words, text) == expected


def test_every_wording_of_the_knowledge_base_is_present(words: Repository) -> None:
    # every twelfth of 2,850: a synonym names a complaint, so none may be read as its denial
    for synonym in words.synonyms()[::12]:
        assert not [each for each in words.read_story(synonym.text).findings if each.state == "denied"], (
            synonym
        )


@pytest.mark.parametrize("text", ["가나다라" * 1000, "나무 " * 1300, "lorem ipsum " * 330, "왼쪽 " * 1300])
def test_an_endless_text_is_answered_in_time(words: Repository, text: str) -> None:
    started = time.process_time()
    assert words.read_story(text[:4000].strip()).findings == ()
    assert time.process_time() - started < 10.0
