"""Cases at 3 mm, which take a second each, made once."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest

from medsynth_app.synthesis.tumor.generator import TumorCase, generate_tumor_case
from medsynth_app.synthesis.tumor.request import TumorCaseRequest

BASE = {"seed": 4, "site": "frontal", "side": "right", "volume_ml": 60.0, "spacing_mm": 3.0}


@lru_cache(maxsize=64)
def _made(changes: tuple[tuple[str, Any], ...]) -> TumorCase:
    return generate_tumor_case(TumorCaseRequest.from_parameters({**BASE, **dict(changes)}))


@pytest.fixture(scope="session")
def make_case() -> Callable[..., TumorCase]:
    """``make_case(volume_ml=30)``: the base case with changed conditions; made once a session."""
    return lambda **changes: _made(tuple(changes.items()))
