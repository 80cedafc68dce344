"""``/medsynth/api/rounds`` on an application of its own."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from medsynth_app.accounts import Role
from medsynth_app.api.access.roles import needed_role
from medsynth_app.api.error_handlers import add_error_handlers
from medsynth_app.api.router import build_router
from medsynth_app.api.routes.rounds import get_rounds
from medsynth_app.errors import NotFoundError

ROUNDS = "/medsynth/api/rounds"


class OneRound:
    """Rounds with one model."""

    def overview(self) -> dict[str, Any]:
        return {"rounds": [{"round": 1}], "models": [{"id": "a"}], "model": "a"}

    def restore(self, model: str) -> dict[str, Any]:
        if model != "a":
            raise NotFoundError(f"model: no weights of {model!r} are kept; there are a")
        return {"model": "a", "before": "b"}


@pytest.fixture
def server() -> FastAPI:
    server = FastAPI()
    server.include_router(build_router())
    add_error_handlers(server)
    return server


def test_rounds_and_models_are_shown_and_restored(server: FastAPI) -> None:
    server.dependency_overrides[get_rounds] = OneRound
    client = TestClient(server)
    assert client.get(ROUNDS).json() == OneRound().overview()
    assert client.post(f"{ROUNDS}/models/a").json() == {"model": "a", "before": "b"}
    unknown = client.post(f"{ROUNDS}/models/x")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert "there are a" in unknown.json()["detail"]


def test_server_without_rounds_says_so(server: FastAPI) -> None:
    answer = TestClient(server).get(ROUNDS)
    assert (answer.status_code, answer.json()["code"]) == (503, "rounds_unavailable")


def test_everybody_may_look_and_an_admin_may_go_back() -> None:
    assert needed_role("GET", ROUNDS) is Role.VIEWER
    assert needed_role("POST", f"{ROUNDS}/models/a") is Role.ADMIN
