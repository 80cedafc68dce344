"""The login of a real server, as 3D Slicer, OHIF and scripts use it; and who is let in without one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from fastapi.testclient import TestClient
from monailabel.client.client import MONAILabelClient, MONAILabelClientException
from starlette.responses import Response

from medsynth_app.accounts import Role, add_account
from medsynth_app.api.access.account_source import AccountSource
from medsynth_app.api.access.credentials import Credentials
from medsynth_app.api.access.gate import Gate
from medsynth_app.api.access.roles import CHANGING, RULES

MODEL = "brain_tumor_segmentation"


@pytest.fixture(scope="module")
def secured(start_server: Any, build: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server with one user of each role; ``served.tokens`` holds their tokens."""
    root = tmp_path_factory.mktemp("secured")
    users = root / "private" / "users.json"
    tokens = {role.value: add_account(users, role.value, role) for role in Role}
    served = start_server(root, users=str(users), inference_slots="1")
    build.case(served.studies, "case_1", build.head(seed=1))
    served.tokens = tokens
    with served.process:
        yield served


def as_user(served: Any, role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {served.tokens[role]}"}


def test_slicers_client_logs_in_and_works(secured: Any, build: Any, tmp_path: Path) -> None:
    client = MONAILabelClient(secured.url)
    assert client.auth_enabled()
    assert not client.auth_valid_token()
    with pytest.raises(MONAILabelClientException):
        client.info()
    with pytest.raises(MONAILabelClientException):
        client.auth_token("annotator", "wrong")
    client.update_auth(client.auth_token("annotator", secured.tokens["annotator"]))
    assert client.auth_valid_token()
    assert next(iter(client.info()["models"])) == MODEL
    assert client.next_sample("random", {})["id"] == "case_1"
    path = build.nifti(tmp_path / "l.nii.gz", build.head(seed=1).labels, build.head(seed=1).affine)
    client.save_label("case_1", str(path), "final", {"label_info": []})
    # a role that may not train is told so
    with pytest.raises(MONAILabelClientException, match="403"):
        client.train_start(MODEL, {})


def test_ohif_works_with_the_login_pages_cookie(secured: Any) -> None:
    browser = requests.Session()
    page = browser.get(f"{secured.url}/ohif/", headers={"Accept": "text/html"})
    assert "Log in" in page.text
    form = {"username": "viewer", "password": secured.tokens["viewer"], "next": "/ohif/"}
    page = browser.post(f"{secured.url}/medsynth/login", data=form, headers={"Origin": secured.url})
    assert (page.status_code, page.url) == (200, f"{secured.url}/ohif/")
    assert "<title>" in page.text
    for path in ("/info/", "/datastore/", "/medsynth/api/health/live"):
        assert browser.get(secured.url + path).status_code == 200
    # studies are a folder here: past the gate, the proxy says so
    assert browser.get(f"{secured.url}/proxy/dicom/qido/studies").status_code == 404
    assert browser.put(f"{secured.url}/datastore/image/info?image=case_1").status_code == 403


def test_scripts_use_a_token_or_basic(secured: Any) -> None:
    viewer = secured.tokens["viewer"]
    assert secured.get("/info/", headers=as_user(secured, "viewer")).status_code == 200
    assert secured.get("/info/", auth=("viewer", viewer)).status_code == 200
    assert secured.get("/info/").status_code == 401
    assert secured.get("/info/", auth=("admin", viewer)).status_code == 401


def test_a_viewer_changes_nothing(secured: Any) -> None:
    before = secured.files()
    for method, path in (
        ("POST", f"/infer/{MODEL}?image=case_1"), ("DELETE", "/datastore/image?id=case_1"),
        ("PUT", "/datastore/image/info?image=case_1"), ("POST", "/activelearning/random"), ("GET", "/logs/"),
    ):  # fmt: skip
        response = secured.request(method, path, headers=as_user(secured, "viewer"))
        assert (response.status_code, response.json()["code"]) == (403, "forbidden"), path
    assert secured.files() == before


ROLES = "anybody|viewer|annotator|reviewer|admin"
ROW = re.compile(rf"\| `(?P<path>/[^`]*)` \| (?P<methods>[A-Z, ]+) \| (?P<role>{ROLES}) \|")


@pytest.fixture(scope="module")
def table(repository: Path) -> dict[tuple[str, str], str]:
    """(method, path) -> least role, as docs/security.md says."""
    found = ROW.finditer((repository / "docs" / "security.md").read_text(encoding="utf-8"))
    return {(method, row["path"]): row["role"] for row in found for method in row["methods"].split(", ")}


def operations(served: Any) -> set[tuple[str, str]]:
    paths = served.get("/openapi.json", headers=as_user(served, "viewer")).json()["paths"]
    return {(method.upper(), path) for path, entries in paths.items() for method in entries}


def test_every_route_has_a_row_in_the_documents(secured: Any, table: dict[tuple[str, str], str]) -> None:
    assert operations(secured) == set(table), "a route that came or went: tell its role in docs/security.md"


def test_each_role_reaches_what_the_documents_say(
    secured: Any, table: dict[tuple[str, str], str], tmp_path: Path
) -> None:
    """Through the gate, before an application that does nothing: no role starts a training here."""
    users = tmp_path / "users.json"
    tokens = {role.value: add_account(users, role.value, role) for role in Role}

    async def anything(scope: Any, receive: Any, send: Any) -> None:
        await Response()(scope, receive, send)

    client = TestClient(Gate(anything, Credentials(AccountSource(users))), follow_redirects=False)
    wrong = []
    for method, path in sorted(operations(secured)):
        least = table[method, path]
        example = path.replace("{", "").replace("}", "")
        for role in Role:
            passes = least == "anybody" or role.includes(Role(least))
            headers = {"Authorization": f"Bearer {tokens[role.value]}"}
            status = client.request(method, example, headers=headers).status_code
            if status != (200 if passes else 403):
                wrong.append((method, path, role.value, status))
    assert wrong == []


def test_nobody_reaches_more_than_the_documents_say(
    secured: Any, table: dict[tuple[str, str], str], tmp_path: Path
) -> None:
    wrong = []
    for method, path in sorted(operations(secured)):
        if table[method, path] != "anybody":
            status = secured.request(method, path.replace("{", "").replace("}", "")).status_code
            if status != 401:
                wrong.append((method, path, status))
    assert wrong == []


def test_the_real_server_refuses_each_role_what_it_may_not(secured: Any, table: dict[tuple[str, str], str]) -> None:
    before = secured.files()
    wrong = []
    for (method, path), least in table.items():
        example = path.replace("{", "").replace("}", "")
        for role in Role:
            if least != "anybody" and not role.includes(Role(least)):
                status = secured.request(method, example, headers=as_user(secured, role.value)).status_code
                if status != 403:
                    wrong.append((method, path, role.value, status))
    assert wrong == []
    assert secured.files() == before


def test_nothing_that_changes_is_open_to_everybody() -> None:
    open_rows = [rule for rule in RULES if rule.role is None and set(rule.methods) & set(CHANGING)]
    assert {rule.path.pattern for rule in open_rows} == {"/auth/token", "/medsynth/login", "/medsynth/logout"}


def test_no_answer_holds_a_secret(secured: Any) -> None:
    headers = as_user(secured, "admin")
    for path in ("/info/", "/logs/?lines=1000", "/medsynth/api/metrics", "/auth/token/valid"):
        text = secured.get(path, headers=headers).text
        assert not any(token in text for token in secured.tokens.values())


# ---- without users ----


def test_another_machine_is_refused_where_there_is_no_login(served: Any) -> None:
    # uvicorn takes the address from a proxy on this machine
    response = served.get("/info/", headers={"X-Forwarded-For": "203.0.113.5"})
    assert (response.status_code, response.json()["code"]) == (403, "login_required")
    assert served.get("/info/").status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example.org", "null"])
def test_another_sites_page_can_neither_read_nor_change(served: Any, origin: str) -> None:
    answer = served.get("/info/", headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers
    preflight = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
    assert "access-control-allow-origin" not in served.request("OPTIONS", "/datastore/label", headers=preflight).headers
    response = served.request(
        "PUT", "/datastore/image/info?image=case_1", data={"info": json.dumps({"x": 1})}, headers={"Origin": origin}
    )
    assert (response.status_code, response.json()["code"]) == (403, "wrong_origin")
