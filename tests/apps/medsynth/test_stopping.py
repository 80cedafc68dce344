"""SIGTERM while requests wait for a DICOMweb server that does not answer: ended within ten seconds, nothing left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from lib.server.temporary_folder import PREFIX

from tests.apps.medsynth.preloaded_server import ForkedServer, Starter

WITHIN_SECONDS = 10


class _Archive(BaseHTTPRequestHandler):
    """Has no studies, and thinks for a minute about an instance."""

    def do_GET(self) -> None:  # noqa: N802 - the base class's name
        if "/instances" in self.path:
            self.server.asked.append(self.path)  # type: ignore[attr-defined]
            self.server.over.wait(60)  # type: ignore[attr-defined]
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def archive() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Archive)
    server.asked, server.over = [], threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


def test_waiting_requests_do_not_hold_up_the_end(
    archive: Any, starter: Starter, repository: Path, tmp_path: Path
) -> None:
    environment = {"TMPDIR": str(tmp_path / "temporary"), "HOME": str(tmp_path)}
    (tmp_path / "temporary").mkdir()
    studies = f"http://127.0.0.1:{archive.server_port}/dicom-web"
    conf = {"model_folder": str(tmp_path / "model")}
    served = ForkedServer(starter, repository / "apps" / "medsynth", studies, environment, conf)

    def ask(number: int) -> int:
        address = f"{served.url}/proxy/dicom/studies/1/series/2/instances/{number}"
        return requests.get(address, timeout=60).status_code

    with served, ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(ask, number) for number in range(8)]
        while len(archive.asked) < 8:
            time.sleep(0.05)
        assert requests.get(f"{served.url}/info/", timeout=5).status_code == 200
        begin = time.monotonic()
        served.process.terminate()
        served.process.wait(WITHIN_SECONDS)
        assert time.monotonic() - begin < WITHIN_SECONDS
        assert {answer.result() for answer in answers} == {503}
    assert list((tmp_path / "temporary").glob(f"{PREFIX}*")) == []
