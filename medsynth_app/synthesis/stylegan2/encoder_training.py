"""Training of the encoder into w+ with the generator frozen.

Loss as in e4e (Tov 2021): squared error, perceptual distance, length of the offsets, and the latent
discriminator's opinion of every w; offsets are released one by one, from coarse to fine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from medsynth_app.synthesis.data.arrays import turned_images
from medsynth_app.synthesis.measures.features import PhotographFeatures, perceptual_distance, to_images
from medsynth_app.synthesis.stylegan2.encoder import LatentDiscriminator, MeanStart, StyleEncoder
from medsynth_app.synthesis.stylegan2.losses import logistic_pair, non_saturating
from medsynth_app.synthesis.stylegan2.network import Generator
from medsynth_app.synthesis.stylegan2.run import (
    Run,
    RunConfiguration,
    check_at_least_one,
    check_pictures,
    check_rates,
)

PENALTY_INTERVAL = 16
PENALTY_WEIGHT = 10.0


@dataclass(frozen=True)
class EncoderConfiguration(RunConfiguration):
    """One training run of the encoder.

    Attributes:
        learning_rate: peak of the encoder's Adam; falls by half a cosine to 5 %.
        latent_rate: of the latent discriminator.
        squared_error, perceptual, offset, latent: weights of the losses.
        first_release: images before the first offset is released.
        release_every: images from one release to the next.
        turn_images: show images also mirrored and in quarter turns.
    """

    learning_rate: float = 1e-3
    latent_rate: float = 1e-4
    squared_error: float = 20.0
    perceptual: float = 0.5
    offset: float = 2e-4
    latent: float = 0.02
    first_release: int = 1000
    release_every: int = 100
    turn_images: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least_one(self, ("release_every",))
        check_rates(self, ("learning_rate", "latent_rate"))

    def released_at(self, images: int, style_count: int) -> int:
        """Offsets in use after this many images."""
        if images < self.first_release:
            return 0
        return min(style_count - 1, 1 + (images - self.first_release) // self.release_every)


class EncoderTrainer(Run):
    """One run in one folder; made again with the same arguments, it goes on where it was.

    Args:
        configuration: the run.
        generator: the frozen generator.
        images: (N, C, R, R) uint8.
        folder: where ``last.pt`` and ``history.jsonl`` go.
        measure: called with the encoder at every checkpoint; its figures join the history.
        start: first guess of w, see ``StyleEncoder``; the mean w by default.

    Raises:
        InvalidValueError: images of another size, or a folder with another run.
    """

    def __init__(
        self,
        configuration: EncoderConfiguration,
        generator: Generator,
        images: np.ndarray,
        folder: Path,
        measure: Callable[[StyleEncoder], dict[str, float]] | None = None,
        start: nn.Module | None = None,
    ) -> None:
        super().__init__(configuration, folder, generator.w_mean.device)
        network = generator.configuration
        check_pictures(images, network.image_channels, network.resolution)
        self.configuration = configuration
        self.real_images = images
        self.measure = measure
        self.generator = generator.eval().requires_grad_(False)
        self.features = PhotographFeatures().to(self.device)
        torch.manual_seed(configuration.seed)
        start = start or MeanStart(generator.w_mean.mean(dim=0))
        self.encoder = StyleEncoder(
            network.image_channels, network.style_count, network.style_size, start
        ).to(self.device)
        self.judge = LatentDiscriminator(network.style_size).to(self.device)
        self.optimizer = torch.optim.Adam(
            self.encoder.learned_parameters(), configuration.learning_rate, (0.9, 0.99)
        )
        self.judge_optimizer = torch.optim.Adam(
            self.judge.parameters(), configuration.latent_rate, (0.0, 0.99)
        )
        self.take_up()

    def update(self, step: int, chance: torch.Generator) -> dict[str, float]:
        """One update of encoder and latent discriminator; returns its figures."""
        configuration = self.configuration
        share = min(1.0, self.seen / configuration.images)
        for group in self.optimizer.param_groups:
            group["lr"] = configuration.learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * share)))
        real = self._batch(chance)
        released = configuration.released_at(self.seen, self.generator.configuration.style_count)
        styles, offsets = self.encoder(real, released)
        with self.halved():
            fake = self.generator.synthesis(styles).float()
        squared = functional.mse_loss(fake, real)
        with torch.no_grad():
            real_view = self.features(real)
        perceptual = perceptual_distance(real_view, self.features(fake)).mean()
        active = styles[:, : released + 1].flatten(0, 1)
        loss = (
            configuration.squared_error * squared
            + configuration.perceptual * perceptual
            + configuration.offset * offsets.norm(dim=2).sum(dim=1).mean()
            + configuration.latent * non_saturating(self.judge(active))
        )
        self.descend(loss, self.optimizer)
        self._update_judge(active.detach(), chance, step)
        return {
            "squared_error": float(squared.detach()),
            "perceptual": float(perceptual.detach()),
            "released": float(released),
        }

    def _batch(self, chance: torch.Generator) -> torch.Tensor:
        rows = torch.randint(
            len(self.real_images), (self.configuration.batch_size,), generator=chance
        ).numpy()
        images = to_images(self.real_images[rows]).to(self.device)
        return turned_images(images, chance) if self.configuration.turn_images else images

    def _update_judge(self, encoded: torch.Tensor, chance: torch.Generator, step: int) -> None:
        """The latent discriminator sees as many w of the mapping network as of the encoder."""
        network = self.generator.configuration
        latent = torch.randn((len(encoded), network.latent_size), generator=chance).to(self.device)
        label = torch.randint(max(1, network.classes), (len(encoded),), generator=chance).to(self.device)
        with torch.no_grad():
            mapped = self.generator.mapping(latent, label if network.classes else None)
        mapped.requires_grad_(True)
        real_logits = self.judge(mapped)
        loss = logistic_pair(real_logits, self.judge(encoded))
        if step % PENALTY_INTERVAL == 0:
            (gradient,) = torch.autograd.grad(real_logits.sum(), mapped, create_graph=True)
            penalty = gradient.square().sum(dim=1).mean()
            loss = loss + 0.5 * PENALTY_WEIGHT * PENALTY_INTERVAL * penalty
        self.descend(loss, self.judge_optimizer)

    def measured(self) -> dict[str, float]:
        """What the caller measures of the encoder."""
        return {} if self.measure is None else self.measure(self.encoder)

    def state(self) -> dict[str, Any]:
        """Networks and optimizers."""
        return {
            "encoder": self.encoder.learned_state(),
            "judge": self.judge.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "judge_optimizer": self.judge_optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what ``state`` gave."""
        self.encoder.load_learned(state["encoder"])
        self.judge.load_state_dict(state["judge"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.judge_optimizer.load_state_dict(state["judge_optimizer"])
