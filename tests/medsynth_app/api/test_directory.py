"""Symptoms, regions, hospitals and health."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from medsynth_app.api.error_handlers import add_error_handlers
from medsynth_app.api.router import build_router
from medsynth_app.api.schemas import CrossCheckRequest, inline_schema
from medsynth_app.vocabulary import RESEARCH_NOTICE

API = "/medsynth/api"


@pytest.mark.parametrize("path", ["symptoms", "regions", "hospitals", "health"])
def test_every_answer_carries_the_notice(client: TestClient, path: str) -> None:
    answer = client.get(f"{API}/{path}")
    assert answer.status_code == 200
    assert answer.json()["notice"] == RESEARCH_NOTICE


@pytest.mark.parametrize(
    ("text", "expected"),
    [("오른팔에 힘이 없어요", "arm_weakness"), ("두통", "headache"), ("slurred speech", "dysarthria")],
)
def test_search_finds_lay_words(client: TestClient, text: str, expected: str) -> None:
    found = client.get(f"{API}/symptoms", params={"q": text, "limit": 3}).json()
    assert found["symptoms"][0]["id"] == expected
    assert client.post(f"{API}/symptoms/understand", json={"text": text}).json()["candidates"][0]["symptom"] == expected


def test_names_come_in_the_language_asked_for(client: TestClient) -> None:
    regions = client.get(f"{API}/regions", params={"lang": "ko"}).json()["regions"]
    broca = next(each for each in regions if each["code"] == "BROCA")
    assert broca["name"] == broca["name_ko"]
    assert "aphasia_expressive" in {link["symptom"] for link in broca["symptoms"]}
    assert client.get(f"{API}/questionnaire", params={"lang": "ko"}).json()["language"] == "ko"


def test_hospitals_are_ranked_with_their_terms(client: TestClient) -> None:
    query = {"region": "BROCA,M1_FACE", "lat": 37.5, "lon": 127, "limit": 4}
    answer = client.get(f"{API}/hospitals", params=query).json()
    scores = [row["score"] for row in answer["hospitals"]]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    assert "awake_mapping" in {row["code"] for row in answer["wanted"]}
    doubtful = client.get(f"{API}/hospitals", params={"region": "BROCA", "concordance": "discordant"}).json()
    assert doubtful["general_only"]
    assert "awake_mapping" not in {row["code"] for row in doubtful["wanted"]}


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("hospitals", {"region": "NOWHERE"}, "unknown_region"),
        ("hospitals", {"lat": 37}, "invalid_value"),
        ("hospitals", {"lat": 137, "lon": 37}, "invalid_value"),
        ("hospitals", {"limit": 0}, "invalid_value"),
        ("symptoms", {"lang": "fr"}, "invalid_value"),
        ("symptoms", {"kind": "pain"}, "invalid_value"),
    ],
)
def test_bad_questions(client: TestClient, path: str, query: dict[str, Any], code: str) -> None:
    answer = client.get(f"{API}/{path}", params=query)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_without_a_clinic_the_routes_say_so() -> None:
    server = FastAPI()
    server.include_router(build_router())
    add_error_handlers(server)
    answer = TestClient(server).get(f"{API}/health")
    assert (answer.status_code, answer.json()["code"]) == (503, "clinic_unavailable")


def test_the_documented_schema_has_no_loose_ends() -> None:
    assert "$ref" not in str(inline_schema(CrossCheckRequest))
    assert "arm_weakness" in str(inline_schema(CrossCheckRequest))
