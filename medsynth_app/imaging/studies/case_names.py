"""Case names: any file's name as one that can stand in an address, one to one.

Letters of other scripts, spaces and so on are escaped as ``_x`` + their Unicode number in hexadecimal + ``_``
(``\\uae40`` -> ``_xAE40_``), never replaced: two patients never get one name. What can be a case name stays as it is,
unless it looks as if it were escaped already; a name that becomes too long ends in a digest of the whole.
"""

from __future__ import annotations

import hashlib
import re
import sys

from medsynth_app.errors import InvalidValueError

LONGEST_NAME = 128
LONGEST_STEM_BYTES = 200
"""Of 255 that file systems take; endings, modalities and what is written beside a file need some."""
CASE_NAME_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_PLAIN = re.compile(r"[A-Za-z0-9._-]")
_ESCAPE = re.compile(r"_x([0-9A-F]{1,6})_")
_DIGEST_LENGTH = 32
_DIGEST = re.compile(rf"_h[0-9a-f]{{{_DIGEST_LENGTH}}}_$")


def check_case_name(name: object, field: str = "image") -> str:
    """The name itself, if it can be a case name.

    Raises:
        InvalidValueError: anything but 1-128 letters, digits, ``.``, ``_``, ``-`` (not starting with ``.`` or ``-``).
    """
    if isinstance(name, str) and CASE_NAME_PATTERN.fullmatch(name):
        return name
    shown = repr(name)[:60]
    raise InvalidValueError(
        f"{field}: {shown} is not a case name; allowed are 1 to 128 letters, digits, '.', '_' and '-', "
        "starting with a letter, a digit or '_'"
    )


def case_name(file_name: str) -> str:
    """The case name that belongs to a file's name (without its ending) and to no other.

    Args:
        file_name: any text; a name that was read from the disk may hold surrogates.

    Returns:
        What ``check_case_name`` accepts. ``original_name`` is the way back, but for names beyond 128 characters.
    """
    if CASE_NAME_PATTERN.fullmatch(file_name) and not _ESCAPE.search(file_name) and not _DIGEST.search(file_name):
        return file_name
    escaped = _escaped(file_name)
    if len(escaped) <= LONGEST_NAME and not _DIGEST.search(escaped):
        return escaped
    digest = hashlib.sha256(file_name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    return f"{escaped[: LONGEST_NAME - _DIGEST_LENGTH - 3]}_h{digest}_"


def name_and_file(text: object, field: str = "image") -> tuple[str, str]:
    """The name of a case that is to be stored, and the stem of its file, from which the same name is made again.

    Args:
        text: a case name, or the name that a user gave a file, in any script.
        field: how errors call it.

    Raises:
        InvalidValueError: it can be neither.
    """
    if not isinstance(text, str) or CASE_NAME_PATTERN.fullmatch(text):
        name = check_case_name(text, field)
        stem = name if case_name(name) == name else original_name(name)
        if case_name(stem) == name and _can_be_a_file(stem):
            return name, stem
        raise InvalidValueError(f"{field}: {name!r} looks like an escaped name and is none that a file can have")
    is_plain = all(_PLAIN.fullmatch(letter) for letter in text)
    return (check_case_name(text, field), text) if is_plain or not _can_be_a_file(text) else (case_name(text), text)


def _can_be_a_file(stem: str) -> bool:
    is_short = len(stem.encode("utf-8", "surrogatepass")) <= LONGEST_STEM_BYTES
    return stem.isprintable() and is_short and stem[:1] not in ("", ".", "-") and not {"/", "\\"} & set(stem)


def original_name(name: str) -> str:
    """The text that a case name stands for; a name with a digest stands for itself."""
    if _DIGEST.search(name) or not _ESCAPE.search(name):
        return name
    return _ESCAPE.sub(lambda match: _letter(int(match[1], 16)), name)


_EMPTY = f"_x{sys.maxunicode + 1:X}_"
"""The name of an empty one: no character has that number."""


def _letter(number: int) -> str:
    return chr(number) if number <= sys.maxunicode else ""


def _escaped(text: str) -> str:
    if not text:
        return _EMPTY
    parts = []
    for place, letter in enumerate(text):
        # An underscore that is followed by x could begin an escape; a dot or a dash cannot begin a name.
        unlike_itself = letter == "_" and text[place + 1 : place + 2] == "x"
        if _PLAIN.fullmatch(letter) and not unlike_itself and (place or letter not in ".-"):
            parts.append(letter)
        else:
            parts.append(f"_x{ord(letter):X}_")
    return "".join(parts)
