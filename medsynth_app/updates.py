"""Updates of a training whose gradient is not finite: left out, counted, and never without end."""

from __future__ import annotations

import logging

import torch

from medsynth_app.errors import TrainingDivergedError

logger = logging.getLogger(__name__)

MOST_IN_A_ROW = 10
MOST_IN_ALL = 100


class UpdateCount:
    """How many updates a run has left out.

    Attributes:
        left_out: in all.
        in_a_row: since the last one that was done.
    """

    def __init__(self, left_out: int = 0) -> None:
        self.left_out = left_out
        self.in_a_row = 0

    def admits(self, gradient_norm: torch.Tensor, step: int) -> bool:
        """Whether the update may be done; one that may not is counted.

        Args:
            gradient_norm: norm of the whole gradient.
            step: number of the update, for the words.

        Raises:
            TrainingDivergedError: it may not, and too many before it could not be done either.
        """
        if bool(torch.isfinite(gradient_norm)):
            self.in_a_row = 0
            return True
        self.left_out += 1
        self.in_a_row += 1
        logger.warning("update %d is left out, its gradient is not finite; %d so far", step, self.left_out)
        if self.in_a_row >= MOST_IN_A_ROW or self.left_out >= MOST_IN_ALL:
            raise TrainingDivergedError(
                f"training: {self.in_a_row} updates in a row and {self.left_out} in all had no finite gradient, the "
                f"last is number {step}; {MOST_IN_A_ROW - 1} in a row and {MOST_IN_ALL - 1} in all are let pass. "
                "Lower the learning rate or look at the training images"
            )
        return False
