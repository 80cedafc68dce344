"""Training losses, by name. Each takes logits (N, 4, X, Y, Z) and labels (N, X, Y, Z) with values 0..3.

All also take ``CORE_OF_UNKNOWN_KIND``, in patches whose sequences do not tell which kind of core it is: for
``region_dice_ce`` either kind is right there, the others take it for necrotic core.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from monai.losses import DiceCELoss, DiceLoss, FocalLoss
from torch import nn
from torch.nn import functional

from medsynth_app.errors import InvalidValueError
from medsynth_app.vocabulary import TumorLabel, TumorRegion

CORE_OF_UNKNOWN_KIND = 4
"""Value of a training label: necrotic core or enhancing tumour. Either answer is right there."""

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class RegionDiceCrossEntropy(nn.Module):
    """Cross-entropy over the classes plus soft Dice over the regions that BraTS scores.

    The probability of a region is the sum of the softmax probabilities of its labels, so the network keeps
    one exclusive label a voxel while the nested regions WT, TC, ET are what is optimised (the idea of
    region-based training, Isensee 2020, "nnU-Net for brain tumor segmentation").
    """

    smoothing = 1e-5

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean loss over the batch."""
        log_probabilities = torch.log_softmax(logits.float(), dim=1)
        core = torch.logaddexp(
            log_probabilities[:, TumorLabel.NECROTIC_CORE], log_probabilities[:, TumorLabel.ENHANCING_TUMOR]
        )
        cross_entropy = functional.nll_loss(torch.cat((log_probabilities, core[:, None]), dim=1), labels)
        probabilities = log_probabilities.exp()
        known = (labels != CORE_OF_UNKNOWN_KIND).float()
        losses = []
        for region in TumorRegion:
            predicted = probabilities[:, list(region.labels)].sum(dim=1)
            values = (*region.labels, CORE_OF_UNKNOWN_KIND)
            if region is TumorRegion.ENHANCING_TUMOR:
                predicted, values = predicted * known, region.labels
            wanted = torch.isin(labels, labels.new_tensor(values)).float()
            # Dice over the whole batch: a patch without the region does not make the loss jump.
            overlap = 2 * (predicted * wanted).sum()
            total = predicted.sum() + wanted.sum()
            losses.append(1 - (overlap + self.smoothing) / (total + self.smoothing))
        return cross_entropy + torch.stack(losses).mean()


class _OneHotTarget(nn.Module):
    """Adapts a MONAI loss, which wants a channel axis on the labels and full precision."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean loss over the batch."""
        labels = labels.where(labels != CORE_OF_UNKNOWN_KIND, labels.new_tensor(int(TumorLabel.NECROTIC_CORE)))
        return self.loss(logits.float(), labels[:, None])


class _DiceFocal(nn.Module):
    """Dice plus focal loss, both of the softmax (MONAI's own sum takes the sigmoid for its focal part)."""

    def __init__(self) -> None:
        super().__init__()
        self.dice, self.focal = LOSSES["dice"](), LOSSES["focal"]()

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean loss over the batch."""
        return self.dice(logits, labels) + self.focal(logits, labels)


LOSSES: dict[str, Callable[[], Loss]] = {
    "dice": lambda: _OneHotTarget(DiceLoss(to_onehot_y=True, softmax=True, include_background=False)),
    "focal": lambda: _OneHotTarget(FocalLoss(to_onehot_y=True, use_softmax=True)),
    "dice_focal": _DiceFocal,
    "dice_ce": lambda: _OneHotTarget(DiceCELoss(to_onehot_y=True, softmax=True, include_background=False)),
    "region_dice_ce": RegionDiceCrossEntropy,
}


def build_loss(name: str) -> Loss:
    """The loss of that name.

    Raises:
        InvalidValueError: unknown name; the message lists the known ones.
    """
    if name not in LOSSES:
        raise InvalidValueError(f"loss: unknown name {name!r}, known: {', '.join(LOSSES)}")
    return LOSSES[name]()
