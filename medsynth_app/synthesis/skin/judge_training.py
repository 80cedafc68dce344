"""Training of the judge on real images: minutes on a CPU, because the features are frozen."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.data.arrays import turned_images
from medsynth_app.synthesis.measures.features import pooled
from medsynth_app.synthesis.measures.pathology_classifier import fit_linear_head
from medsynth_app.synthesis.measures.quality import area_under_curve
from medsynth_app.synthesis.skin.dataset import CLASSES, Lesions
from medsynth_app.synthesis.skin.judge import LesionJudge

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JudgeConfiguration:
    """One training of the judge.

    Attributes:
        epochs: passes over the images, each in other mirrorings and quarter turns.
        batch_size: images a step of the mask head.
        learning_rate: of the mask head.
        penalty: weight of the squared weights of the melanoma head.
        seed: of order and weights.
    """

    epochs: int = 3
    batch_size: int = 16
    learning_rate: float = 2e-3
    penalty: float = 3e-2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise InvalidValueError(
                f"epochs, batch_size: {self.epochs}, {self.batch_size} must be at least 1"
            )
        if self.learning_rate <= 0 or self.penalty < 0:
            raise InvalidValueError("learning_rate must be above 0 and penalty not negative")


def train_judge(
    configuration: JudgeConfiguration,
    training: Lesions,
    on_progress: Callable[[float], None] = lambda share: None,
) -> LesionJudge:
    """The judge of these images.

    Args:
        configuration: the run.
        training: real images; the mask head learns only where they have masks.
        on_progress: called with the share done, 0..1.

    Raises:
        InvalidValueError: only one class.
    """
    if len(np.unique(training.labels)) < 2:
        raise InvalidValueError("labels: both nevi and melanomas are needed")
    torch.manual_seed(configuration.seed)
    chance = torch.Generator().manual_seed(configuration.seed)
    judge = LesionJudge()
    heads = [*judge.place.parameters(), *judge.mask.parameters()]
    optimizer = torch.optim.AdamW(heads, configuration.learning_rate)
    seen, labels = [], []
    batches = -(-len(training.images) // configuration.batch_size)
    for epoch in range(configuration.epochs):
        order = torch.randperm(len(training.images), generator=chance).numpy()
        for number in range(batches):
            rows = order[number * configuration.batch_size : (number + 1) * configuration.batch_size]
            images, masks = _batch(training, rows, chance)
            with torch.no_grad():
                view = judge.features(images)
            seen.append(pooled(view))
            labels.append(torch.from_numpy(training.labels[rows]))
            if masks is not None:
                _mask_step(judge, view, masks, optimizer)
            on_progress((epoch * batches + number + 1) / (configuration.epochs * batches))
    _fit_melanoma_head(judge, torch.cat(seen), torch.cat(labels), configuration.penalty)
    return judge.eval()


def _batch(
    lesions: Lesions, rows: np.ndarray, chance: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Images in one of the eight turns, and their masks in the same."""
    images = torch.from_numpy(lesions.images[rows]).float() / 127.5 - 1.0
    if lesions.masks is None:
        return turned_images(images, chance), None
    masks = torch.from_numpy(lesions.masks[rows]).float()[:, None]
    turned = turned_images(torch.cat([images, masks], dim=1), chance)
    return turned[:, :3], turned[:, 3:]


def _mask_step(
    judge: LesionJudge, view: list[torch.Tensor], masks: torch.Tensor, optimizer: torch.optim.Optimizer
) -> None:
    logits = judge.mask_logits(view)
    wanted = functional.interpolate(masks, size=logits.shape[-2:], mode="area").squeeze(1)
    loss = functional.binary_cross_entropy_with_logits(logits, wanted)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def _fit_melanoma_head(
    judge: LesionJudge, values: torch.Tensor, labels: torch.Tensor, penalty: float
) -> None:
    """Two-class regression as one logit: w = w_melanoma - w_nevus, whose penalty is half of both together."""
    head = fit_linear_head(values, labels, len(CLASSES), 2.0 * penalty)
    judge.center.copy_(head.center)
    judge.spread.copy_(head.spread)
    with torch.no_grad():
        judge.melanoma.weight.copy_((head.weight[1] - head.weight[0])[None])
        judge.melanoma.bias.copy_((head.bias[1] - head.bias[0])[None])


@torch.no_grad()
def judge_figures(judge: LesionJudge, lesions: Lesions, batch_size: int = 32) -> dict[str, float]:
    """Area under the ROC curve, and mean Dice of the mask at 0.5 (where there are masks), on held-out images."""
    melanoma, dices = [], []
    for start in range(0, len(lesions.images), batch_size):
        rows = slice(start, start + batch_size)
        judgement = judge(torch.from_numpy(lesions.images[rows]).float() / 127.5 - 1.0)
        melanoma.append(judgement.melanoma)
        if lesions.masks is not None:
            found, true = judgement.lesion > 0.5, torch.from_numpy(lesions.masks[rows])
            both = 2.0 * (found & true).sum(dim=(1, 2))
            dices.append(both / (found.sum(dim=(1, 2)) + true.sum(dim=(1, 2))).clamp_min(1))
    figures = {"auc": area_under_curve(torch.cat(melanoma).numpy(), lesions.labels)}
    if dices:
        figures["mask_dice"] = float(torch.cat(dices).mean())
    return figures
