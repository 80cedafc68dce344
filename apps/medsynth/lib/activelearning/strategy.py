"""What all strategies share: options that viewers show, and an order of cases with its reasons."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from lib.activelearning.options import HANDING_OUT, shown_as_text
from lib.inference import VIEWER_KEYS
from medsynth_app.active_learning.ranking import Pick
from medsynth_app.options import Option, OptionValue, parse_options

IGNORED = (*VIEWER_KEYS, "strategy", "label_tag", "labels", "candidates", "count")


class RankingStrategy(Strategy):
    """Puts the cases without a final label in an order.

    Args:
        description: one sentence for the viewers.
        options: what may be set beside ``k`` and the lease.
    """

    def __init__(self, description: str, options: Sequence[Option] = ()) -> None:
        super().__init__(description)
        self.options = (*HANDING_OUT, *options)

    def config(self) -> dict[str, Any]:
        """Options as the viewers show them."""
        return shown_as_text(self.options)

    def info(self) -> dict[str, Any]:
        """Description and options as the viewers read them."""
        return {**super().info(), "config": self.config()}

    def check(self, request: Mapping[str, Any]) -> tuple[dict[str, OptionValue], list[str]]:
        """Options with their types, and warnings about unknown ones; raises InvalidValueError."""
        return parse_options(self.options, request, ignored=IGNORED)

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """The best cases first.

        Args:
            request: options; ``candidates`` and ``count`` from the server, all unlabelled cases by default.
            datastore: where the cases are.

        Returns:
            ``id`` of the first, ``picks`` with the reasons; None where there is no case left.
        """
        values, _ = self.check(request)
        names = request.get("candidates")
        if names is None:
            names = datastore.get_unlabeled_images(request.get("label_tag"), request.get("labels"))
        if not names:
            return None
        picks = self.rank(list(names), int(request.get("count", values["k"])), values, datastore)
        return {"id": picks[0].name, "weight": picks[0].score, "picks": picks}

    @abstractmethod
    def rank(
        self, names: list[str], count: int, values: Mapping[str, OptionValue], datastore: Datastore
    ) -> list[Pick]:
        """The first ``count`` cases, best first."""

