"""Paths that climb and bodies that are too large go no further than the screen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, File, Request, UploadFile
from fastapi.testclient import TestClient
from lib.server import screen
from lib.server.screen import ROOM_FOR_FORM_FIELDS, RequestScreen, _climbs

reached: list[str] = []


@pytest.fixture
def client() -> TestClient:
    reached.clear()
    server = FastAPI()

    @server.post("/bytes")
    async def count(request: Request) -> int:
        reached.append("bytes")
        return len(await request.body())

    @server.post("/file")
    def receive(file: UploadFile = File(...)) -> int:
        reached.append("file")
        return len(file.file.read())

    @server.get("/{path:path}")
    def anything(path: str) -> str:
        reached.append(path)
        return path

    return TestClient(RequestScreen(server, maximum_mb=1))


def pieces(size: int, piece: int = 1 << 16) -> Iterator[bytes]:
    for start in range(0, size, piece):
        yield bytes(min(piece, size - start))


LIMIT = (1 << 20) + ROOM_FOR_FORM_FIELDS


@pytest.mark.parametrize("size", [0, 1, 1 << 20, LIMIT])
@pytest.mark.parametrize("chunked", [False, True])
def test_allowed_bodies_pass_unchanged(client: TestClient, size: int, chunked: bool) -> None:
    response = client.post("/bytes", content=pieces(size) if chunked else bytes(size))
    assert (response.status_code, response.json()) == (200, size)


@pytest.mark.parametrize("path", ["/bytes", "/file"])
@pytest.mark.parametrize("chunked", [False, True])
def test_larger_bodies_are_answered_413(client: TestClient, path: str, chunked: bool) -> None:
    size = LIMIT + 1
    headers = {"Content-Type": "multipart/form-data; boundary=x"} if path == "/file" else {}
    response = client.post(path, content=pieces(size) if chunked else bytes(size), headers=headers)
    assert response.status_code == 413
    assert response.json() == {"detail": "the request is larger than the allowed 1 MB", "code": "too_large"}
    if not chunked:
        assert reached == []


def test_wrong_length_does_not_get_a_large_body_through(client: TestClient) -> None:
    response = client.post("/bytes", content=pieces(LIMIT + 1), headers={"content-length": "-5"})
    assert response.status_code in (400, 413)


@pytest.mark.parametrize(
    ("path", "climbs"),
    [
        ("/a/b", False),
        ("/a..b/c", False),
        ("/a/...", False),
        ("/..", True),
        ("/a/../b", True),
        ("/a/%2e%2e/b", True),
        ("/a/%2E./b", True),
        ("/a/%252e%252e/b", True),
        ("/a/..%2fb", True),
        ("/a/..%5cb", True),
        ("/a/\\..\\b", True),
    ],
)
def test_paths_that_climb_are_told_apart(path: str, climbs: bool) -> None:
    scope = {"type": "http", "path": path, "raw_path": path.encode()}
    assert _climbs(scope) is climbs
    assert _climbs({"type": "http", "path": path}) is climbs


def test_climbing_path_is_answered_400(client: TestClient) -> None:
    response = client.get("/a/%2e%2e/b")
    assert (response.status_code, response.json()["code"]) == (400, "malformed")
    assert reached == []
    assert client.get("/a/b").status_code == 200


# ---- bodies that fall silent ----


def call(parts: list[bytes | None]) -> tuple[int, dict[str, Any]]:
    """Send a body in parts; None = silence from here on."""
    sent: list[dict[str, Any]] = []
    left = list(parts)

    async def receive() -> dict[str, Any]:
        if not left or left[0] is None:
            await asyncio.sleep(30)
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "PUT", "path": "/", "raw_path": b"/", "query_string": b"", "http_version": "1.1",
        "headers": [(b"content-type", b"multipart/form-data; boundary=b")], "client": None, "server": None,
        "scheme": "http", "root_path": "",
    }  # fmt: skip
    asyncio.run(RequestScreen(_uploading(), 1)(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(body)


HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'


def test_a_whole_body_passes() -> None:
    assert call([HEAD, b"12345", b"\r\n--b--\r\n"]) == (200, {"bytes": 5})


def test_a_body_that_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "LONGEST_PAUSE_SECONDS", 0.1)
    status, answer = call([HEAD, b"123", None])
    assert (status, answer["code"]) == (408, "request_timeout")


def _uploading() -> FastAPI:
    server = FastAPI()

    @server.put("/")
    def put(file: UploadFile = File(...)) -> dict[str, int]:
        return {"bytes": len(file.file.read())}

    return server
