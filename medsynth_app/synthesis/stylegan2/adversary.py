"""Either discriminator behind one face, with the loss that belongs to it."""

from __future__ import annotations

import torch
from torch import nn

from medsynth_app.synthesis.features import PhotographFeatures
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
        self.classes = network.classes
        self.mixed_precision = configuration.mixed_precision
        self.mismatched = configuration.mismatched if network.classes > 1 else 0.0
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
        with halved(label.device.type, self.mixed_precision):
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
        figures: dict[str, float],
    ) -> tuple[torch.Tensor, float]:
        """Loss of the judge, and mean sign(D(real)) that ADA follows."""
        real_logits, fake_logits = self._logits(real, label), self._logits(fake, label)
        pair = hinge_pair if self.projected else logistic_pair
        loss = pair(real_logits, fake_logits)
        if self.mismatched:
            mistaken = pair(real_logits, self._logits(real, self._wrong(label)))
            loss = (1.0 - self.mismatched) * loss + self.mismatched * mistaken
        figures["discriminator"] = float(loss.detach())
        figures["real_sign"] = float(real_logits.detach().mean(dim=1).sign().mean())
        return loss, figures["real_sign"]

    def _wrong(self, label: torch.Tensor) -> torch.Tensor:
        """The next or the last class, by turns: where classes are sorted, mostly a pathology of the same modality."""
        side = 1 - 2 * (torch.arange(len(label), device=label.device) % 2)
        return (label + side) % self.classes
