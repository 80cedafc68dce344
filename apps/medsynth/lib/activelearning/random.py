"""``random``: any case without a final label, rather one that was not served lately."""

from __future__ import annotations

import random
import time
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy


class RandomStrategy(Strategy):
    """Draws a case with a weight of the seconds since it was last served, at least one.

    MONAI Label's own one fails when all cases were served within the same second: its weights are then all zero.
    """

    def __init__(self) -> None:
        super().__init__("A random case without a final label")

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """``{"id", "weight"}`` of the chosen case, or None where every case is labelled."""
        images = datastore.get_unlabeled_images(request.get("label_tag"), request.get("labels"))
        if not images:
            return None
        now = int(time.time())
        name = str(request.get("strategy", "random"))
        weights = [max(1, now - _last_served(datastore.get_image_info(image), name)) for image in images]
        chosen = random.choices(range(len(images)), weights=weights)[0]
        return {"id": images[chosen], "weight": weights[chosen]}


def _last_served(info: dict[str, Any], strategy: str) -> int:
    served = info.get("strategy", {}).get(strategy, {})
    return int(served.get("ts", 0))
