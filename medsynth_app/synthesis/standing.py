"""How good each generator is beside the simplest one of its task: ``ready`` only where it was measured to be better.

A generator without weights (growth model, phantom) is the simplest that works, and the measure of the others. Weights
that were trained elsewhere than here were not measured, and are experimental until ``medsynth benchmark`` says more.
"""

from __future__ import annotations

from dataclasses import dataclass

READY, EXPERIMENTAL = "ready", "experimental"


@dataclass(frozen=True)
class Standing:
    """What was found out about a generator.

    Attributes:
        is_ready: whether it beats the simplest generator of its task, or is that one.
        figure: the measurement that says so, or what is missing; one sentence.
    """

    is_ready: bool
    figure: str

    @property
    def status(self) -> str:
        """``ready`` or ``experimental``."""
        return READY if self.is_ready else EXPERIMENTAL


UNMEASURED = Standing(False, "weights trained elsewhere; medsynth benchmark measures them")
SIMPLEST = Standing(True, "drawn by rules: the simplest of its task, which the others are measured by")
