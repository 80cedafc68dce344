"""Who sends this request? Bearer token or session, HTTP Basic, or the cookie of the login page."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from medsynth_app.accounts import Account, AccountBook
from medsynth_app.api.access.account_source import AccountSource
from medsynth_app.api.access.failed_logins import FailedLogins
from medsynth_app.api.access.revoked_sessions import RevokedSessions
from medsynth_app.api.access.sessions import account_of_session, end_of_session, is_session, is_signed_here
from medsynth_app.errors import BusyError

COOKIE = "medsynth_session"
LONGEST_SECRET = 1024
_REMEMBERED_PASSWORDS = 256


class TooManyFailuresError(BusyError):
    """This address guessed too often and has to wait (429)."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"login: too many failures; try again in {seconds} seconds", code="too_many_failures")
        self.retry_after = seconds


@dataclass(frozen=True)
class Caller:
    """Who a request comes from.

    Attributes:
        account: who it is; None where nobody was recognised.
        by_cookie: a browser sent the cookie by itself, so another site's page may be behind the request.
        sent_something: there were credentials, right or wrong.
    """

    account: Account | None
    by_cookie: bool = False
    sent_something: bool = False


class Credentials:
    """Recognises callers.

    Args:
        accounts: the users.
        failures: who guessed how often.
        revoked: sessions that were ended; kept beside the users file by default.
    """

    def __init__(
        self,
        accounts: AccountSource,
        failures: FailedLogins | None = None,
        revoked: RevokedSessions | None = None,
    ) -> None:
        self.accounts = accounts
        self.failures = failures or FailedLogins()
        self.revoked = revoked or RevokedSessions(accounts.path.with_name(f".{accounts.path.name}.revoked"))
        # A viewer that uses Basic sends its password with every file: scrypt once is enough. Kept as a keyed digest.
        self._known: OrderedDict[bytes, str] = OrderedDict()
        self._known_key = secrets.token_bytes(32)

    def caller(self, headers: Mapping[bytes, bytes], address: str) -> Caller:
        """Who sends these headers.

        Raises:
            TooManyFailuresError: the address guessed too often.
        """
        book = self.accounts.book()
        kind, _, value = headers.get(b"authorization", b"").decode("latin-1").strip().partition(" ")
        if kind.lower() == "bearer":
            return Caller(self._by_bearer(book, value.strip(), address), sent_something=True)
        if kind.lower() == "basic":
            return Caller(self._by_basic(value.strip(), address), sent_something=True)
        cookie = _cookie(headers.get(b"cookie", b""))
        if cookie:
            return Caller(self._by_session(book, cookie), by_cookie=True, sent_something=True)
        return Caller(None)

    def log_out(self, headers: Mapping[bytes, bytes]) -> None:
        """End the session that these headers carry, in a cookie or as a bearer; other credentials are left alone."""
        kind, _, value = headers.get(b"authorization", b"").decode("latin-1").strip().partition(" ")
        book = self.accounts.book()
        for text in (value.strip() if kind.lower() == "bearer" else "", _cookie(headers.get(b"cookie", b""))):
            ends = end_of_session(book, text)
            if ends is not None:
                self.revoked.add(text, ends)

    def _by_session(self, book: AccountBook, text: str) -> Account | None:
        return None if text in self.revoked else account_of_session(book, text)

    def log_in(self, name: str, secret: str, address: str) -> Account | None:
        """The account of a name and its password or token.

        Raises:
            TooManyFailuresError: the address guessed too often.
        """
        with self.failures.turn(address):
            seconds = self.failures.seconds_to_wait(address, name[:64])
            if seconds:
                raise TooManyFailuresError(seconds)
            account = None
            if len(name) <= LONGEST_SECRET and len(secret) <= LONGEST_SECRET:
                account = self.accounts.book().by_password(name, secret)
            if account is None:
                self.failures.note(address, name[:64])
            else:
                self.failures.forget(address, name[:64])
            return account

    def _by_bearer(self, book: AccountBook, text: str, address: str) -> Account | None:
        if is_session(text):
            account = self._by_session(book, text)
            guessed = account is None and not is_signed_here(book, text)
        else:
            account = book.by_token(text) if len(text) <= LONGEST_SECRET else None
            guessed = account is None
        if guessed:
            # A right token passes however often others guessed: nobody finds 256 bits by trying.
            seconds = self.failures.seconds_to_wait(address)
            self.failures.note(address)
            if seconds:
                raise TooManyFailuresError(seconds)
        return account

    def _by_basic(self, text: str, address: str) -> Account | None:
        try:
            name, colon, secret = base64.b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        if not colon:
            return None
        account = self.accounts.book().accounts.get(name)
        digest = hmac.new(self._known_key, f"{name}:{secret}".encode(), hashlib.sha256).digest()
        if account is not None and self._known.get(digest) == account.stamp:
            return account
        with self.failures.turn(address):
            # A viewer sends many requests at once: the first one is checked, the others find it here.
            if account is not None and self._known.get(digest) == account.stamp:
                return account
            account = self.log_in(name, secret, address)
            if account is not None:
                self._known[digest] = account.stamp
                while len(self._known) > _REMEMBERED_PASSWORDS:
                    self._known.popitem(last=False)
            return account


def _cookie(header: bytes) -> str:
    try:
        found = SimpleCookie(header.decode("latin-1")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
