"""What was fitted for weights after their training. It stands in their notes and travels with the loaded network, so
that whoever runs it gets the same answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.vocabulary import Modality, TumorLabel


@dataclass(frozen=True)
class Fitted:
    """Numbers of one weights file.

    Attributes:
        temperature: the logits are divided by it where probabilities are told; it changes no label. Above 1 for a
            network that is surer than it is right.
        core_offset: taken off the logit of necrotic core where T1ce is there, for weights that call too much core.
        t1ce: its channel, or None where the network does not read it.
    """

    temperature: float = 1.0
    core_offset: float = 0.0
    t1ce: int | None = None

    def __post_init__(self) -> None:
        if not 0.05 <= self.temperature <= 20.0:
            raise InvalidValueError(f"temperature: {self.temperature} must be between 0.05 and 20")
        if not -20.0 <= self.core_offset <= 20.0:
            raise InvalidValueError(f"core_offset: {self.core_offset} must be between -20 and 20")

    @classmethod
    def of_notes(cls, notes: Mapping[str, object], modalities: Sequence[str]) -> Fitted:
        """What the notes of weights tell; a number that is none counts as not told.

        Args:
            notes: may hold ``temperature`` and ``core_offset``.
            modalities: what the network reads, in channel order.

        Raises:
            InvalidValueError: a number out of range.
        """
        found = {name: notes.get(name) for name in ("temperature", "core_offset")}
        numbers = {name: float(value) for name, value in found.items() if isinstance(value, (int, float))}
        t1ce = Modality.T1CE.value
        return cls(**numbers, t1ce=list(modalities).index(t1ce) if t1ce in modalities else None)

    def less_core(self, logits: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Logits (4, ...) of a part of the image (C, X, Y, Z) with the offset taken off, where T1ce is not blank."""
        if not self.core_offset or self.t1ce is None or not bool(image[self.t1ce].any()):
            return logits
        result = logits.clone()
        result[TumorLabel.NECROTIC_CORE] -= self.core_offset
        return result


def fitted_of(network: nn.Module) -> Fitted:
    """What was fitted for a network's weights; nothing for one that was not loaded from a file."""
    found = getattr(network, "fitted", None)
    return found if isinstance(found, Fitted) else Fitted()
