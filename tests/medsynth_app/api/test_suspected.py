"""``POST regions/suspected``: where symptoms alone point to."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from medsynth_app.vocabulary import RESEARCH_NOTICE

API = "/medsynth/api"


def test_regions_come_with_reasons_and_a_place(client: TestClient) -> None:
    body = {
        "symptoms": [{"id": "arm_weakness", "side": "right"}, "headache"],
        "handedness": "right",
        "limit": 5,
    }
    answer = client.post(f"{API}/regions/suspected", json=body, params={"lang": "ko"}).json()
    first = answer["suspected"][0]
    assert (first["region"], first["side"], first["name"]) == ("M1_HAND", "left", "왼쪽 손 운동피질")
    assert [each["symptom"] for each in first["reasons"]] == ["arm_weakness"]
    assert first["center_mm"][0] < -20
    assert len(answer["suspected"]) == 5
    assert answer["notice"] == RESEARCH_NOTICE


def test_urgent_signs_come_before_any_image(client: TestClient) -> None:
    body = {"symptoms": [{"id": "limb_ataxia", "side": "left"}, "nausea_vomiting"]}
    answer = client.post(f"{API}/regions/suspected", json=body).json()
    assert [flag["id"] for flag in answer["red_flags"]] == ["posterior_fossa_vomiting"]
    assert (answer["suspected"][0]["region"], answer["suspected"][0]["side"]) == ("CBL_HEM", "left")


def test_without_a_pointing_symptom_the_list_is_empty_and_says_why(client: TestClient) -> None:
    answer = client.post(f"{API}/regions/suspected", json={"symptoms": ["headache"], "age": 40}).json()
    assert (answer["suspected"], answer["reasons"]) == ([], ["no_localising_symptom"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"symptoms": ["broca_aphasia"]}, "unknown_symptom"),
        ({"symptoms": [{"id": "arm_weakness", "side": "up"}]}, "invalid_value"),
        ({"symptoms": [], "limit": 0}, "invalid_value"),
        ({"symptoms": [], "handedness": "foot"}, "invalid_value"),
        ({"symptoms": ["headache"], "case": "case_1"}, "invalid_value"),
    ],
)
def test_bad_answers_are_refused_by_name(client: TestClient, body: dict[str, object], code: str) -> None:
    answer = client.post(f"{API}/regions/suspected", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
