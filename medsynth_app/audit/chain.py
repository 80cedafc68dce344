"""A chain of hashes: each link holds the hash of the one before, so that a change anywhere but at the end shows.

What a link is made of is its store's business: a line of a file (``file_store``), a row of the clinic's database
(``medsynth_app.clinical.record.audit``). That the *newest* links were altered or cut off shows only against a
hash that was noted elsewhere: the anchor. The newest hash is in the log after each change and in
``/medsynth/api/health``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from medsynth_app.errors import InvalidValueError

GENESIS = "0" * 64
"""What the first link holds as the hash of the one before."""
HASH_DIGITS = 64
_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Link:
    """One link as its store holds it.

    Attributes:
        number: 1, 2, 3 ...; what a store that numbers its links says, else counted.
        previous: the hash that it says the link before has; "" where it cannot be read.
        digest: its own hash, as the link after it holds it.
        problem: what is wrong with the link by itself, "" if nothing is.
    """

    number: int
    previous: str
    digest: str
    problem: str = ""


@dataclass(frozen=True)
class ChainVerification:
    """Whether a chain is whole.

    Attributes:
        intact: every link fits the one before, and the anchor, where one was given, is among them.
        length: number of links read.
        broken_at: number of the first link that does not fit; None where none is.
        reason: what does not fit.
        head: hash of the newest link; 64 zeros of an empty chain.
        anchor_found: whether the hash that was noted elsewhere is among the links; None where none was given.
        broken: numbers of all links that do not fit.
    """

    intact: bool
    length: int
    broken_at: int | None
    reason: str
    head: str
    anchor_found: bool | None = None
    broken: tuple[int, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "intact": self.intact,
            "length": self.length,
            "broken_at": self.broken_at,
            "reason": self.reason,
            "head": self.head,
            "anchor_found": self.anchor_found,
        }


def digest_of(content: bytes) -> str:
    """The hash of a link's content: SHA-256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def check_anchor(text: str) -> str:
    """A hash that was noted elsewhere, in small letters.

    Raises:
        InvalidValueError: it is no SHA-256.
    """
    anchor = text.strip().lower()
    if len(anchor) != HASH_DIGITS or not _DIGITS.issuperset(anchor):
        raise InvalidValueError(f"anchor: {text[:80]!r} must be a SHA-256 of {HASH_DIGITS} hexadecimal digits")
    return anchor


def verify_links(links: Iterable[Link], anchor: str | None = None) -> ChainVerification:
    """Look whether every link fits the one before; after one that does not, goes on from its own hash.

    Args:
        links: oldest first.
        anchor: a hash that was the newest once and was noted outside of the store; the chain must still hold it.
    """
    broken: list[int] = []
    reason, head, length, number = "", GENESIS, 0, 0
    found = anchor in (None, GENESIS)
    for link in links:
        problem = _problem(link, number + 1, head)
        if problem:
            broken.append(link.number)
            reason = reason or problem
        length, number, head = length + 1, link.number, link.digest
        found = found or head == anchor
    if not found:
        reason = reason or "the hash that was noted elsewhere is not in it: its newest records were altered or cut off"
    return ChainVerification(
        not broken and found, length, broken[0] if broken else None, reason, head,
        None if anchor is None else found, tuple(broken),
    )  # fmt: skip


def _problem(link: Link, number: int, head: str) -> str:
    if link.problem:
        return link.problem
    if link.number != number:
        return f"record {number} is missing"
    if link.previous != head:
        return "it does not continue the record before"
    return ""
