"""The options of a task: what a viewer may set, of which type, in which range.

One table serves three readers: MONAI Label's ``config`` (what Slicer and OHIF show), the check of what comes
back, and the documentation. Viewers return options in odd forms: a choice list comes back whole from OHIF
or as its first entry from Slicer, numbers come back as text, an untouched zero as ``""``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medsynth_app.errors import InvalidValueError

OptionValue = str | int | float | bool

TRUE_WORDS = ("true", "1", "yes", "on")
FALSE_WORDS = ("false", "0", "no", "off")


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        name: key in ``params``.
        default: also fixes the type: bool, int, float or str.
        description: one sentence.
        choices: allowed texts; empty = free.
        minimum: smallest allowed number.
        maximum: largest allowed number.
    """

    name: str
    default: OptionValue
    description: str
    choices: tuple[str, ...] = ()
    minimum: float = -math.inf
    maximum: float = math.inf

    def shown(self) -> OptionValue | list[str]:
        """The form MONAI Label's viewers show: a list of texts (default first) for a choice, else the default."""
        if not self.choices:
            return self.default
        return [str(self.default), *(c for c in self.choices if c != self.default)]

    def parse(self, value: object) -> OptionValue:
        """The typed value of what a client sent.

        Raises:
            InvalidValueError: wrong type, unknown choice, or out of range; names the option and what is allowed.
        """
        if isinstance(value, (list, tuple)):
            # The whole choice list came back: its first entry is what the viewer shows as chosen.
            value = value[0] if value else ""
        if value is None or value == "":
            return self.default
        if isinstance(self.default, bool):
            return self._boolean(value)
        if isinstance(self.default, (int, float)):
            return self._number(value)
        return self._text(value)

    def _boolean(self, value: object) -> bool:
        word = str(value).strip().lower()
        if word in TRUE_WORDS:
            return True
        if word in FALSE_WORDS or word == "0.0":
            return False
        raise InvalidValueError(f"{self.name}: {_shorten(value)} must be true or false")

    def _number(self, value: object) -> int | float:
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        try:
            number = float(value) if not isinstance(value, (bool, dict)) else math.nan  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if math.isnan(number) or (isinstance(self.default, int) and not number.is_integer()):
            raise InvalidValueError(f"{self.name}: {_shorten(value)} must be {kind}")
        if not self.minimum <= number <= self.maximum:
            raise InvalidValueError(
                f"{self.name}: {_shorten(value)} must be between {self.minimum:g} and {self.maximum:g}"
            )
        return int(number) if isinstance(self.default, int) else number

    def _text(self, value: object) -> str:
        if not isinstance(value, str):
            raise InvalidValueError(f"{self.name}: {_shorten(value)} must be a text")
        if self.choices and value not in self.choices:
            raise InvalidValueError(
                f"{self.name}: {_shorten(value)} must be one of {', '.join(self.choices)}"
            )
        return value


def parse_options(
    options: Sequence[Option], params: Mapping[str, object], ignored: Sequence[str] = ()
) -> tuple[dict[str, OptionValue], list[str]]:
    """All options with their values, and warnings about keys that nobody knows.

    Args:
        options: what the task takes.
        params: what the client sent.
        ignored: keys that viewers add by themselves; they pass without a warning.

    Raises:
        InvalidValueError: as ``Option.parse``.
    """
    known = {option.name: option for option in options}
    values = {name: option.parse(params.get(name)) for name, option in known.items()}
    strangers = [key for key in params if key not in known and key not in ignored]
    return values, [f"unknown option {_shorten(key)} was ignored" for key in strangers[:20]]


def shown_options(options: Sequence[Option]) -> dict[str, OptionValue | list[str]]:
    """MONAI Label's ``config`` of a task."""
    return {option.name: option.shown() for option in options}


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
