"""Stock endpoints run off the event loop with their parameters and dependencies intact."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Form, HTTPException
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from lib.server.hardening import _off_event_loop, _replace, _synchronous
from starlette.requests import Request


def check_user(request: Request) -> str:
    user = request.headers.get("user")
    if not user:
        raise HTTPException(401, "who are you")
    return user


@pytest.fixture
def server() -> FastAPI:
    server = FastAPI()

    @server.post("/job/{name}", dependencies=[Depends(check_user)])
    async def work(name: str, count: int = 2, note: str = Form("-"), user: str = Depends(check_user)) -> Any:
        return {"name": name, "count": count, "note": note, "user": user, "thread": threading.get_ident()}

    return server


def test_blocking_endpoint_moves_to_a_thread_with_all_it_takes(server: FastAPI) -> None:
    (route,) = [r for r in server.routes if isinstance(r, APIRoute)]
    _off_event_loop(route)
    loop_thread: list[int] = []

    @server.get("/loop")
    async def loop() -> None:
        loop_thread.append(threading.get_ident())

    with TestClient(server) as client:
        client.get("/loop")
        answer = client.post("/job/a?count=5", data={"note": "hello"}, headers={"user": "u"}).json()
        assert answer.pop("thread") not in loop_thread
        assert answer == {"name": "a", "count": 5, "note": "hello", "user": "u"}
        assert client.post("/job/a?count=x", headers={"user": "u"}).status_code == 422
        assert client.post("/job/a").status_code == 401


def test_endpoint_that_awaits_is_reported() -> None:
    async def sleeper() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="sleeper awaits something"):
        _synchronous(sleeper)()


def test_own_routes_replace_the_stock_ones_of_the_same_path_and_method() -> None:
    server = FastAPI()
    server.get("/a")(lambda: "stock")
    server.put("/a")(lambda: "stock")
    server.get("/b")(lambda: "stock")
    router = APIRouter()
    router.get("/a")(lambda: "own")
    _replace(server, router)
    client = TestClient(server)
    assert [client.get("/a").json(), client.put("/a").json(), client.get("/b").json()] == [
        "own",
        "stock",
        "stock",
    ]
