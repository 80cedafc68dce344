"""The gate: who passes, with which credentials, to which route, from which site."""

from __future__ import annotations

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from medsynth_app.accounts import AccountBook, Role, remove_account
from medsynth_app.api.access.account_source import AccountSource
from medsynth_app.api.access.credentials import COOKIE, Credentials, TooManyFailuresError
from medsynth_app.api.access.failed_logins import FAILURES_PER_USER, FailedLogins
from medsynth_app.api.access.roles import needed_role
from medsynth_app.api.access.sessions import LIFETIME_SECONDS


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"bearer {token}"}


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


# ---- without users ----


@pytest.mark.parametrize("client", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_without_users_this_machine_may_do_all(gate: Any, client: str) -> None:
    assert gate(None, client).delete("/datastore/image").status_code == 200


@pytest.mark.parametrize("client", ["10.0.0.5", "192.168.1.2", "::ffff:10.0.0.5", "2001:db8::1", "nonsense"])
def test_without_users_other_machines_are_refused_unless_said_aloud(gate: Any, client: str) -> None:
    answer = gate(None, client).get("/info/")
    assert (answer.status_code, answer.json()["code"]) == (403, "login_required")
    assert gate(None, client, insecure=True).get("/info/").status_code == 200


def test_a_name_made_to_point_here_is_refused(gate: Any) -> None:
    answer = gate(None).get("/info/", headers={"Host": "evil.example.org"})
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_host")
    assert gate(None).get("/info/", headers={"Host": "[::1]:8000"}).status_code == 200


# ---- with users ----


@pytest.mark.parametrize("path", ["/info/", "/ohif/", "/proxy/dicom/studies", "/medsynth/", "/datastore/", "/nowhere"])
def test_nobody_gets_in_without_credentials(gate: Any, credentials: Any, path: str) -> None:
    client = gate(credentials)
    for headers in ({}, bearer("x"), bearer("session.x.y"), basic("admin", "x"), {"Cookie": f"{COOKIE}=session.x.y"}):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401, headers
        assert set(answer.json()) == {"detail", "code"}
        assert "Bearer" in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/info/", "viewer"),
        ("GET", "/ohif/assets/app.js", "viewer"),
        ("GET", "/proxy/dicom/qido/studies", "viewer"),
        ("GET", "/medsynth/", "viewer"),
        ("GET", "/medsynth/api/metrics", "viewer"),
        ("GET", "/medsynth/api/audit", "admin"),
        ("GET", "/medsynth/api/audit/verify", "admin"),
        ("HEAD", "/datastore/label", "viewer"),
        ("GET", "/train/", "viewer"),
        ("POST", "/infer/brain_tumor_segmentation", "annotator"),
        ("POST", "/activelearning/random", "annotator"),
        ("PUT", "/datastore/label", "annotator"),
        ("PUT", "/datastore/", "annotator"),
        ("POST", "/proxy/dicom/stow/studies", "annotator"),
        ("POST", "/medsynth/api/cross-check", "annotator"),
        ("POST", "/medsynth/api/cross-check/abc/decision", "reviewer"),
        ("DELETE", "/medsynth/api/cross-check/abc/free-text", "reviewer"),
        ("DELETE", "/datastore/image", "admin"),
        ("DELETE", "/datastore/label", "admin"),
        ("POST", "/train/brain_tumor_segmentation", "admin"),
        ("DELETE", "/train/", "admin"),
        ("POST", "/batch/infer/brain_tumor_segmentation", "admin"),
        ("PUT", "/model/brain_tumor_segmentation", "admin"),
        ("GET", "/model/brain_tumor_segmentation", "admin"),
        ("GET", "/logs/", "admin"),
        ("GET", "/something/new", "admin"),
    ],
)
def test_each_route_needs_its_role(
    gate: Any, credentials: Any, tokens: dict[str, str], method: str, path: str, role: str
) -> None:
    client = gate(credentials)
    for each in Role:
        answer = client.request(method, path, headers=bearer(tokens[each.value]))
        if each.includes(Role(role)):
            assert answer.status_code == 200, each
        else:
            assert answer.status_code == 403, each
            assert method == "HEAD" or answer.json()["code"] == "forbidden"


@pytest.mark.parametrize("path", ["/auth/", "/medsynth/login", "/medsynth/api/health/live"])
def test_the_way_in_is_open(gate: Any, credentials: Any, path: str) -> None:
    assert needed_role("GET", path) is None
    assert gate(credentials).get(path).status_code == 200


def test_the_caller_is_known_behind_the_gate(gate: Any, credentials: Any, tokens: dict[str, str]) -> None:
    client = gate(credentials)
    assert client.get("/info/", headers=bearer(tokens["viewer"])).json() == {"user": "viewer"}
    assert client.get("/info/", headers=basic("viewer", tokens["viewer"])).json() == {"user": "viewer"}
    assert client.get("/info/", headers=basic("admin", "long enough")).json() == {"user": "admin"}


