"""``medsynth serve`` and ``medsynth users``: what is started, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from medsynth_app.accounts import Role, add_account
from medsynth_app.cli import application
from medsynth_app.commands import serve


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Command lines that would have been executed; the home folder is empty."""
    commands: list[list[str]] = []
    monkeypatch.setattr(serve.os, "execve", lambda _, command, __: commands.append(command))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MEDSYNTH_USERS", raising=False)
    return commands


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(application, [str(each) for each in arguments])


def test_this_machine_needs_nothing(started: list[list[str]]) -> None:
    assert run("serve", "--studies", "x").exit_code == 0
    assert started[0][started[0].index("--host") + 1] == "127.0.0.1"


def test_other_machines_need_users_or_a_loud_word(started: list[list[str]], tmp_path: Path) -> None:
    open_to_all = ("serve", "--studies", "x", "--host", "0.0.0.0")
    refused = run(*open_to_all)
    assert refused.exit_code == 2
    assert "medsynth users add" in refused.output
    assert started == []
    assert run(*open_to_all, "--insecure").exit_code == 0
    assert started[-1][-3:] == ["--conf", "insecure", "true"]
    assert run(*open_to_all, "--conf", "insecure true").exit_code == 0
    add_account(tmp_path / ".config" / "medsynth" / "users.json", "kim", Role.VIEWER)
    assert run(*open_to_all).exit_code == 0
    assert run(*open_to_all, "--conf", "users none").exit_code == 2
    assert len(started) == 3


def test_tls_files_are_passed_on(started: list[list[str]], tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    assert run("serve", "--studies", "x", "--tls-certificate", certificate).exit_code == 2
    assert run("serve", "--studies", "x", "--tls-certificate", certificate, "--tls-key", key).exit_code == 2
    certificate.touch()
    key.touch()
    assert run("serve", "--studies", "x", "--tls-certificate", certificate, "--tls-key", key).exit_code == 0
    assert started[0][started[0].index("--ssl_certfile") + 1] == str(certificate)
    assert started[0][started[0].index("--ssl_keyfile") + 1] == str(key)


def test_users_are_added_listed_and_removed(tmp_path: Path) -> None:
    file = tmp_path / "users.json"
    added = run("users", "add", "kim", "--role", "reviewer", "--file", file)
    assert added.exit_code == 0
    token = added.stdout.strip().splitlines()[-1]
    assert len(token) >= 40
    listed = run("users", "list", "--file", file)
    assert "kim" in listed.output
    assert "reviewer" in listed.output
    assert token not in listed.output
    assert run("users", "remove", "kim", "--file", file).exit_code == 0
    assert run("users", "remove", "kim", "--file", file).exit_code != 0
    assert run("users", "add", "kim", "--role", "king", "--file", file).exit_code == 2
