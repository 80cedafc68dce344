"""Bodies that FastAPI parses are bounded too: depth, characters, number of form fields."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Body, FastAPI, Form, Request, Response
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from medsynth_app.api.bounded_request import MOST_FIELDS, BoundedRequest
from medsynth_app.api.error_handlers import add_error_handlers


class Bounded(APIRoute):
    def get_route_handler(self) -> Any:
        handler = super().get_route_handler()

        async def call(request: Request) -> Response:
            return await handler(BoundedRequest(request.scope, request.receive))

        return call


@pytest.fixture
def client() -> TestClient:
    server = FastAPI()
    server.router.route_class = Bounded
    add_error_handlers(server)

    @server.post("/json")
    def take(params: dict[str, Any] | None = Body(None)) -> dict[str, Any]:
        return {"got": params}

    @server.post("/form")
    def take_form(a: str = Form("")) -> dict[str, Any]:
        return {"got": a}

    return TestClient(server, raise_server_exceptions=False)


@pytest.mark.parametrize("size", [1, 100_000])
def test_values_arrive(client: TestClient, size: int) -> None:
    assert client.post("/json", json={"a": "x" * size}).json() == {"got": {"a": "x" * size}}
    assert client.post("/json").json() == {"got": None}
    assert client.post("/form", data={"a": "x"}).json() == {"got": "x"}


@pytest.mark.parametrize("content", ['{"a": "\\ud800"}', '{"a":' + "[" * 300 + "]" * 300 + "}", "[" * 60_000, "{"])
def test_what_cannot_be_stored_is_malformed(client: TestClient, content: str) -> None:
    response = client.post("/json", content=content, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (400, "malformed")
    assert "body" in response.json()["detail"]


def test_a_deep_value_of_a_wrong_kind_is_named_shortly(client: TestClient) -> None:
    response = client.post("/json", content="[" * 60 + "]" * 60, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert len(response.content) < 400


def test_only_so_many_form_fields_are_read(client: TestClient) -> None:
    fields = {f"f{n}": (None, "x") for n in range(MOST_FIELDS + 1)}
    assert client.post("/form", files=fields).status_code == 400