def test_slicer_logs_in_as_it_does(gate: Any, credentials: Any) -> None:
    client = gate(credentials)
    assert client.get("/auth/").json()["enabled"] is True
    form = {"username": "admin", "password": "long enough", "grant_type": "password"}
    token = client.post("/auth/token", data=form).json()
    headers = {"Authorization": f"{token['token_type']} {token['access_token']}"}
    assert client.get("/auth/token/valid", headers=headers).json()["username"] == "admin"
    assert client.get("/info/", headers=headers).json() == {"user": "admin"}
    assert client.post("/auth/token", data={**form, "password": "long enougH"}).status_code == 401
    assert client.post("/auth/token", data={**form, "grant_type": "implicit"}).status_code == 400


def test_a_removed_user_is_out_at_once(gate: Any, credentials: Any, users_file: Path, tokens: dict[str, str]) -> None:
    client = gate(credentials)
    form = {"username": "viewer", "password": tokens["viewer"]}
    session = client.post("/auth/token", data=form).json()["access_token"]
    assert client.get("/info/", headers=bearer(session)).status_code == 200
    remove_account(users_file, "viewer")
    for secret in (session, tokens["viewer"]):
        assert client.get("/info/", headers=bearer(secret)).status_code == 401


def test_a_session_ends(gate: Any, credentials: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = gate(credentials)
    form = {"username": "admin", "password": "long enough"}
    session = client.post("/auth/token", data=form).json()["access_token"]
    later = time.time() + LIFETIME_SECONDS + 1
    monkeypatch.setattr("medsynth_app.api.access.sessions.time.time", lambda: later)
    assert client.get("/info/", headers=bearer(session)).status_code == 401


def test_a_changed_session_is_no_session(gate: Any, credentials: Any) -> None:
    client = gate(credentials)
    form = {"username": "admin", "password": "long enough"}
    session = client.post("/auth/token", data=form).json()["access_token"]
    payload, signature = session.rsplit(".", 1)
    other = payload[:-2] + ("A" if payload[-2] != "A" else "B") + payload[-1]
    for forged in (f"{other}.{signature}", f"{payload}.{'0' * 64}", payload, f"{session}x"):
        assert client.get("/info/", headers=bearer(forged)).status_code == 401


def test_a_users_file_that_breaks_lets_nobody_in(gate: Any, credentials: Any, users_file: Path, tokens: Any) -> None:
    client = gate(credentials)
    users_file.write_text("{")
    answer = client.get("/info/", headers=bearer(tokens["admin"]))
    assert (answer.status_code, answer.json()["code"]) == (503, "login_unavailable")


def token_of(client: Any, **form: str) -> str:
    given = {"username": "admin", "password": "long enough", **form}
    return client.post("/auth/token", data=given).json()["access_token"]


def test_a_session_that_was_ended_is_over_for_good(gate: Any, credentials: Any, users_file: Path) -> None:
    client = gate(credentials)
    ended, other = token_of(client), token_of(client)
    assert ended != other
    assert client.post("/medsynth/logout", headers=bearer(ended)).status_code == 303
    assert client.get("/info/", headers=bearer(ended)).status_code == 401
    assert client.get("/info/", headers={"Cookie": f"{COOKIE}={ended}"}).status_code == 401
    assert client.get("/info/", headers=bearer(other)).status_code == 200
    restarted = gate(Credentials(AccountSource(users_file), FailedLogins()))
    assert restarted.get("/info/", headers=bearer(ended)).status_code == 401
    assert restarted.get("/info/", headers=bearer(other)).status_code == 200


def test_logging_out_ends_the_browsers_session(gate: Any, credentials: Any) -> None:
    client = gate(credentials)
    log_in(client)
    cookie = client.cookies[COOKIE]
    client.post("/medsynth/logout", headers={"Origin": "http://localhost:8000"})
    assert client.get("/info/", headers={"Cookie": f"{COOKIE}={cookie}"}).status_code == 401


def test_logging_out_without_a_session_of_ours_keeps_nothing(
    gate: Any, credentials: Any, users_file: Path, tokens: dict[str, str]
) -> None:
    client = gate(credentials)
    for headers in ({}, bearer(tokens["viewer"]), bearer("session.x.y"), {"Cookie": f"{COOKIE}=session.e30.00"}):
        assert client.post("/medsynth/logout", headers=headers).status_code == 303
    assert client.get("/info/", headers=bearer(tokens["viewer"])).status_code == 200
    assert not list(users_file.parent.glob("*.revoked"))


def test_a_caller_without_an_address_is_not_this_machine(gate: Any) -> None:
    assert gate(None, "").get("/info/").status_code == 403


# ---- guessing ----


def test_guesses_at_once_are_as_many_as_guesses_in_turn(
    credentials: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty at once: thirty-one were checked before the first of them was noted."""
    checked = []
    by_password = AccountBook.by_password

    def counted(book: AccountBook, name: str, secret: str) -> Any:
        checked.append(secret)
        time.sleep(0.02)
        return by_password(book, name, secret)

    monkeypatch.setattr(AccountBook, "by_password", counted)

    def guess(number: int) -> bool:
        try:
            return credentials.log_in("admin", f"wrong {number}", "10.0.0.1") is not None
        except TooManyFailuresError:
            return False

    with ThreadPoolExecutor(60) as pool:
        assert not any(pool.map(guess, range(60)))
    assert len(checked) == FAILURES_PER_USER


def test_a_viewer_that_asks_for_many_files_at_once_gets_in(
    gate: Any, credentials: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = gate(credentials)
    headers = basic("admin", "long enough")
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda _: client.get("/info/", headers=headers).status_code, range(24)))
    assert found == [200] * 24


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True), ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
     ("10.0.0.1", "::ffff:10.0.0.1", True), ("10.0.0.1", "10.0.0.2", False), ("[fe80::1%eth0]", "fe80::2", True),
     ("?", "?", True)],
)  # fmt: skip
def test_what_counts_as_one_place(first: str, second: str, same: bool) -> None:
    failures = FailedLogins()
    for _ in range(FAILURES_PER_USER):
        failures.note(first, "admin")
    assert (failures.seconds_to_wait(second, "admin") > 0) is same


def test_guessing_a_password_takes_long(gate: Any, credentials: Any, clock: Any) -> None:
    client = gate(credentials)
    form = {"username": "admin", "password": "wrong"}
    assert [client.post("/auth/token", data=form).status_code for _ in range(6)] == [401] * 5 + [429]
    right = {"username": "admin", "password": "long enough"}
    answer = client.post("/auth/token", data=right)
    assert answer.status_code == 429, "not even the right one, or guesses would be told apart"
    assert 0 < int(answer.headers["Retry-After"]) <= 301
    assert client.get("/info/", headers=basic("admin", "long enough")).status_code == 429
    clock.now += 301
    assert client.post("/auth/token", data=right).status_code == 200


def test_guessing_does_not_lock_others_out(gate: Any, credentials: Any, tokens: dict[str, str]) -> None:
    attacker, colleague = gate(credentials, "10.0.0.1"), gate(credentials, "10.0.0.2")
    for _ in range(30):
        attacker.post("/auth/token", data={"username": "admin", "password": "wrong"})
        attacker.get("/info/", headers=bearer("wrong"))
    assert attacker.get("/info/", headers=bearer("wrong")).status_code == 429
    assert colleague.post("/auth/token", data={"username": "admin", "password": "long enough"}).status_code == 200
    assert attacker.get("/info/", headers=bearer(tokens["viewer"])).status_code == 200, "a token is not guessed"


# ---- browsers ----


def log_in(client: Any, **fields: str) -> Any:
    form = {"username": "admin", "password": "long enough", **fields}
    return client.post("/medsynth/login", data=form, headers={"Origin": "http://localhost:8000"})


def test_a_browser_is_sent_to_the_login_page_and_back(gate: Any, credentials: Any) -> None:
    client = gate(credentials)
    answer = client.get("/ohif/viewer?StudyInstanceUIDs=1.2", headers={"Accept": "text/html,*/*"})
    assert answer.status_code == 303
    page = client.get(answer.headers["location"])
    assert 'value="/ohif/viewer?StudyInstanceUIDs=1.2"' in page.text
    assert log_in(client, password="wrong, wrong").status_code == 401
    answer = log_in(client, next="/ohif/viewer?StudyInstanceUIDs=1.2")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ohif/viewer?StudyInstanceUIDs=1.2")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    for path in ("/ohif/", "/proxy/dicom/studies", "/medsynth/"):
        assert client.get(path).json() == {"user": "admin"}
    client.post("/medsynth/logout", headers={"Origin": "http://localhost:8000"})
    assert client.get("/ohif/").status_code == 401


@pytest.mark.parametrize("page", ["https://evil.example.org", "//evil.example.org", "/\\evil", "x", "/a\nb"])
def test_the_login_page_leads_to_no_other_site(gate: Any, credentials: Any, page: str) -> None:
    assert log_in(gate(credentials), next=page).headers["location"] == "/medsynth/"


def test_the_login_page_shows_no_markup_of_others(gate: Any, credentials: Any) -> None:
    assert "<script" not in gate(credentials).get("/medsynth/login", params={"next": '/"><script>'}).text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://localhost:8000"}, 200),
        ({"Referer": "http://localhost:8000/ohif/"}, 200),
        ({"Origin": "https://allowed.example.org"}, 200),
        ({"Origin": "https://evil.example.org"}, 403),
        ({"Origin": "http://localhost:9000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Referer": "https://evil.example.org/x"}, 403),
        ({}, 403),
    ],
)
def test_no_other_site_changes_anything_with_a_browsers_cookie(
    gate: Any, credentials: Any, headers: dict[str, str], status: int
) -> None:
    client = gate(credentials, origins=("https://allowed.example.org",))
    log_in(client)
    assert client.put("/datastore/label", headers=headers).status_code == status
    assert client.get("/datastore/", headers=headers).status_code == 200


def test_no_other_site_changes_anything_where_there_is_no_login(gate: Any) -> None:
    client = gate(None)
    assert client.put("/datastore/label", headers={"Origin": "https://evil.example.org"}).status_code == 403
    assert client.put("/datastore/label", headers={"Origin": "http://localhost:8000"}).status_code == 200
    assert client.put("/datastore/label").status_code == 200, "Slicer and scripts send no origin"
