"""The strategies that ask the network: uncertainty, diversity, both, and cases whose symptoms do not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from monailabel.interfaces.datastore import Datastore

from lib.activelearning.assessment import CaseAssessment
from lib.activelearning.options import MIXTURE, UNCERTAINTY
from lib.activelearning.random import RandomStrategy
from lib.activelearning.strategy import RankingStrategy
from medsynth_app.active_learning.ranking import (
    Pick,
    Pool,
    most_diverse,
    most_uncertain,
    uncertain_and_diverse,
)
from medsynth_app.active_learning.uncertainty import Measure
from medsynth_app.options import OptionValue, parse_options


class NetworkStrategy(RankingStrategy):
    """Ranks the cases that the network has looked at; the others follow in random order, so nobody is left waiting.

    Args:
        description: one sentence for the viewers.
        options: what may be set.
        assessment: what the network says of each case.
    """

    def __init__(self, description: str, options: Sequence, assessment: CaseAssessment) -> None:
        super().__init__(description, options)
        self.assessment = assessment

    def rank(
        self, names: list[str], count: int, values: Mapping[str, OptionValue], datastore: Datastore
    ) -> list[Pick]:
        """Known cases first."""
        pool = self._pool(names, values)
        picks = self.order(pool, count, values) if pool.names else []
        known = set(pool.names)
        unknown = [name for name in names if name not in known]
        if len(picks) < count and unknown:
            chance = RandomStrategy()
            picks += chance.rank(unknown, count - len(picks), parse_options(chance.options, {})[0], datastore)
        return picks

    def order(self, pool: Pool, count: int, values: Mapping[str, OptionValue]) -> list[Pick]:
        """The first ``count`` cases of the pool, best first."""
        raise NotImplementedError

    def _pool(self, names: Sequence[str], values: Mapping[str, OptionValue]) -> Pool:
        known, around = self.assessment.known(names)
        measure = Measure(str(values.get("measure", Measure.BALD.value)))
        weight = float(values.get("tumor_weight", 0.5))
        features = [known[name].features for name in known] or [np.zeros(1, np.float32)][:0]
        width = len(features[0]) if features else 1
        return Pool(
            list(known),
            np.array([known[name].uncertainty.score(measure, weight) for name in known]),
            np.array(features, dtype=np.float32).reshape(-1, width),
            np.array([facts.features for facts in around], dtype=np.float32).reshape(-1, width),
        )


class MostUncertainStrategy(NetworkStrategy):
    """``most_uncertain``."""

    def __init__(self, assessment: CaseAssessment) -> None:
        super().__init__("The case of which the network is least sure", UNCERTAINTY, assessment)

    def order(self, pool: Pool, count: int, values: Mapping[str, OptionValue]) -> list[Pick]:
        return most_uncertain(pool, count)


class MostDiverseStrategy(NetworkStrategy):
    """``most_diverse``."""

    def __init__(self, assessment: CaseAssessment) -> None:
        super().__init__("The case least like those that are labelled (core-set)", (), assessment)

    def order(self, pool: Pool, count: int, values: Mapping[str, OptionValue]) -> list[Pick]:
        return most_diverse(pool, count)


class UncertainAndDiverseStrategy(NetworkStrategy):
    """``uncertain_and_diverse``."""

    def __init__(self, assessment: CaseAssessment) -> None:
        text = "An uncertain case that differs from those that are labelled"
        super().__init__(text, (*UNCERTAINTY, *MIXTURE), assessment)

    def order(self, pool: Pool, count: int, values: Mapping[str, OptionValue]) -> list[Pick]:
        return uncertain_and_diverse(pool, count, float(values["uncertainty_share"]))
