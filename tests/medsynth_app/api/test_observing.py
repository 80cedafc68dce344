"""Logs, metrics and request identifiers: every request is seen, no patient is."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from medsynth_app.api.error_handlers import add_error_handlers
from medsynth_app.api.json_logs import JsonFormatter
from medsynth_app.api.metrics import Metrics
from medsynth_app.api.request_record import RequestRecord

PATIENT = "Hong-Gildong-1970"


@pytest.fixture
def lines() -> Any:
    """The log of the test as parsed lines."""
    kept: list[dict[str, Any]] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(json.loads(self.format(record)))

    keeper = Keeper(logging.INFO)
    keeper.setFormatter(JsonFormatter())
    library = logging.getLogger("medsynth_app")
    level = library.level
    library.addHandler(keeper)
    library.setLevel(logging.INFO)
    yield kept
    library.removeHandler(keeper)
    library.setLevel(level)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def client(metrics: Metrics) -> TestClient:
    server = FastAPI()
    add_error_handlers(server)

    @server.get("/case/{name}")
    def case(name: str, fail: bool = False) -> dict[str, str]:
        if fail:
            raise ValueError(f"cannot read {name}")
        return {"name": name}

    return TestClient(RequestRecord(server, metrics), raise_server_exceptions=False)


def test_every_answer_carries_an_identifier_that_the_log_knows(client: TestClient, lines: Any) -> None:
    first = client.get("/case/a").headers["x-request-id"]
    second = client.get("/nowhere").headers["x-request-id"]
    assert first != second
    assert [(line["request"], line["route"], line["status"]) for line in lines] == [
        (first, "/case/{name}", 200), (second, "unknown", 404)
    ]  # fmt: skip


@pytest.mark.parametrize(("given", "taken"), [("abc-12345", True), ("short", False), ("x y z w v u", False)])
def test_a_clients_identifier_is_taken_if_it_is_plain(client: TestClient, given: str, taken: bool) -> None:
    answered = client.get("/case/a", headers={"X-Request-ID": given}).headers["x-request-id"]
    assert (answered == given) is taken


def test_no_patient_is_in_the_log(client: TestClient, lines: Any) -> None:
    assert client.get(f"/case/{PATIENT}?q={PATIENT}").status_code == 200
    assert client.get(f"/case/{PATIENT}?fail=true").status_code == 500
    assert client.get(f"/{PATIENT}").status_code == 404
    assert len(lines) >= 4
    assert PATIENT not in json.dumps(lines)
    error = next(line["error"] for line in lines if "error" in line)
    assert error["type"] == "ValueError"
    assert "test_observing.py" in error["frames"][-1]


def test_the_reason_of_a_full_disk_is_in_the_log() -> None:
    record = logging.LogRecord("x", logging.ERROR, "", 0, "failed\nsecond", (), None)
    record.exc_info = (OSError, OSError(28, "No space left on device", PATIENT), None)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["error"]["reason"] == "No space left on device"
    assert PATIENT not in line


def test_requests_are_counted_by_route_and_not_by_name(client: TestClient, metrics: Metrics) -> None:
    for name in ("a", "b", "c"):
        client.get(f"/case/{name}")
    client.request("BREW", "/case/a")
    client.get(f"/{PATIENT}")
    text = metrics.text().decode()
    assert 'medsynth_requests_total{method="GET",route="/case/{name}",status="200"} 3.0' in text
    assert 'method="OTHER"' in text
    assert "BREW" not in text
    assert PATIENT not in text
    assert 'medsynth_request_seconds_count{route="/case/{name}"}' in text
