"""Records as JSON values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any


def plain(value: Any, digits: int | None = None) -> Any:  # noqa: ANN401 - the recursive JSON type
    """Records, enumerations, tuples and mappings as JSON values; numbers that JSON cannot hold become None.

    Args:
        value: a record or anything made of records.
        digits: decimals that numbers are rounded to; None keeps them all.
    """
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name), digits) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, digits) for item in value]
    return _number(value, digits) if isinstance(value, float) else value


def _number(value: float, digits: int | None) -> float | None:
    if not math.isfinite(value):
        return None
    return value if digits is None else round(float(value), digits)
