"""Sessions: what a password is exchanged for. Signed, not stored, so a restart logs nobody out.

Those that were ended before their time are stored, see ``revoked_sessions``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any

from medsynth_app.accounts import Account, AccountBook

LIFETIME_SECONDS = 12 * 3600
PREFIX = "session."
_LONGEST_TEXT = 1024


def open_session(book: AccountBook, account: Account) -> str:
    """A text that stands for the account for `LIFETIME_SECONDS`."""
    claims = {
        "name": account.name, "stamp": account.stamp, "expires": int(time.time()) + LIFETIME_SECONDS,
        # two logins of one second are two sessions: one can be ended alone
        "nonce": secrets.token_hex(8),
    }  # fmt: skip
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{PREFIX}{payload}.{_signature(book, payload)}"


def is_session(text: str) -> bool:
    """Whether a text looks like a session (else it is taken for a token)."""
    return text.startswith(PREFIX)


def is_signed_here(book: AccountBook, text: str) -> bool:
    """Whether this server made the session, expired or not: such a text is no guess at a secret."""
    payload, _, signature = text[len(PREFIX) :].partition(".")
    return len(text) <= _LONGEST_TEXT and hmac.compare_digest(
        signature.encode(), _signature(book, payload).encode()
    )


def account_of_session(book: AccountBook, text: str) -> Account | None:
    """The account, or None where the session is forged, over, or older than a change of the account."""
    claims = _claims(book, text)
    if claims is None:
        return None
    account = book.accounts.get(claims["name"])
    if account is None or account.stamp != claims["stamp"] or claims["expires"] < time.time():
        return None
    return account


def end_of_session(book: AccountBook, text: str) -> float | None:
    """UNIX time at which a session of ours is over; None where the text is none."""
    claims = _claims(book, text)
    return None if claims is None else float(claims["expires"])


def _claims(book: AccountBook, text: str) -> dict[str, Any] | None:
    if not is_session(text) or not is_signed_here(book, text):
        return None
    payload = text[len(PREFIX) :].partition(".")[0]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def _signature(book: AccountBook, payload: str) -> str:
    return hmac.new(book.key, payload.encode(), hashlib.sha256).hexdigest()
