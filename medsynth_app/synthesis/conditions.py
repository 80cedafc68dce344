"""What a caller may ask of a generator: typed tables that refuse what is unknown or impossible, by name.

A condition is an ``Option``: the same table shows itself in a viewer, checks what comes back, and documents
itself in the catalogue.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from medsynth_app.errors import InvalidValueError
from medsynth_app.options import Option, OptionValue, shown_options

LARGEST_SEED = 2**53 - 1
"""Every reader of JSON keeps whole numbers up to here."""
SEED = Option("seed", 0, "The same seed and conditions give the same result.", minimum=0, maximum=LARGEST_SEED)


@dataclass(frozen=True)
class VectorOption(Option):
    """Several numbers as a JSON list or as text, ``[1, 2.5, 3]`` or ``"1,2.5,3"``.

    The default is a text too; where it is empty, the generator chooses. Parsed values are texts again
    (``"1,2.5,3"``), read with ``numbers_of``, so that a table holds plain values only.

    Attributes:
        length: how many numbers.
    """

    length: int = 3

    def parse(self, value: object) -> OptionValue:
        """The checked numbers as text; the default where nothing was given.

        Raises:
            InvalidValueError: another count, no numbers, or one out of range.
        """
        if value is None or value in ("", []):
            return self.default
        parts = value if isinstance(value, (list, tuple)) else str(value).strip("[] ").split(",")
        try:
            if any(isinstance(part, bool) for part in parts):
                raise ValueError
            numbers = [float(part) for part in parts]
        except (TypeError, ValueError, OverflowError):
            numbers = []
        if len(numbers) != self.length or not all(math.isfinite(n) for n in numbers):
            shown = repr(value)[:80]
            raise InvalidValueError(f"{self.name}: {shown} must be {self.length} numbers like {self._example()}")
        for number in numbers:
            if not self.minimum <= number <= self.maximum:
                raise InvalidValueError(
                    f"{self.name}: {number:g} must be between {self.minimum:g} and {self.maximum:g}"
                )
        return ",".join(f"{number:g}" for number in numbers)

    def _example(self) -> str:
        return json.dumps([1.0, 1.5, 3.0, 0.5][: self.length])


@dataclass(frozen=True)
class OpenNumber(Option):
    """A number that may be left open; the default is the empty text, and the generator chooses."""

    def parse(self, value: object) -> OptionValue:
        """The checked number, or the empty text.

        Raises:
            InvalidValueError: no number, or one out of range.
        """
        if isinstance(value, (list, tuple)):
            value = value[0] if value else ""
        return "" if value is None or value == "" else self._number(value)


def numbers_of(value: object) -> tuple[float, ...] | None:
    """The numbers of a parsed ``VectorOption``; None where the generator is to choose."""
    text = str(value)
    return tuple(float(part) for part in text.split(",")) if text else None


class Conditions(Protocol):
    """What a generator accepts; see ``ConditionTable``."""

    def parse(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All conditions with their values."""
        ...

    def shown(self) -> dict[str, Any]:
        """MONAI Label's ``config`` of them."""
        ...

    def described(self) -> list[dict[str, Any]]:
        """One JSON record a condition."""
        ...


Check = Callable[[Mapping[str, Any]], None]
"""Raises InvalidValueError where conditions that are allowed alone are impossible together."""


def nothing_impossible(conditions: Mapping[str, Any]) -> None:
    """Every combination is possible."""


@dataclass(frozen=True)
class ConditionTable:
    """A generator's conditions.

    Attributes:
        options: one row a condition; the seed is no condition.
        check: refuses what is impossible together.
    """

    options: Sequence[Option]
    check: Check = nothing_impossible

    def parse(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All conditions with their values; what is left out has its default.

        Raises:
            InvalidValueError: an unknown condition, a wrong value, or an impossible combination.
        """
        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                raise InvalidValueError(
                    f"{str(name)[:60]}: is no condition of this generator, known are {', '.join(known)}"
                )
        values: dict[str, Any] = {name: option.parse(given.get(name)) for name, option in known.items()}
        self.check(values)
        return values

    def shown(self) -> dict[str, Any]:
        """MONAI Label's ``config``."""
        return shown_options(self.options)

    def described(self) -> list[dict[str, Any]]:
        """Name, kind, default, meaning, range or choices of every condition."""
        return [described_option(option) for option in self.options]


def parse_seed(value: object) -> int:
    """A seed as a whole number.

    Raises:
        InvalidValueError: anything else.
    """
    if value is None or value == "" or isinstance(value, (list, tuple, bool)):
        raise InvalidValueError(f"seed: {value!r} must be a whole number from 0 to {LARGEST_SEED}")
    return int(SEED.parse(value))


UNITS = {"_mm": "mm", "_ml": "ml", "_t": "T", "_ms": "ms", "_deg": "degrees"}
"""Ending of a condition's name -> its unit."""


def described_option(option: Option) -> dict[str, Any]:
    """A condition as the catalogue tells it: name, kind, default, description, and what it has of unit, choices,
    minimum and maximum."""
    kind = type(option.default).__name__
    if isinstance(option, (VectorOption, OpenNumber)):
        kind = "numbers" if isinstance(option, VectorOption) else "float"
    record: dict[str, Any] = {
        "name": option.name, "kind": kind, "default": option.default, "description": option.description,
    }  # fmt: skip
    unit = next((unit for ending, unit in UNITS.items() if option.name.endswith(ending)), None)
    if unit:
        record["unit"] = unit
    if option.choices:
        record["choices"] = list(option.choices)
    for name, limit in (("minimum", option.minimum), ("maximum", option.maximum)):
        if math.isfinite(limit):
            record[name] = limit
    return record
