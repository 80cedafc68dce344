"""Who may use the server: accounts with a role, kept hashed in one file that only its owner can read.

A token is 256 random bits and is stored as its SHA-256; a password that somebody chose is stored as scrypt
(RFC 7914; N 2^14, r 8, p 1). The file also holds the key that signs sessions, so that a restart logs nobody out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any

from filelock import FileLock

from medsynth_app.errors import InvalidValueError, MedSynthError, NotFoundError, StaleError
from medsynth_app.files import whole_file

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
USERS_VARIABLE = "MEDSYNTH_USERS"
SHORTEST_PASSWORD = 10
_SCRYPT = {"n": 1 << 14, "r": 8, "p": 1, "maxmem": 64 << 20}
_OWNER_ONLY = 0o600


class Role(str, Enum):
    """What an account may do; each role may do all that the ones before it may."""

    VIEWER = "viewer"
    ANNOTATOR = "annotator"
    REVIEWER = "reviewer"
    ADMIN = "admin"

    def includes(self, needed: Role) -> bool:
        """Whether this role may do what ``needed`` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True)
class Account:
    """One user.

    Attributes:
        name: matches ``NAME_PATTERN``.
        role: what it may do.
        token_digest: SHA-256 of the token, hexadecimal.
        password_digest: ``salt$hash`` of a chosen password, ``""`` where there is none.
        created: date and time, ISO 8601 UTC.
    """

    name: str
    role: Role
    token_digest: str
    password_digest: str = ""
    created: str = ""

    def __post_init__(self) -> None:
        if not NAME_PATTERN.fullmatch(self.name):
            raise InvalidValueError(
                f"name: {self.name[:70]!r} must be 1 to 64 letters, digits, '.', '_', '@' and '-', "
                "starting with a letter or digit"
            )

    @property
    def stamp(self) -> str:
        """Changes with token, password or role: sessions made before are void then."""
        text = f"{self.token_digest}{self.password_digest}{self.role.value}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class AccountBook:
    """All accounts and the key that signs their sessions.

    Attributes:
        key: 32 random bytes.
        accounts: by name.
    """

    key: bytes
    accounts: Mapping[str, Account] = field(default_factory=dict)

    def by_token(self, token: str) -> Account | None:
        """The account of a token; every account is compared, so the time tells nothing."""
        digest = _token_digest(token)
        found = None
        for account in self.accounts.values():
            if hmac.compare_digest(account.token_digest, digest):
                found = account
        return found

    def by_password(self, name: str, secret: str) -> Account | None:
        """The account of a name and its password or token; an unknown name takes as long as a known one."""
        account = self.accounts.get(name)
        by_token = self.by_token(secret)
        digest = account.password_digest if account and account.password_digest else _NO_PASSWORD
        matches = _password_matches(secret, digest)
        if account is None or not (matches or by_token is account):
            return None
        return account


def default_users_file() -> Path:
    """``MEDSYNTH_USERS``, else a file in the home folder: never in the studies, which clients can read."""
    named = os.environ.get(USERS_VARIABLE, "").strip()
    return Path(named) if named else Path.home() / ".config" / "medsynth" / "users.json"


def load_accounts(path: Path) -> AccountBook:
    """Read the file.

    Raises:
        MedSynthError: others can read it, or it is broken; the file's name is told.
    """
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise MedSynthError(f"{path.name}: others than its owner can read it; run chmod 600 on it")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = [_account(row) for row in content["users"]]
        return AccountBook(bytes.fromhex(content["key"]), {row.name: row for row in rows})
    except (ValueError, KeyError, TypeError, AttributeError, InvalidValueError) as error:
        raise MedSynthError(
            f"{path.name}: is broken ({type(error).__name__}); put it aside and add the users again"
        ) from error


def add_account(path: Path, name: str, role: Role, password: str | None = None) -> str:
    """Add a user; the file is made if it is not there.

    Args:
        path: the users file.
        name: of the new user.
        role: what it may do.
        password: chosen by the user, beside the token; at least ``SHORTEST_PASSWORD`` characters.

    Returns:
        The new token. It is stored hashed and cannot be told again.

    Raises:
        InvalidValueError: an unfit name or password.
        StaleError: the name is taken.
    """
    if password is not None and len(password) < SHORTEST_PASSWORD:
        raise InvalidValueError(f"password: must have at least {SHORTEST_PASSWORD} characters")
    token = secrets.token_urlsafe(32)
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    digest = "" if password is None else _password_digest(password)
    account = Account(name, role, _token_digest(token), digest, created)
    with _locked(path):
        book = _load_or_new(path)
        if name in book.accounts:
            raise StaleError(f"name: there is a user {name!r} already; remove it first")
        _store(path, replace(book, accounts={**book.accounts, name: account}))
    return token


def remove_account(path: Path, name: str) -> None:
    """Remove a user; its token and sessions end with the server's next request.

    Raises:
        NotFoundError: there is none of that name.
    """
    with _locked(path):
        book = _load_or_new(path)
        if name not in book.accounts:
            known = ", ".join(book.accounts) or "none"
            raise NotFoundError(f"name: there is no user {name[:70]!r}, known are {known}")
        _store(path, replace(book, accounts={k: v for k, v in book.accounts.items() if k != name}))


def _locked(path: Path) -> FileLock:
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f".{path.name}.lock"))


def _load_or_new(path: Path) -> AccountBook:
    return load_accounts(path) if path.exists() else AccountBook(secrets.token_bytes(32))


def _store(path: Path, book: AccountBook) -> None:
    rows = [
        {
            "name": account.name, "role": account.role.value, "token": account.token_digest,
            "password": account.password_digest, "created": account.created,
        }
        for account in book.accounts.values()
    ]  # fmt: skip
    text = json.dumps({"version": 1, "key": book.key.hex(), "users": rows}, indent=1)
    with whole_file(path, durable=True) as beside:
        # Never readable by others, not even for the moment before a chmod.
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)


def _account(row: Mapping[str, Any]) -> Account:
    return Account(
        str(row["name"]), Role(row["role"]), str(row["token"]), str(row.get("password", "")),
        str(row.get("created", "")),
    )  # fmt: skip


def _token_digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _password_digest(password: str, salt: bytes | None = None) -> str:
    salt = salt or secrets.token_bytes(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, **_SCRYPT)
    return f"{base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _password_matches(password: str, stored: str) -> bool:
    salt, _, digest = stored.partition("$")
    found = hashlib.scrypt(password.encode(), salt=base64.b64decode(salt), **_SCRYPT)
    return hmac.compare_digest(found, base64.b64decode(digest))


# What an account without a password is compared with: a digest that no password has.
_NO_PASSWORD = f"{base64.b64encode(bytes(16)).decode()}${base64.b64encode(bytes(64)).decode()}"
