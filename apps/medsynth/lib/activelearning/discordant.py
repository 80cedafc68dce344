"""``discordant_first``: cases whose symptoms do not fit the mask come before all others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from monailabel.interfaces.datastore import Datastore

from lib.activelearning.assessment import CaseAssessment
from lib.activelearning.ranked import UncertainAndDiverseStrategy
from medsynth_app.active_learning.ranking import Pick
from medsynth_app.options import OptionValue

DiscordanceOf = Callable[[Sequence[str]], Mapping[str, float]]
"""Case names -> how far the newest cross-check of those that have one disagrees, 0 (fits) to 1."""


class DiscordantFirstStrategy(UncertainAndDiverseStrategy):
    """The more a case's cross-check disagrees, the earlier it comes; the others as ``uncertain_and_diverse`` says.

    Args:
        assessment: what the network says of each case.
        discordance_of: what the cross-check says.
    """

    def __init__(self, assessment: CaseAssessment, discordance_of: DiscordanceOf) -> None:
        super().__init__(assessment)
        self.description = "First the cases whose symptoms do not fit their mask, then as uncertain_and_diverse"
        self._discordance_of = discordance_of

    def rank(
        self, names: list[str], count: int, values: Mapping[str, OptionValue], datastore: Datastore
    ) -> list[Pick]:
        """Discordant cases first, the most discordant at the front."""
        discordance = {name: value for name, value in self._discordance_of(names).items() if value > 0}
        picks = super().rank(names, len(names), values, datastore)
        first = sorted((p for p in picks if p.name in discordance), key=lambda p: -discordance[p.name])
        rest = [pick for pick in picks if pick.name not in discordance]
        return [*(replace(pick, score=1 + discordance[pick.name]) for pick in first), *rest][:count]
