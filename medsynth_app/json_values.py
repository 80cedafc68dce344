"""JSON from outside: only what can be stored, answered and read back by every reader is let in.

Python's own parser takes lone surrogates (``"\\ud800"``) and nearly a thousand levels; UTF-8 cannot hold the former,
and stricter readers stop at some two hundred of the latter. One such value in an index made every answer of it fail.
"""

from __future__ import annotations

import json
import re
from typing import Any

from medsynth_app.errors import MalformedRequestError

DEEPEST = 64
"""Levels of lists and objects; a FHIR questionnaire of eight nested groups has twenty."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def parse_json(content: str | bytes, name: str, *, constants: bool = True) -> Any:  # noqa: ANN401 - untrusted
    """A value that can be stored.

    Args:
        content: text, or UTF-8.
        name: how errors call it.
        constants: take NaN and Infinity, which JSON does not know.

    Raises:
        MalformedRequestError: no JSON, nested too deeply, or with a character that no text may hold (400).
    """
    try:
        text = content.decode() if isinstance(content, bytes) else content
        value = json.loads(text, parse_constant=None if constants else _no_constant)
    except RecursionError:
        raise _too_deep(name) from None
    except ValueError:
        raise MalformedRequestError(f"{name}: is not JSON") from None
    check_storable(value, name)
    return value


def check_storable(value: object, name: str) -> None:
    """Refuse what cannot be stored and read back.

    Raises:
        MalformedRequestError: more than ``DEEPEST`` levels, or half of a surrogate pair in a text or key (400).
    """
    level: list[object] = [value]
    depth = 0
    while level:
        inner: list[object] = []
        for entry in level:
            if isinstance(entry, str) and _SURROGATE.search(entry):
                raise MalformedRequestError(f"{name}: holds half of a surrogate pair, which is no character")
            if isinstance(entry, (dict, list, tuple)) and depth == DEEPEST:
                raise _too_deep(name)
            if isinstance(entry, dict):
                inner += [*entry, *entry.values()]
            elif isinstance(entry, (list, tuple)):
                inner += entry
        level, depth = inner, depth + 1


def mended(value: Any, deepest: int = DEEPEST) -> Any:  # noqa: ANN401 - the recursive JSON type
    """A stored value from before it was checked: what cannot be answered is replaced, the rest stays.

    Halves of surrogate pairs become U+FFFD, lists and objects below ``deepest`` levels become null.
    """
    if isinstance(value, str):
        return _SURROGATE.sub(_REPLACEMENT, value)
    if isinstance(value, (dict, list, tuple)) and deepest <= 0:
        return None
    if isinstance(value, dict):
        return {mended(str(key)): mended(entry, deepest - 1) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [mended(entry, deepest - 1) for entry in value]
    return value


def _too_deep(name: str) -> MalformedRequestError:
    return MalformedRequestError(f"{name}: is JSON nested too deeply, allowed are {DEEPEST} levels")


def _no_constant(name: str) -> None:
    raise ValueError(name)
