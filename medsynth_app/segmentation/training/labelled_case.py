"""A labelled case in memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class LabelledCase:
    """A training case as the networks see it.

    Attributes:
        name: case name.
        image: (C, X, Y, Z) float16, z-scored, cropped to the brain.
        label: (X, Y, Z) uint8, values 0..3.
    """

    name: str
    image: torch.Tensor
    label: torch.Tensor
