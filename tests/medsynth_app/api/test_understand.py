"""``POST symptoms/understand``: a story's findings, what is asked back, what is not guessed."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

API = "/medsynth/api"


def understood(client: TestClient, text: str, **query: str) -> dict[str, Any]:
    answer = client.post(f"{API}/symptoms/understand", json={"text": text}, params=query)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(row["id"], row["state"], row["side"]) for row in found["findings"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("오른팔에 힘이 없고 말이 잘 안 나와요",
         [("arm_weakness", "present", "right"), ("aphasia_expressive", "present", "unknown")]),
        ("no strength in my right arm", [("arm_weakness", "present", "right")]),
        ("I have no feeling in my left hand", [("hemisensory_loss", "present", "left")]),
        ("오른쪽이 안 보여요", [("homonymous_hemianopia", "present", "right")]),
        ("I cannot see on the right side of both eyes", [("homonymous_hemianopia", "present", "right")]),
        ("double vision, face droops, trouble swallowing",
         [("diplopia", "present", "unknown"), ("face_weakness_central", "present", "unknown"),
          ("dysphagia", "present", "unknown")]),
        ("no seizures, no headache, just numbness in my left hand",
         [("seizure_unspecified", "denied", "unknown"), ("headache", "denied", "unknown"),
          ("hemisensory_loss", "present", "left")]),
        ("my knee hurts", []),
        ("점심에 김밥을 먹었어요", []),
    ],
)  # fmt: skip
def test_what_the_patient_says(client: TestClient, text: str, expected: list[tuple[str, str, str]]) -> None:
    found = understood(client, text)
    assert rows(found) == expected
    assert [each["symptom"] for each in found["candidates"]][: min(3, len(expected))] == [
        row[0] for row in expected
    ][:3]
    if not expected:
        assert (found["candidates"], found["not_understood"]) == ([], [text])


def test_onset_and_course_are_kept(client: TestClient) -> None:
    row = understood(client, "Since March my right arm is getting weaker, worse in the mornings")["findings"][
        0
    ]
    assert (row["id"], row["onset"], row["course"]) == ("arm_weakness", "months", ["worse", "in_the_morning"])
    assert understood(client, "며칠 전부터 왼쪽 다리에 힘이 없어요")["findings"][0]["onset"] == "days"


def test_two_eyes_or_one_is_asked_back_with_answers(client: TestClient) -> None:
    question = understood(client, "오른쪽이 안 보여요", lang="ko")["questions"][0]
    assert (question["kind"], question["about"]) == ("both_eyes_or_one", "homonymous_hemianopia")
    assert [(each["id"], each["side"], each["label"]) for each in question["choices"]] == [
        ("homonymous_hemianopia", "right", "두 눈 모두"),
        ("monocular_visual_loss", "right", "한쪽 눈만"),
    ]


def test_a_missing_side_is_asked_for(client: TestClient) -> None:
    question = understood(client, "my arm is weak")["questions"][0]
    assert (question["kind"], [each["side"] for each in question["choices"]]) == (
        "which_side",
        ["left", "right", "both"],
    )


def test_a_long_story_is_read_and_an_endless_one_is_refused(client: TestClient) -> None:
    story = "My left leg is weak. " + "We went to the park and it rained. " * 30 + "I see double."
    assert [row[0] for row in rows(understood(client, story))] == ["leg_weakness", "diplopia"]
    answer = client.post(f"{API}/symptoms/understand", json={"text": "가" * 4001})
    assert (answer.status_code, answer.json()["code"]) == (422, "free_text_length")
    assert "가" not in answer.text


def test_an_unknown_symptom_is_named_by_its_synonyms(client: TestClient) -> None:
    body = {"case": "case_1", "symptoms": ["broca_aphasia"]}
    answer = client.post(f"{API}/cross-check", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_symptom")
    assert "nearest are aphasia_expressive" in answer.json()["detail"]
