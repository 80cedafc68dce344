"""Training of the StyleGAN2 generator.

Two teachers can be chosen. ``stylegan2`` is the residual discriminator with R1 and path length regularisation, as
published; it needs hundreds of thousands of images. ``projected`` judges features of a network trained on
photographs and learns from tens of thousands. Either may be guided: half of a batch are the latents of real
images (see ``principal_latents``), whose pictures the generator must also reproduce. That keeps the real images
in its range and gives it a start within minutes on a CPU.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.data.arrays import turned_images
from medsynth_app.synthesis.measures.features import perceptual_distance, to_images
from medsynth_app.synthesis.measures.reconstruction_losses import edge_loss, medical_squared_error
from medsynth_app.synthesis.stylegan2.adversary import Adversary
from medsynth_app.synthesis.stylegan2.augmentation import Changes, apply_changes, draw_changes
from medsynth_app.synthesis.stylegan2.configuration import GuideConfiguration, TrainingConfiguration
from medsynth_app.synthesis.stylegan2.losses import PathLength, gradient_penalty
from medsynth_app.synthesis.stylegan2.network import Generator
from medsynth_app.synthesis.stylegan2.principal_latents import FITTED_SIDE, PrincipalLatents
from medsynth_app.synthesis.stylegan2.run import Run, check_pictures

PENALTY_INTERVAL = 16
PATH_INTERVAL = 4
ADAPTATION_INTERVAL = 4
GUIDED_MOMENTUM = 0.9
PART_SIZE = 16
"""Images turned alike where the principal components are fitted."""

Measure = Callable[[Generator], dict[str, float]]


class Trainer(Run):
    """One run in one folder; made again with the same arguments, it goes on where it was.

    Args:
        configuration: the run.
        images: (N, C, R, R) uint8, the training images at the network's resolution.
        labels: (N,) class numbers; None for an unconditional network.
        folder: where checkpoints go.
        measure: called with the averaged generator at every checkpoint; its figures join the history.
        device: ``cuda`` where there is one by default.
        lesions: (N, R, R) bool, where the lesion is in each image; None where nobody knows.

    Raises:
        InvalidValueError: images of another size, missing labels, or a folder with another run.
    """

    may_change = ("images", "store_every")

    def __init__(
        self,
        configuration: TrainingConfiguration,
        images: np.ndarray,
        labels: np.ndarray | None,
        folder: Path,
        measure: Measure | None = None,
        device: str | None = None,
        lesions: np.ndarray | None = None,
    ) -> None:
        where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        super().__init__(configuration, folder, where)
        _check_collection(configuration, images, labels)
        self.configuration = configuration
        self.real_images = images
        self.labels = np.zeros(len(images), dtype=np.int64) if labels is None else labels.astype(np.int64)
        self.lesions = lesions
        self.measure = measure
        torch.manual_seed(configuration.seed)
        # Channels last: a third faster on a CPU.
        self.generator = Generator(configuration.network).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.adversary = Adversary(configuration).to(self.device)
        self._weights_of_classes = _class_weights(self.labels, configuration.balance)
        self.principal = self._new_principal_latents()
        self.path = PathLength().to(self.device)
        self.augmentation = configuration.new_augmentation()
        self.optimizers = self._new_optimizers()
        self.take_up()

    def _new_principal_latents(self) -> PrincipalLatents | None:
        """Fitted to the collection, also when a run is taken up again; None without a guide."""
        network = self.configuration.network
        if self.configuration.guide is None:
            return None
        principal = PrincipalLatents(network.latent_size, network.image_channels, max(1, network.classes))
        chance = torch.Generator().manual_seed(self.configuration.seed)
        small = []
        for part in np.array_split(self.real_images, max(1, len(self.real_images) // PART_SIZE)):
            turned = self._turned(to_images(part), chance)
            small.append(functional.interpolate(turned, size=FITTED_SIDE, mode="area"))
        labels = torch.from_numpy(self.labels)
        spreads = principal.fit(torch.cat(small), labels, self._weights_of_classes, self.configuration.seed)
        if network.class_spreads:
            for mapping in (self.generator.mapping, self.average.mapping):
                mapping.spreads.copy_(spreads)
        return principal.to(self.device)

    def _turned(self, images: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
        return turned_images(images, chance) if self.configuration.turn_images else images

    def _new_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        configuration = self.configuration
        generator = list(self.generator.parameters())
        return {
            "generator": torch.optim.Adam(
                generator, configuration.generator_rate, (configuration.momentum, 0.99)
            ),
            "discriminator": torch.optim.Adam(
                self.adversary.trained, configuration.discriminator_rate, (0.0, 0.99)
            ),
        }

    def update(self, step: int, chance: torch.Generator) -> dict[str, float]:
        """One update of generator and discriminator; returns its figures."""
        configuration, guide = self.configuration, self.configuration.guide
        side = configuration.resolution_at(self.seen)
        real, lesion, label = self._batch(chance, side)
        adversarial = guide is None or self.seen >= guide.images
        guided = 0 if guide is None else (len(real) // 2 if adversarial else len(real))
        figures: dict[str, float] = {}

        latent = self._latents(real, label, guided, chance)
        styles = self._styles(latent, label, guided, chance)
        with self.halved():
            fake = self.generator.synthesis(styles, chance, side).float()
        changes = self._changes(len(real), chance)
        loss = torch.zeros((), device=self.device)
        if guide is not None:
            loss = loss + _guide_loss(guide, real[:guided], fake[:guided], lesion[:guided], figures)
        if adversarial:
            fake_view = self.adversary.view(apply_changes(fake, changes))
            with torch.no_grad():
                real_view = self.adversary.view(apply_changes(real, changes))
            loss = loss + self.adversary.generator_loss(fake_view, label, figures)
            if guide is not None and self.adversary.projected:
                loss = loss + guide.perceptual * _perceptual(real_view, fake_view, guided, figures)
        self._set_pace(configuration.momentum if adversarial else GUIDED_MOMENTUM)
        self.descend(loss, self.optimizers["generator"])
        if adversarial:
            self._update_adversary(real, real_view, fake_view, label, changes, step, chance, figures)
            self._regularise_path(label, step, side, chance)
        self._update_average()
        figures["augmentation"] = self.augmentation.probability
        return figures

    def _changes(self, count: int, chance: torch.Generator) -> Changes:
        configuration = self.configuration
        names = configuration.augmentations or None
        channels = configuration.network.image_channels
        return draw_changes(count, self.augmentation.probability, channels, chance, names)

    def _batch(self, chance: torch.Generator, side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Real images (n, C, side, side) in -1..1, where their lesions are (n, 1, side, side), and their classes."""
        rows = torch.multinomial(
            self._weights_of_classes, self.configuration.batch_size, replacement=True, generator=chance
        ).numpy()
        images = to_images(self.real_images[rows])
        lesions = torch.zeros_like(images[:, :1])
        if self.lesions is not None:
            lesions[:, 0] = torch.from_numpy(self.lesions[rows])
        both = self._turned(torch.cat([images, lesions], dim=1).to(self.device), chance)
        if side != both.shape[-1]:
            both = functional.interpolate(both, size=side, mode="area")
        return both[:, :-1], both[:, -1:], torch.from_numpy(self.labels[rows]).to(self.device)

    def _latents(
        self, real: torch.Tensor, label: torch.Tensor, guided: int, chance: torch.Generator
    ) -> torch.Tensor:
        """Spread z (n, Z): of the first ``guided`` images their own, the others drawn."""
        shape = (len(real), self.configuration.network.latent_size)
        drawn = self.generator.mapping.spread(torch.randn(shape, generator=chance).to(self.device), label)
        if self.principal is None:
            return drawn
        return torch.cat([self.principal(real[:guided], label[:guided]), drawn[guided:]])

    def _styles(
        self, latent: torch.Tensor, label: torch.Tensor, guided: int, chance: torch.Generator
    ) -> torch.Tensor:
        """w+ (n, L, W), drawn pictures with style mixing; keeps the running mean of w."""
        w = self.generator.mapping.styles_of(latent, label)
        self._update_mean_style(w.detach(), label)
        styles = self.generator.repeat(w)
        drawn = len(w) - guided
        if drawn > 1 and torch.rand((), generator=chance) < self.configuration.style_mixing:
            crossing = int(torch.randint(1, styles.shape[1], (), generator=chance))
            other = torch.cat([styles[:guided], styles[guided:].roll(1, dims=0)])
            styles = torch.cat([styles[:, :crossing], other[:, crossing:]], dim=1)
        return styles

    @torch.no_grad()
    def _update_mean_style(self, w: torch.Tensor, label: torch.Tensor) -> None:
        if not self.configuration.network.classes:
            self.generator.w_mean[0].lerp_(w.mean(dim=0), 0.005)
            return
        for number in label.unique():
            self.generator.w_mean[number].lerp_(w[label == number].mean(dim=0), 0.005)

    def _update_adversary(
        self,
        real: torch.Tensor,
        real_view: list[torch.Tensor],
        fake_view: list[torch.Tensor],
        label: torch.Tensor,
        changes: Changes,
        step: int,
        chance: torch.Generator,
        figures: dict[str, float],
    ) -> None:
        configuration = self.configuration
        judged = [values.detach() for values in fake_view]
        loss, sign = self.adversary.loss(real_view, judged, label, chance, figures)
        gamma = configuration.penalty_weight_at(real.shape[-1])
        if gamma and step % PENALTY_INTERVAL == 0:
            # At the augmented images, which are what the judge is given: sampling has no second derivative.
            shown = apply_changes(real, changes).detach().requires_grad_(True)
            penalty = gradient_penalty(shown, self.adversary.judge(self.adversary.view(shown), label))
            loss = loss + 0.5 * gamma * PENALTY_INTERVAL * penalty
            figures["r1"] = float(penalty.detach())
        self.descend(loss, self.optimizers["discriminator"])
        if step % ADAPTATION_INTERVAL == 0:
            self.augmentation.update(sign, configuration.batch_size * ADAPTATION_INTERVAL)

    def _regularise_path(self, label: torch.Tensor, step: int, side: int, chance: torch.Generator) -> None:
        weight = self.configuration.path_length
        if not weight or step % PATH_INTERVAL:
            return
        count = max(1, self.configuration.batch_size // 2)
        latent = torch.randn((count, self.configuration.network.latent_size), generator=chance).to(
            self.device
        )
        styles = self.generator.repeat(self.generator.mapping(latent, label[:count]))
        images = self.generator.synthesis(styles, chance, side)
        noise = torch.randn(images.shape, generator=chance).to(self.device)
        penalty = self.path(images, styles, noise)
        self.descend(weight * PATH_INTERVAL * penalty, self.optimizers["generator"])

    def _set_pace(self, momentum: float) -> None:
        """Plain regression takes more momentum than a game of two networks; towards the end both cool down."""
        configuration = self.configuration
        factor = configuration.rate_factor_at(self.seen)
        for group in self.optimizers["generator"].param_groups:
            group["betas"] = (momentum, 0.99)
            group["lr"] = factor * configuration.generator_rate
        for group in self.optimizers["discriminator"].param_groups:
            group["lr"] = factor * configuration.discriminator_rate

    @torch.no_grad()
    def _update_average(self) -> None:
        """Moving average with the paper's ramp: early steps do not linger."""
        half_life = min(self.configuration.average_images, 0.05 * self.seen + self.configuration.batch_size)
        decay = 0.5 ** (self.configuration.batch_size / half_life)
        for average, current in zip(self.average.parameters(), self.generator.parameters()):
            average.lerp_(current, 1 - decay)
        self.average.w_mean.copy_(self.generator.w_mean)

    def measured(self) -> dict[str, float]:
        """What the caller measures of the averaged generator."""
        return {} if self.measure is None else self.measure(self.average)

    def state(self) -> dict[str, Any]:
        """Networks, optimizers, and ADA's probability."""
        return {
            "probability": self.augmentation.probability,
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "adversary": self.adversary.judge_network.state_dict(),
            "path": self.path.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what ``state`` gave."""
        self.generator.load_state_dict(state["generator"])
        self.average.load_state_dict(state["average"])
        self.adversary.judge_network.load_state_dict(state["adversary"])
        self.path.load_state_dict(state["path"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.augmentation.probability = state["probability"]


def _guide_loss(
    guide: GuideConfiguration,
    real: torch.Tensor,
    fake: torch.Tensor,
    lesion: torch.Tensor,
    figures: dict[str, float],
) -> torch.Tensor:
    """Squared error and edges of the reproduced images."""
    # The two losses take images in 0..1: their squared error is a quarter of that in -1..1.
    made, wanted = (0.5 * (images + 1.0) for images in (fake, real))
    squared = 4.0 * medical_squared_error(made, wanted, guide.region, lesion, guide.lesion)
    figures["squared_error"] = float(squared.detach())
    loss = guide.squared_error * squared
    if guide.edge:
        edge = edge_loss(made, wanted)
        figures["edge"] = float(edge.detach())
        loss = loss + guide.edge * edge
    return loss


def _perceptual(
    real_view: list[torch.Tensor], fake_view: list[torch.Tensor], guided: int, figures: dict[str, float]
) -> torch.Tensor:
    """Perceptual distance of the encoded images; both views passed the same augmentation, so they compare."""
    distance = perceptual_distance(
        [values[:guided] for values in real_view], [values[:guided] for values in fake_view]
    ).mean()
    figures["perceptual"] = float(distance.detach())
    return distance


def _check_collection(
    configuration: TrainingConfiguration, images: np.ndarray, labels: np.ndarray | None
) -> None:
    network = configuration.network
    check_pictures(images, network.image_channels, network.resolution)
    if len(images) < configuration.batch_size:
        raise InvalidValueError(f"images: {len(images)} are fewer than a batch of {configuration.batch_size}")
    if network.classes and (labels is None or len(labels) != len(images)):
        raise InvalidValueError("labels: a class-conditional training needs one class number per image")
    if network.classes and labels is not None and not 0 <= labels.min() <= labels.max() < network.classes:
        raise InvalidValueError(f"labels: class numbers must be 0 to {network.classes - 1}")


def _class_weights(labels: np.ndarray, balance: float) -> torch.Tensor:
    """Weight of each image so that a class is drawn with its count to the power 1 - balance."""
    counts = np.bincount(labels)
    return torch.from_numpy(counts[labels].astype(np.float64) ** -balance)
