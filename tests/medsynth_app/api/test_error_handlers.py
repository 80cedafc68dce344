"""Every error leaves as ``{"detail", "code"}`` with the right status and no path of the server."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from fastapi import Body, FastAPI, Form, HTTPException
from fastapi.testclient import TestClient

from medsynth_app import errors
from medsynth_app.api.error_handlers import add_error_handlers, error_response, without_paths


def raises(error: Exception) -> TestClient:
    server = FastAPI()

    @server.get("/")
    def fail() -> None:
        raise error

    add_error_handlers(server)
    return TestClient(server, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.MalformedRequestError("m"), 400, "malformed"),
        (errors.NotFoundError("m"), 404, "not_found"),
        (errors.StaleError("m"), 409, "stale"),
        (errors.TooLargeError("m"), 413, "too_large"),
        (errors.UnsupportedKindError("m"), 415, "unsupported_kind"),
        (errors.InvalidValueError("m"), 422, "invalid_value"),
        (errors.InvalidValueError("m", code="wrong_grid"), 422, "wrong_grid"),
        (errors.BusyError("m"), 429, "busy"),
        (errors.OverloadedError("m"), 503, "overloaded"),
        (HTTPException(418, "m"), 418, "im_a_teapot"),
        (HTTPException(499, "m"), 499, "error"),
    ],
)
def test_deliberate_errors_carry_status_and_code(error: Exception, status: int, code: str) -> None:
    response = raises(error).get("/")
    assert response.status_code == status
    assert response.json() == {"detail": "m", "code": code}
    assert ("Retry-After" in response.headers) is (status in (429, 503))


def test_defect_tells_nothing_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        response = raises(RuntimeError("secret of /srv/data/patient.nii")).get("/")
    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert "secret" not in response.text
    assert "patient.nii" in caplog.text


@pytest.fixture
def forms() -> TestClient:
    server = FastAPI()

    @server.post("/form/{number}")
    def form(number: int, text: str = Form(...)) -> None: ...

    @server.post("/body")
    def body(record: dict[str, Any] = Body(...)) -> None: ...

    add_error_handlers(server)
    return TestClient(server)


def test_wrong_fields_are_named_with_their_values(forms: TestClient) -> None:
    response = forms.post("/form/seven")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_value")
    assert "number: " in response.json()["detail"]
    assert "'seven'" in response.json()["detail"]
    assert "text: Field required" in response.json()["detail"]


def test_body_that_is_no_json_is_a_400(forms: TestClient) -> None:
    response = forms.post("/body", content=b"{nope", headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize("path", ["/nowhere", "/form"])
def test_unknown_route_has_the_same_shape(forms: TestClient, path: str) -> None:
    response = forms.get(path)
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found", "code": "not_found"})


def test_wrong_method_keeps_the_allow_header(forms: TestClient) -> None:
    response = forms.get("/body")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no file /srv/studies/case_1/a.nii.gz here", "no file a.nii.gz here"),
        ("'/home/user/x' and /var/log/y.log", "'x' and y.log"),
        ("folder /srv/studies/", "folder studies"),
        ("either/or, 1/2, km/h", "either/or, 1/2, km/h"),
        ("image: there is no case 'x'", "image: there is no case 'x'"),
        ("/info/ answers", "info answers"),
    ],
)
def test_paths_are_cut_to_their_last_part(text: str, shown: str) -> None:
    assert without_paths(text) == shown


def test_error_response_holds_no_path() -> None:
    assert b"/srv" not in error_response(404, "no /srv/studies/x.nii", "not_found").body
