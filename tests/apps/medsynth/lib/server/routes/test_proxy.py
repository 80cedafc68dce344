"""The proxy reaches DICOMweb's own resources of one server, with their query, and nothing else."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from lib.server.routes import proxy
from lib.server.routes.proxy import DicomWebServer, Places, target_url
from lib.server.stopping import Stopping

from medsynth_app.api.error_handlers import add_error_handlers
from medsynth_app.errors import NotFoundError

PREFIXES = {"wado": "wado-rs", "qido": "/qido-rs/", "stow": ""}
SERVER = DicomWebServer("http://archive/dicom-web/", PREFIXES)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("studies", "http://archive/dicom-web/studies"),
        ("studies/1.2.3/series", "http://archive/dicom-web/studies/1.2.3/series"),
        ("wado/studies/1.2/series/3.4/instances/5/frames/1,2", "http://archive/dicom-web/wado-rs/studies/1.2/series/3.4/instances/5/frames/1,2"),
        ("qido/studies", "http://archive/dicom-web/qido-rs/studies"),
        ("qido/studies/1.2/metadata", "http://archive/dicom-web/wado-rs/studies/1.2/metadata"),
        ("stow/studies", "http://archive/dicom-web/studies"),
        ("wado/studies/", "http://archive/dicom-web/wado-rs/studies"),
    ],
)  # fmt: skip
def test_resources_of_dicomweb_are_reached(path: str, target: str) -> None:
    assert target_url(SERVER, path) == target


@pytest.mark.parametrize(
    "path",
    [
        "", "system", "../system", "wado/../../system", "studies/../../system", "studies/./..", "studies/%2e%2e/system",
        "studies//x", "http://elsewhere/studies", "@elsewhere/studies", "studies/a b", "studies/a?b", "studies/a#b",
        "studies\\..\\system", "wado", "qido/system", "instances/x;y", "tools/execute-script", "studies/\n",
    ],
)  # fmt: skip
def test_anything_else_is_not_found(path: str) -> None:
    with pytest.raises(NotFoundError, match="proxy: .* no DICOMweb resource"):
        target_url(SERVER, path)


def test_folder_of_studies_has_no_proxy() -> None:
    with pytest.raises(NotFoundError, match="a folder, not a DICOMweb server"):
        target_url(DicomWebServer("", {}), "studies")


class _Archive(BaseHTTPRequestHandler):
    """Answers what it was asked."""

    def do_GET(self) -> None:  # noqa: N802 - the base class's name
        if self.path.endswith("/slow"):
            time.sleep(1.5)
        if self.path.endswith("/away"):
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()
            return
        length = int(self.headers.get("Content-Length", 0))
        text = f"{self.command} {self.path} {self.headers.get('Accept')} {self.headers.get('Cookie')} "
        body = (
            text.encode() + self.headers.get("Authorization", "-").encode() + b" " + self.rfile.read(length)
        )
        self.send_response(200)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Set-Cookie", "secret=1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def archive() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Archive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/dicom-web"
    server.shutdown()
    server.server_close()


def client_of(url: str) -> TestClient:
    server = FastAPI()
    server.include_router(proxy.build_router(DicomWebServer(url, PREFIXES, ("user", "pass"))))
    add_error_handlers(server)
    return TestClient(server)


def test_query_and_wanted_kind_are_passed_on(archive: str) -> None:
    response = client_of(archive).get(
        "/proxy/dicom/qido/studies?PatientName=A*&limit=3&00080060=MR",
        headers={"Accept": "application/dicom+json", "Cookie": "mine"},
    )
    assert response.text.startswith(
        "GET /dicom-web/qido-rs/studies?PatientName=A*&limit=3&00080060=MR application/dicom+json None Basic "
    )
    assert response.headers["content-type"] == "application/dicom+json"
    assert "set-cookie" not in response.headers


def test_stored_instances_are_passed_on(archive: str) -> None:
    response = client_of(archive).post("/proxy/dicom/stow/studies", content=b"DICM")
    assert response.text.startswith("POST /dicom-web/studies ")
    assert response.text.endswith(" DICM")


def test_proxy_does_not_follow_the_archive_elsewhere(archive: str) -> None:
    response = client_of(archive).get("/proxy/dicom/studies/away", follow_redirects=False)
    assert response.status_code == 302
    assert "location" not in response.headers


def test_archive_that_is_down_is_a_503() -> None:
    response = client_of("http://127.0.0.1:1").get("/proxy/dicom/studies")
    assert (response.status_code, response.json()["code"]) == (503, "archive_unavailable")
    assert "127.0.0.1" not in response.text


# ---- a slow archive ----


def together(url: str, count: int, places: Places, stop_after: float | None = None) -> tuple[list[int], float]:
    """Statuses of so many requests to a slow archive at once, and how long a quick route took meanwhile."""
    server = FastAPI()
    stopping = Stopping()
    server.include_router(proxy.build_router(DicomWebServer(url, PREFIXES), places, stopping))
    add_error_handlers(server)

    @server.get("/info/")
    def info() -> str:
        return "here"

    async def run() -> tuple[list[int], float]:
        transport = httpx.ASGITransport(server)
        async with httpx.AsyncClient(transport=transport, base_url="http://here", timeout=30) as client:
            waiting = [asyncio.ensure_future(client.get("/proxy/dicom/studies/slow")) for _ in range(count)]
            await asyncio.sleep(0.3)
            begin = time.perf_counter()
            assert (await client.get("/info/")).status_code == 200
            seconds = time.perf_counter() - begin
            if stop_after is not None:
                stopping._event.set()
            return [answer.status_code for answer in await asyncio.gather(*waiting)], seconds

    return asyncio.run(run())


def test_a_slow_archive_holds_up_nobody_else(archive: str) -> None:
    """45 requests took all 40 threads of the server."""
    statuses, seconds = together(archive, 45, Places(at_once=45, waiting=0))
    assert statuses == [200] * 45
    assert seconds < 0.5


def test_more_than_can_wait_are_answered_503(archive: str) -> None:
    statuses, _ = together(archive, 9, Places(at_once=2, waiting=3))
    assert sorted(statuses) == [200] * 5 + [503] * 4


def test_places_come_free_again(archive: str) -> None:
    places = Places(at_once=2, waiting=0)
    for _ in range(2):
        assert together(archive, 2, places)[0] == [200, 200]


def test_requests_that_wait_end_with_the_server(archive: str) -> None:
    begin = time.perf_counter()
    statuses, _ = together(archive, 5, Places(), stop_after=0)
    assert statuses == [503] * 5
    assert time.perf_counter() - begin < 1.2
