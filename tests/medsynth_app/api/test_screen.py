"""Paths that climb and bodies that are too large go no further than the screen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, File, Request, UploadFile
from fastapi.testclient import TestClient

from medsynth_app.api import screen
from medsynth_app.api.access.body_limits import WITHOUT_FILES_BYTES
from medsynth_app.api.screen import ROOM_FOR_FORM_FIELDS, RequestScreen, _climbs

reached: list[str] = []


@pytest.fixture
def client() -> TestClient:
    reached.clear()
    server = FastAPI()

    @server.post("/proxy/dicom/studies")
    async def count(request: Request) -> int:
        reached.append("bytes")
        return len(await request.body())

    @server.put("/datastore/label")
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
LARGE = (3 << 20) + ROOM_FOR_FORM_FIELDS


@pytest.mark.parametrize("size", [0, 1, 1 << 20, LIMIT])
@pytest.mark.parametrize("chunked", [False, True])
def test_allowed_bodies_pass_unchanged(client: TestClient, size: int, chunked: bool) -> None:
    response = client.post("/proxy/dicom/studies", content=pieces(size) if chunked else bytes(size))
    assert (response.status_code, response.json()) == (200, size)


@pytest.mark.parametrize("path", ["/proxy/dicom/studies", "/datastore/label"])
@pytest.mark.parametrize("chunked", [False, True])
def test_larger_bodies_are_answered_413(client: TestClient, path: str, chunked: bool) -> None:
    size = LIMIT + 1
    headers = {"Content-Type": "multipart/form-data; boundary=x"} if path == "/datastore/label" else {}
    method = "PUT" if path == "/datastore/label" else "POST"
    response = client.request(method, path, content=pieces(size) if chunked else bytes(size), headers=headers)
    assert response.status_code == 413
    assert response.json() == {"detail": "the request is larger than the allowed 1 MB", "code": "too_large"}
    if not chunked:
        assert reached == []


def test_wrong_length_does_not_get_a_large_body_through(client: TestClient) -> None:
    response = client.post("/proxy/dicom/studies", content=pieces(LIMIT + 1), headers={"content-length": "-5"})
    assert response.status_code in (400, 413)


# ---- limits by route: before anything is parsed ----

MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("method", "path", "headers", "limit"),
    [
        ("POST", "/auth/token", {"Content-Type": "application/x-www-form-urlencoded"}, 1 << 14),
        ("POST", "/auth/token", MULTIPART, 1 << 14),
        ("POST", "/medsynth/login", MULTIPART, 1 << 14),
        ("POST", "/medsynth/logout", {}, 1 << 14),
        ("GET", "/medsynth/api/health/live", {}, 1 << 14),
        ("POST", "/medsynth/api/symptoms/understand", JSON, WITHOUT_FILES_BYTES),
        ("POST", "/medsynth/api/symptoms/understand", MULTIPART, WITHOUT_FILES_BYTES),
        ("POST", "/medsynth/api/cross-check", JSON, WITHOUT_FILES_BYTES),
        ("POST", "/activelearning/random", JSON, WITHOUT_FILES_BYTES),
        ("POST", "/train/x", JSON, WITHOUT_FILES_BYTES),
        ("PUT", "/datastore/label", JSON, WITHOUT_FILES_BYTES),
        ("PUT", "/datastore/image/info", MULTIPART, WITHOUT_FILES_BYTES),
        ("PUT", "/datastore/label", MULTIPART, LARGE),
        ("PUT", "/datastore/image", MULTIPART, LARGE),
        ("PUT", "/datastore/", MULTIPART, LARGE),
        ("PUT", "/model/x", MULTIPART, LARGE),
        ("POST", "/infer/x", MULTIPART, LARGE),
        ("POST", "/medsynth/api/cross-check", MULTIPART, LARGE),
        ("POST", "/medsynth/api/cross-check/x/decision", MULTIPART, LARGE),
        ("POST", "/proxy/dicom/studies", {"Content-Type": "multipart/related; type=application/dicom"}, LARGE),
    ],
)  # fmt: skip
def test_each_route_reads_no_more_than_it_needs(
    method: str, path: str, headers: dict[str, str], limit: int, chunked: bool
) -> None:
    server = FastAPI()
    seen = []

    @server.api_route("/{path:path}", methods=["GET", "POST", "PUT"])
    async def count(request: Request) -> int:
        seen.append(0)
        async for part in request.stream():
            seen[-1] += len(part)
        return seen[-1]

    client = TestClient(RequestScreen(server, maximum_mb=3))
    for size, status in ((limit, 200), (limit + 1, 413)):
        content = pieces(size, 1000) if chunked else bytes(size)
        response = client.request(method, path, headers=headers, content=content)
        assert response.status_code == status, size
    assert max(seen) <= limit


@pytest.mark.parametrize("path", ["/static/a%00b", "/datastore/image%0a", "/a%7fb", "/a%1fb"])
def test_a_path_with_a_control_character_is_malformed(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.json()["code"]) == (400, "malformed")
    assert reached == []


@pytest.mark.parametrize("value", ["", ",", "10.0.0.1,", ", 10.0.0.1", "10.0.0.1,,10.0.0.2", " "])
def test_an_empty_part_of_forwarded_for_is_malformed(client: TestClient, value: str) -> None:
    response = client.get("/a", headers={"X-Forwarded-For": value})
    assert (response.status_code, response.json()["code"]) == (400, "malformed")
    assert client.get("/a", headers={"X-Forwarded-For": "10.0.0.1, 10.0.0.2"}).status_code == 200


def test_two_ways_to_tell_the_length_are_malformed(client: TestClient) -> None:
    headers = {"Content-Length": "3", "Transfer-Encoding": "chunked"}
    response = client.post("/proxy/dicom/studies", content=b"abc", headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "malformed")
    assert reached == []


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
    assert bool(_climbs(scope)) is climbs
    assert bool(_climbs({"type": "http", "path": path})) is climbs


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
        "type": "http", "method": "PUT", "path": "/datastore/",
        "raw_path": b"/datastore/", "query_string": b"", "http_version": "1.1",
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

    @server.put("/datastore/")
    def put(file: UploadFile = File(...)) -> dict[str, int]:
        return {"bytes": len(file.file.read())}

    return server
