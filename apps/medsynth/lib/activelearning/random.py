"""``random``: any case without a final label, rather one that was not served lately."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from monailabel.interfaces.datastore import Datastore

from lib.activelearning.options import CHANCE
from lib.activelearning.strategy import RankingStrategy
from medsynth_app.active_learning.ranking import Pick, random_order
from medsynth_app.options import OptionValue

LONGEST_WAIT_SECONDS = 24 * 3600.0


class RandomStrategy(RankingStrategy):
    """Draws a case with a weight of the seconds since it was last served, at least one and at most a day.

    MONAI Label's own one fails when all cases were served within the same second: its weights are then all zero.
    """

    def __init__(self) -> None:
        super().__init__("A random case without a final label", CHANCE)

    def rank(
        self, names: list[str], count: int, values: Mapping[str, OptionValue], datastore: Datastore
    ) -> list[Pick]:
        """In random order; the score is the weight of the draw."""
        now = time.time()
        weights = {name: _weight(now - _last_served(datastore.get_image_info(name))) for name in names}
        seed = int(values["seed"]) or 1 + secrets.randbelow(2**31 - 1)
        order = random_order(names, np.array([weights[name] for name in names]), seed)
        return [Pick(name, weights[name], 0.0, None) for name in order[:count]]


def _weight(seconds: float) -> float:
    return min(max(seconds, 1.0), LONGEST_WAIT_SECONDS)


def _last_served(info: dict[str, Any]) -> float:
    served = info.get("strategy", {})
    return max((float(each.get("ts", 0)) for each in served.values() if isinstance(each, dict)), default=0.0)
