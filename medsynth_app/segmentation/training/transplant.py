"""A tumour of one training case put into the brain of another: more kinds of tumour in more kinds of head.

The idea is that of CarveMix (Zhang 2021, https://arxiv.org/abs/2108.06883) and TumorCP (Yang 2021,
https://arxiv.org/abs/2107.09843). Here the tumour comes with a rim of the tissue around it, goes anywhere in the brain,
and is brought to the brightness that the tissue has there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch.nn import functional

from medsynth_app.segmentation.training.labelled_case import LabelledCase

MARGIN = 8
"""Voxels about a tumour's box that are looked at."""
RIM = (1, 5)
"""Fewest and most voxels of tissue around a tumour that come with it."""
SMALLEST_TUMOR = 50
"""Voxels; a smaller one is not worth moving."""
TRIES = 100
KEPT = 256
"""Cases whose tumours stay cut out."""


def with_foreign_tumor(
    case: LabelledCase, cases: Sequence[LabelledCase], generator: torch.Generator
) -> LabelledCase:
    """The case with the tumour of another one added.

    Args:
        case: gets the tumour; not changed.
        cases: one of those that have every sequence of ``case`` gives it.
        generator: what chance is drawn from.

    Returns:
        a new case, or the same where no other can give a tumour.
    """
    present = _present(case)
    donors = [
        other for other in cases
        if other.name != case.name
        and bool((_present(other) | ~present).all())
        and _size(other) >= SMALLEST_TUMOR
    ]  # fmt: skip
    if not donors:
        return case
    donor = donors[int(torch.randint(len(donors), (), generator=generator))]
    image, label = _tumor_of(donor)
    if float(torch.rand((), generator=generator)) < 0.5:
        image, label = image.flip(1), label.flip(0)
    image = image * present[:, None, None, None]
    start = _place(case, label.shape, generator)
    return _put(case, image, label, start, int(torch.randint(*RIM, (), generator=generator)))


@lru_cache(KEPT)
def _present(case: LabelledCase) -> torch.Tensor:
    """Which sequences a case has, (C,) bool."""
    return case.image.flatten(1).any(dim=1)


@lru_cache(KEPT)
def _tumor_of(case: LabelledCase) -> tuple[torch.Tensor, torch.Tensor]:
    """The box about a tumour: image (C, x, y, z) float32, label (x, y, z) uint8."""
    voxels = torch.nonzero(case.label > 0)
    low = (voxels.amin(0) - MARGIN).clamp(min=0)
    high = torch.minimum(voxels.amax(0) + MARGIN + 1, torch.tensor(case.label.shape))
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high))
    return case.image[:, x, y, z].float(), case.label[x, y, z]


@lru_cache(KEPT)
def _size(case: LabelledCase) -> int:
    return int((case.label > 0).sum())


def _place(case: LabelledCase, shape: Sequence[int], generator: torch.Generator) -> list[int]:
    """Where the box starts in the case, so that its middle is in the brain; may be outside the array."""
    middle = [0, 0, 0]
    for _ in range(TRIES):
        middle = [int(torch.randint(side, (), generator=generator)) for side in case.label.shape]
        if bool(case.image[:, middle[0], middle[1], middle[2]].any()):
            break
    return [int(m) - side // 2 for m, side in zip(middle, shape)]


def _put(
    case: LabelledCase, image: torch.Tensor, label: torch.Tensor, start: list[int], rim: int
) -> LabelledCase:
    there, here = [], []
    for first, side, whole in zip(start, label.shape, case.label.shape):
        low, high = max(first, 0), min(first + side, whole)
        there.append(slice(low, high))
        here.append(slice(low - first, high - first))
    image, label = image[:, here[0], here[1], here[2]], label[tuple(here)]
    target = case.image[:, there[0], there[1], there[2]].float()
    both_brain = image.any(dim=0) & target.any(dim=0)
    weight = _dilated(label > 0, rim) * both_brain
    outside = (_dilated(label > 0, rim + 3) > 0) & (weight == 0) & both_brain
    if int(outside.sum()) < SMALLEST_TUMOR:  # nothing to tell the brightness by
        return case
    shift = (target[:, outside].mean(dim=1) - image[:, outside].mean(dim=1))[:, None, None, None]
    soft = functional.avg_pool3d(weight[None, None], 3, stride=1, padding=1)[0, 0] * both_brain
    mixed = soft * (image + shift) + (1 - soft) * target
    mixed[~_present(case)] = 0
    new_image, new_label = case.image.clone(), case.label.clone()
    new_image[:, there[0], there[1], there[2]] = mixed.half()
    new_label[tuple(there)] = torch.where(weight > 0, label, new_label[tuple(there)])
    return LabelledCase(case.name, new_image, new_label)


def _dilated(mask: torch.Tensor, voxels: int) -> torch.Tensor:
    """Float, 1 within some voxels of the mask."""
    grown = mask.float()[None, None]
    for _ in range(voxels):
        grown = functional.max_pool3d(grown, 3, stride=1, padding=1)
    return grown[0, 0]
