"""Users: hashed, in a file that only its owner can read, with roles that include each other."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from medsynth_app.accounts import Role, add_account, load_accounts, remove_account
from medsynth_app.errors import InvalidValueError, MedSynthError, NotFoundError, StaleError


@pytest.fixture
def users(tmp_path: Path) -> Path:
    return tmp_path / "private" / "users.json"


def test_neither_token_nor_password_is_in_the_file(users: Path) -> None:
    token = add_account(users, "kim", Role.REVIEWER, "correct horse battery")
    text = users.read_text()
    assert token not in text
    assert "correct horse" not in text
    assert stat.S_IMODE(users.stat().st_mode) == 0o600


def test_token_and_password_are_recognised_and_nothing_else(users: Path) -> None:
    token = add_account(users, "kim", Role.REVIEWER, "correct horse battery")
    other = add_account(users, "lee", Role.VIEWER)
    book = load_accounts(users)
    assert book.by_token(token) == book.accounts["kim"]
    assert book.by_token(token[:-1]) is None
    assert book.by_password("kim", "correct horse battery") == book.accounts["kim"]
    assert book.by_password("kim", token) == book.accounts["kim"]
    assert book.by_password("kim", other) is None, "another user's token"
    assert book.by_password("lee", "") is None
    assert book.by_password("nobody", token) is None


def test_a_role_may_do_all_that_lower_ones_may() -> None:
    roles = list(Role)
    for place, role in enumerate(roles):
        assert [role.includes(other) for other in roles] == [n <= place for n in range(len(roles))]


def test_a_name_is_taken_once_and_freed_by_removal(users: Path) -> None:
    add_account(users, "kim", Role.VIEWER)
    with pytest.raises(StaleError, match="'kim'"):
        add_account(users, "kim", Role.ADMIN)
    remove_account(users, "kim")
    assert load_accounts(users).accounts == {}
    with pytest.raises(NotFoundError, match="no user 'kim'"):
        remove_account(users, "kim")


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "x" * 65, "ann\n"])
def test_unfit_names(users: Path, name: str) -> None:
    with pytest.raises(InvalidValueError, match="name"):
        add_account(users, name, Role.VIEWER)
    assert not users.exists()


def test_short_password(users: Path) -> None:
    with pytest.raises(InvalidValueError, match="at least 10"):
        add_account(users, "kim", Role.VIEWER, "short")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"users": 3}', '{"key": "zz", "users": []}', '{"key": "00", '])
def test_a_broken_file_is_named(users: Path, content: str) -> None:
    users.parent.mkdir()
    users.write_text(content)
    users.chmod(0o600)
    with pytest.raises(MedSynthError, match=r"users\.json: is broken"):
        load_accounts(users)


def test_a_file_that_others_can_read_is_refused(users: Path) -> None:
    add_account(users, "kim", Role.VIEWER)
    users.chmod(0o640)
    with pytest.raises(MedSynthError, match="chmod 600"):
        load_accounts(users)


def test_a_change_of_the_account_voids_its_sessions(users: Path) -> None:
    add_account(users, "kim", Role.VIEWER)
    before = load_accounts(users).accounts["kim"].stamp
    remove_account(users, "kim")
    add_account(users, "kim", Role.VIEWER)
    assert load_accounts(users).accounts["kim"].stamp != before
