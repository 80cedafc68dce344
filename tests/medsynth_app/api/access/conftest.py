"""A gate in front of an application that tells who came through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from medsynth_app.accounts import Role, add_account
from medsynth_app.api.access import login
from medsynth_app.api.access.account_source import AccountSource
from medsynth_app.api.access.credentials import Credentials
from medsynth_app.api.access.failed_logins import FailedLogins
from medsynth_app.api.access.gate import Gate
from medsynth_app.api.error_handlers import add_error_handlers
from medsynth_app.request_context import acting_user


class Clock:
    """Seconds that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def users_file(tmp_path: Path) -> Path:
    return tmp_path / "users.json"


@pytest.fixture
def tokens(users_file: Path) -> dict[str, str]:
    """A user of each role, named like it; the admin has a password too."""
    return {
        role.value: add_account(users_file, role.value, role, "long enough" if role is Role.ADMIN else None)
        for role in Role
    }


@pytest.fixture
def credentials(users_file: Path, tokens: dict[str, str], clock: Clock) -> Credentials:
    return Credentials(AccountSource(users_file), FailedLogins(clock))


@pytest.fixture
def gate() -> Callable[..., TestClient]:
    """Makes a client of a gate; the application answers any path with the caller's name."""

    def make(credentials: Credentials | None, client: str = "127.0.0.1", **options: Any) -> TestClient:
        server = FastAPI()
        add_error_handlers(server)
        server.include_router(login.build_router(credentials))

        @server.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "DELETE"])
        def anything(path: str) -> dict[str, str]:
            return {"user": acting_user.get()}

        return TestClient(
            Gate(server, credentials, **options), base_url="http://localhost:8000", client=(client, 5000),
            follow_redirects=False,
        )  # fmt: skip

    return make
