"""Either discriminator behind one face, with the loss that belongs to it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from medsynth_app.synthesis.measures.features import PhotographFeatures
from medsynth_app.synthesis.stylegan2.configuration import TrainingConfiguration
from medsynth_app.synthesis.stylegan2.losses import (
    hinge_generator,
    hinge_pair,
    logistic_pair,
    non_saturating,
)
from medsynth_app.synthesis.stylegan2.network import Discriminator
from medsynth_app.synthesis.stylegan2.projected import ProjectedDiscriminator
from medsynth_app.synthesis.stylegan2.run import halved


class Adversary(nn.Module):
    """Either discriminator behind one face: a view of images, and a judge of views.

    Args:
        configuration: the run.
    """

    def __init__(self, configuration: TrainingConfiguration) -> None:
        super().__init__()
        network = configuration.network
        self.projected = configuration.discriminator == "projected"
        self.mixed_precision = configuration.mixed_precision
        self.mismatched = configuration.mismatched if network.classes > 1 else 0.0
        self.others = _other_classes(configuration.groups or (0,) * max(1, network.classes))
        self.features = PhotographFeatures() if self.projected else None
        self.judge_network: nn.Module = (
            ProjectedDiscriminator(network.resolution, network.classes)
            if self.projected
            else Discriminator(network)
        )
        self.trained = [p for p in self.judge_network.parameters() if p.requires_grad]

    def view(self, images: torch.Tensor) -> list[torch.Tensor]:
        """What the judge looks at: features at several depths, or the images themselves."""
        return [images] if self.features is None else self.features(images)

    def judge(self, view: list[torch.Tensor], label: torch.Tensor) -> torch.Tensor:
        """Logits (N, places), in full precision: they are differentiated twice by the gradient penalty."""
        return self.judge_network(view if self.projected else view[0], label)

    def _logits(self, view: list[torch.Tensor], label: torch.Tensor) -> torch.Tensor:
        """Logits (N, places) float32 for the losses."""
        with halved(label.device, self.mixed_precision):
            return self.judge(view, label).float()

    def generator_loss(
        self, fake: list[torch.Tensor], label: torch.Tensor, figures: dict[str, float]
    ) -> torch.Tensor:
        """Loss of the generator; the judge's weights get no gradient."""
        for parameter in self.trained:
            parameter.requires_grad_(False)
        logits = self._logits(fake, label)
        for parameter in self.trained:
            parameter.requires_grad_(True)
        loss = hinge_generator(logits) if self.projected else non_saturating(logits)
        figures["generator"] = float(loss.detach())
        return loss

    def loss(
        self,
        real: list[torch.Tensor],
        fake: list[torch.Tensor],
        label: torch.Tensor,
        chance: torch.Generator,
        figures: dict[str, float],
    ) -> tuple[torch.Tensor, float]:
        """Loss of the judge, and mean sign(D(real)) that ADA follows; wrong classes are drawn from ``chance``."""
        real_logits, fake_logits = self._logits(real, label), self._logits(fake, label)
        pair = hinge_pair if self.projected else logistic_pair
        loss = pair(real_logits, fake_logits)
        if self.mismatched:
            mistaken = pair(real_logits, self._logits(real, self._wrong(label, chance)))
            loss = (1.0 - self.mismatched) * loss + self.mismatched * mistaken
        figures["discriminator"] = float(loss.detach())
        figures["real_sign"] = float(real_logits.detach().mean(dim=1).sign().mean())
        return loss, figures["real_sign"]

    def _wrong(self, label: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
        """Another class of the same group; of any group where a class is alone in its own."""
        choices = [self.others[number] for number in label.tolist()]
        drawn = torch.rand(len(choices), generator=chance).tolist()
        wrong = [choice[int(share * len(choice))] for choice, share in zip(choices, drawn)]
        return torch.tensor(wrong, device=label.device)


def _other_classes(groups: Sequence[int]) -> list[list[int]]:
    """For each class the ones that it may be mistaken for."""
    everyone = range(len(groups))
    return [
        [other for other in everyone if other != number and groups[other] == groups[number]]
        or [other for other in everyone if other != number]
        for number in everyone
    ]
