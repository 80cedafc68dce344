"""What is known of a modality's pictures before any training: their mean, and the axes along which they vary most.

Were pictures normally distributed, the best velocity would be linear and known: with x_t = (1 - t) x + t e and a
variance s^2 along an axis, E[e - x | x_t] = -m + (t - (1 - t) s^2) / ((1 - t)^2 s^2 + t^2) (x_t - (1 - t) m). Early in
training, and far from the picture, networks learn little else (Wang and Vastola, "The unreasonable effectiveness of
Gaussian score approximation for diffusion models", TMLR 2024), so the network here starts from it and learns the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from medsynth_app.synthesis.image_diffusion.conditions import ConditionBatch, Shown, Vocabulary

MOST_PICTURES = 700
"""Of a group, to find its axes."""
SMALLEST_DEVIATION = 0.1
"""No number of a code counts as more certain than this: other pictures than those of the training may differ."""


@dataclass(frozen=True)
class PriorShape:
    """Sizes of the prior's tables.

    Attributes:
        axes: of each group.
        broad: channels of the code, from the strongest, that the axes cover: broad structure hangs together across the
            picture; the finer channels count as independent, and the network finds what binds them.
        side: places of a code along one side; with another side the prior is silent.
    """

    axes: int = 128
    broad: int = 8
    side: int = 16


class GaussianPrior(nn.Module):
    """The velocity of normally distributed codes, by modality and sequence, moved by the pathology's mean.

    Group 0 holds all pictures, for conditions that are left open.

    Args:
        shape: sizes.
        code_channels: of the codes.
        vocabulary: of the conditions.
    """

    means: torch.Tensor
    axes: torch.Tensor
    deviations: torch.Tensor
    rest: torch.Tensor
    shifts: torch.Tensor
    group_of: torch.Tensor

    def __init__(self, shape: PriorShape, code_channels: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.shape, self.vocabulary = shape, vocabulary
        groups, length = 1 + len(_groups(vocabulary)), code_channels * shape.side**2
        self.covered = min(shape.broad, code_channels) * shape.side**2
        self.register_buffer("means", torch.zeros(groups, length))
        self.register_buffer("axes", torch.zeros(groups, self.covered, shape.axes))
        self.register_buffer("deviations", torch.ones(groups, shape.axes))
        self.register_buffer("rest", torch.ones(groups, length))
        self.register_buffer("shifts", torch.zeros(1 + len(vocabulary.pathology), length))
        # Follows from the vocabulary: not stored.
        self.register_buffer("group_of", _group_table(vocabulary), persistent=False)

    @torch.no_grad()
    def fit(self, codes: torch.Tensor, shown: Sequence[Shown], seed: int = 0) -> None:
        """Means and principal axes of training codes.

        Args:
            codes: (N, C, side, side).
            shown: what each shows.
            seed: of the choice among many.
        """
        flat, draw = codes.flatten(1), np.random.default_rng(seed)
        for number, wanted in enumerate([("", ""), *_groups(self.vocabulary)]):
            rows = [i for i, one in enumerate(shown) if _belongs(one, *wanted)]
            self._fit_group(number, flat[torch.from_numpy(draw.permutation(rows)[:MOST_PICTURES])])
            for place, name in enumerate(self.vocabulary.pathology, start=1):
                sick = [i for i in rows if f"{shown[i].modality}/{shown[i].pathology}" == name]
                if wanted[0] and not wanted[1] and sick:
                    self.shifts[place] = flat[sick].mean(dim=0) - self.means[number]

    def _fit_group(self, number: int, flat: torch.Tensor) -> None:
        mean = flat.mean(dim=0)
        centred = flat - mean
        # The small side of the singular value decomposition: pictures are fewer than numbers of a code.
        broad = centred[:, : self.covered]
        variances, turns = torch.linalg.eigh((broad @ broad.T / len(flat)).double())
        count = min(self.shape.axes, max(len(flat) - 1, 1))
        deviations = variances.flip(0)[:count].clamp_min(1e-12).sqrt().float()
        axes = broad.T @ turns.flip(1)[:, :count].float() / (deviations * len(flat) ** 0.5)
        axes = torch.where(deviations > SMALLEST_DEVIATION, axes, torch.zeros_like(axes))
        left = torch.cat([broad - (broad @ axes) @ axes.T, centred[:, self.covered :]], dim=1)
        self.means[number] = mean
        self.axes[number, :, :count] = axes
        self.deviations[number, :count] = deviations.clamp_min(SMALLEST_DEVIATION)
        self.rest[number] = left.square().mean(dim=0).sqrt().clamp_min(SMALLEST_DEVIATION)

    def forward(self, codes: torch.Tensor, time: torch.Tensor, conditions: ConditionBatch) -> torch.Tensor:
        """The Gaussian velocity of codes (N, C, H, W) at times (N,); 0 on a grid it was not made for."""
        if codes.shape[-1] != self.shape.side or codes.shape[-2] != self.shape.side:
            return torch.zeros_like(codes)
        nobody = torch.zeros(len(codes), dtype=torch.long, device=codes.device)
        group = self.group_of[conditions.words["modality"], conditions.words.get("sequence", nobody)]
        mean = self.means[group] + self.shifts[conditions.words["pathology"]]
        off = codes.flatten(1) - (1.0 - time[:, None]) * mean
        found = torch.zeros_like(off)
        for number in group.unique().tolist():
            rows = group == number
            found[rows] = self._of_group(number, off[rows], time[rows][:, None])
        return (found - mean).view_as(codes)

    def _of_group(self, number: int, off: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Velocity of codes of one group, given how far off the mean they are (N, D)."""
        axes, rest = self.axes[number], gaussian_speed(self.rest[number], time)
        along = off[:, : self.covered] @ axes
        on_axes = along @ axes.T
        broad = rest[:, : self.covered] * (off[:, : self.covered] - on_axes)
        broad = broad + (gaussian_speed(self.deviations[number], time) * along) @ axes.T
        return torch.cat([broad, rest[:, self.covered :] * off[:, self.covered :]], dim=1)


def gaussian_speed(deviation: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """Velocity along an axis for each unit off the mean."""
    variance, left = deviation.square(), 1.0 - time
    return (time - left * variance) / (left.square() * variance + time.square()).clamp_min(1e-8)


def _groups(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """(modality, sequence) of each group but the first; the sequence is empty where it is left open."""
    groups: list[tuple[str, str]] = []
    for modality in vocabulary.modality:
        sequences = vocabulary.sequence if "sequence" in (vocabulary.honoured or {}).get(modality, ()) else ()
        groups += [(modality, ""), *((modality, sequence) for sequence in sequences)]
    return groups


def _group_table(vocabulary: Vocabulary) -> torch.Tensor:
    """Numbers of modality and sequence -> number of the group."""
    table = torch.zeros(1 + len(vocabulary.modality), 1 + len(vocabulary.sequence), dtype=torch.long)
    numbers = {group: number for number, group in enumerate(_groups(vocabulary), start=1)}
    for row, modality in enumerate(vocabulary.modality, start=1):
        for column, sequence in enumerate(("", *vocabulary.sequence)):
            table[row, column] = numbers.get((modality, sequence), numbers[modality, ""])
    return table


def _belongs(one: Shown, modality: str, sequence: str) -> bool:
    return (not modality or one.modality == modality) and (not sequence or one.sequence == sequence)
