"""Training of the StyleGAN2 generator: resumable, deterministic by seed, one record of settings.

Two teachers can be chosen. ``stylegan2`` is the residual discriminator with R1 and path length regularisation, as
published; it needs hundreds of thousands of images. ``projected`` judges features of a network trained on
photographs and learns from tens of thousands. Either may be guided: half of a batch are the latents of real
images (see ``principal_latents``), whose pictures the generator must also reproduce. That keeps the real images
in its range and gives it a start within minutes on a CPU.

A run writes into one folder: ``last.pt`` (all that is needed to go on) and ``history.jsonl`` (a line a
checkpoint).
"""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.synthesis.stylegan2.augmentation import (
    AdaptiveProbability,
    Changes,
    apply_changes,
    draw_changes,
)
from medsynth_app.synthesis.stylegan2.losses import (
    PathLength,
    gradient_penalty,
    hinge_generator,
    hinge_pair,
    logistic_pair,
    non_saturating,
)
from medsynth_app.synthesis.stylegan2.network import Discriminator, Generator, StyleGAN2Configuration
from medsynth_app.synthesis.stylegan2.principal_latents import FITTED_SIDE, PrincipalLatents
from medsynth_app.synthesis.stylegan2.projected import (
    PhotographFeatures,
    ProjectedDiscriminator,
    perceptual_distance,
)
from medsynth_app.synthesis.stylegan2.transforms import turned_images

logger = logging.getLogger(__name__)

DISCRIMINATORS = ("projected", "stylegan2")
PENALTY_INTERVAL = 16
PATH_INTERVAL = 4
ADAPTATION_INTERVAL = 4
LOWEST_GUIDED_RESOLUTION = 32
GUIDED_MOMENTUM = 0.9
LARGEST_GRADIENT = 100.0
PART_SIZE = 16
"""Images turned alike where the principal components are fitted."""


@dataclass(frozen=True)
class GuideConfiguration:
    """How the generator is guided by reconstruction.

    Attributes:
        images: images in which it only reconstructs, before the discriminator joins.
        squared_error: weight of the mean squared error (images in -1..1).
        perceptual: weight of the perceptual distance, once the discriminator has joined; ``projected`` only.
    """

    images: int = 8000
    squared_error: float = 20.0
    perceptual: float = 0.5


@dataclass(frozen=True)
class TrainingConfiguration:
    """One training run of the generator.

    Attributes:
        network: shape of generator and discriminator.
        discriminator: ``projected`` or ``stylegan2``.
        guide: reconstruction beside the adversary; None = none, as published.
        images: real images shown in all.
        batch_size: of reals and of fakes, even.
        generator_rate, discriminator_rate: Adam's learning rates.
        momentum: Adam's first beta of the generator once the discriminator has joined; 0 as published.
        balance: 0 draws classes as often as they occur, 1 equally often.
        style_mixing: probability that a picture is made of two w.
        r1: weight gamma of R1; None = 0.0002 * resolution^2 / batch_size. Only for ``stylegan2``.
        path_length: weight of the path length penalty; 0 = off.
        augmentation_target: see ``AdaptiveProbability``; None switches ADA off.
        augmentation_images: images until p may have gone from 0 to 1.
        growth: (resolution, images from which it is trained) pairs, ascending, for progressive growing; empty =
            the whole network from the start.
        average_images: half-life of the moving average of the weights, in images.
        turn_images: show reals also mirrored and in quarter turns, for pictures without a natural upright.
        store_every: images between checkpoints.
        seed: of weights, order, latents and noise.

    Raises:
        InvalidValueError: a value that is not allowed, named.
    """

    network: StyleGAN2Configuration = field(default_factory=StyleGAN2Configuration)
    discriminator: str = "projected"
    guide: GuideConfiguration | None = field(default_factory=GuideConfiguration)
    images: int = 200_000
    batch_size: int = 8
    generator_rate: float = 4e-3
    discriminator_rate: float = 4e-4
    momentum: float = 0.5
    balance: float = 0.5
    style_mixing: float = 0.3
    r1: float | None = None
    path_length: float = 0.0
    augmentation_target: float | None = 0.6
    augmentation_images: int = 100_000
    growth: tuple[tuple[int, int], ...] = ()
    average_images: int = 4000
    turn_images: bool = True
    store_every: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.discriminator not in DISCRIMINATORS:
            raise InvalidValueError(
                f"discriminator: {self.discriminator!r} must be one of {', '.join(DISCRIMINATORS)}"
            )
        if self.batch_size < 2 or self.batch_size % 2:
            raise InvalidValueError(f"batch_size: {self.batch_size} must be even and at least 2")
        for name in ("images", "store_every", "average_images", "augmentation_images"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"{name}: {getattr(self, name)} must be at least 1")
        for name in ("balance", "style_mixing", "momentum"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidValueError(f"{name}: {getattr(self, name)} must be between 0 and 1")
        for name in ("generator_rate", "discriminator_rate"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise InvalidValueError(f"{name}: {getattr(self, name)} must be between 0 and 1")
        smallest = self.network.resolution
        if (self.guide or self.discriminator == "projected") and smallest < LOWEST_GUIDED_RESOLUTION:
            raise InvalidValueError(
                f"resolution: {smallest} is too small for a guide or the projected discriminator; "
                f"at least {LOWEST_GUIDED_RESOLUTION} is needed"
            )
        self._check_growth()

    def _check_growth(self) -> None:
        if not self.growth:
            return
        sides = [side for side, _ in self.growth]
        starts = [start for _, start in self.growth]
        known = all(side in self.network.resolutions for side in sides)
        if not known or sides != sorted(sides) or starts != sorted(starts) or starts[0] != 0:
            raise InvalidValueError(
                f"growth: {self.growth} must be pairs of resolution and first image, ascending from image 0"
            )
        if sides[-1] != self.network.resolution:
            raise InvalidValueError(
                f"growth: the last resolution {sides[-1]} must be the network's, {self.network.resolution}"
            )

    def resolution_at(self, images: int) -> int:
        """Side that is trained after this many images."""
        side = self.network.resolution
        for resolution, start in self.growth:
            if images >= start:
                side = resolution
        return side


@dataclass(frozen=True)
class Progress:
    """What a running training tells.

    Attributes:
        images / total: real images shown / in all.
        figures: means since the last report (losses, p).
        seconds_left: estimate.
    """

    images: int
    total: int
    figures: dict[str, float]
    seconds_left: float


Measure = Callable[[Generator], dict[str, float]]


class Trainer:
    """One run in one folder; made again with the same arguments, it goes on where it was.

    Args:
        configuration: the run.
        images: (N, C, R, R) uint8, the training images at the network's resolution.
        labels: (N,) class numbers; None for an unconditional network.
        folder: where checkpoints go.
        measure: called with the averaged generator at every checkpoint; its figures join the history.
        device: ``cuda`` where there is one by default.

    Raises:
        InvalidValueError: images of another size, missing labels, or a folder with another run.
    """

    def __init__(
        self,
        configuration: TrainingConfiguration,
        images: np.ndarray,
        labels: np.ndarray | None,
        folder: Path,
        measure: Measure | None = None,
        device: str | None = None,
    ) -> None:
        _check_images(configuration, images, labels)
        self.configuration = configuration
        self.real_images = images
        self.labels = np.zeros(len(images), dtype=np.int64) if labels is None else labels.astype(np.int64)
        self.folder = folder
        self.measure = measure
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.manual_seed(configuration.seed)
        network = configuration.network
        self.generator = Generator(network).to(self.device)
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.adversary = Adversary(configuration).to(self.device)
        self.principal = self._new_principal_latents()
        self.path = PathLength().to(self.device)
        self.augmentation = _augmentation(configuration)
        self.optimizers = self._new_optimizers()
        self.seen = 0
        self.history: list[dict[str, float]] = []
        self._weights_of_classes = _class_weights(self.labels, configuration.balance)
        folder.mkdir(parents=True, exist_ok=True)
        if self._checkpoint.exists():
            self._resume()

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "last.pt"

    def _new_principal_latents(self) -> PrincipalLatents | None:
        """Fitted to the collection, also when a run is taken up again; None without a guide."""
        network = self.configuration.network
        if self.configuration.guide is None:
            return None
        principal = PrincipalLatents(network.latent_size, network.image_channels)
        chance = torch.Generator().manual_seed(self.configuration.seed)
        small = []
        for part in np.array_split(self.real_images, max(1, len(self.real_images) // PART_SIZE)):
            images = torch.from_numpy(part).float() / 127.5 - 1.0
            small.append(functional.interpolate(self._turned(images, chance), size=FITTED_SIDE, mode="area"))
        principal.fit(torch.cat(small), self.configuration.seed)
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

    def run(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train until the end or ``should_stop``; the state is stored on the way and at the end."""
        configuration = self.configuration
        begin, first = time.monotonic(), self.seen
        collected: list[dict[str, float]] = []
        while self.seen < configuration.images and not should_stop():
            collected.append(self._update())
            before, self.seen = self.seen, self.seen + configuration.batch_size
            if on_progress and len(collected) % 10 == 0:
                pace = (time.monotonic() - begin) / (self.seen - first)
                left = pace * (configuration.images - self.seen)
                on_progress(Progress(self.seen, configuration.images, _means(collected[-10:]), left))
            if before // configuration.store_every != self.seen // configuration.store_every:
                self._store(_means(collected))
                collected.clear()
        if collected:
            self._store(_means(collected))

    def _update(self) -> dict[str, float]:
        """One update of all networks; returns its figures."""
        configuration, guide = self.configuration, self.configuration.guide
        step = self.seen // configuration.batch_size
        chance = torch.Generator().manual_seed(configuration.seed * 1_000_003 + step)
        side = configuration.resolution_at(self.seen)
        real, label = self._batch(chance, side)
        adversarial = guide is None or self.seen >= guide.images
        guided = 0 if guide is None else (len(real) // 2 if adversarial else len(real))
        figures: dict[str, float] = {}

        latent = self._latents(real, guided, chance)
        styles = self._styles(latent, label, guided, chance)
        fake = self.generator.synthesis(styles, chance, side)
        changes = draw_changes(
            len(real), self.augmentation.probability, configuration.network.image_channels, chance
        )
        loss = torch.zeros((), device=self.device)
        if guide is not None:
            loss = loss + _guide_loss(guide, real[:guided], fake[:guided], figures)
        if adversarial:
            fake_view = self.adversary.view(apply_changes(fake, changes))
            with torch.no_grad():
                real_view = self.adversary.view(apply_changes(real, changes))
            loss = loss + self.adversary.generator_loss(fake_view, label, figures)
            if guide is not None and self.adversary.projected:
                loss = loss + guide.perceptual * _perceptual(real_view, fake_view, guided, figures)
        self._set_momentum(configuration.momentum if adversarial else GUIDED_MOMENTUM)
        self._step(loss, "generator")
        if adversarial:
            self._update_adversary(real, real_view, fake_view, label, changes, step, figures)
            self._regularise_path(label, step, side, chance)
        self._update_average()
        figures["augmentation"] = self.augmentation.probability
        return figures

    def _batch(self, chance: torch.Generator, side: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Real images (n, C, side, side) in -1..1 and their classes."""
        rows = torch.multinomial(
            self._weights_of_classes, self.configuration.batch_size, replacement=True, generator=chance
        ).numpy()
        images = torch.from_numpy(self.real_images[rows]).to(self.device).float() / 127.5 - 1.0
        images = self._turned(images, chance)
        if side != images.shape[-1]:
            images = functional.interpolate(images, size=side, mode="area")
        return images, torch.from_numpy(self.labels[rows]).to(self.device)

    def _latents(self, real: torch.Tensor, guided: int, chance: torch.Generator) -> torch.Tensor:
        """z (n, Z): of the first ``guided`` images their own, the others drawn."""
        shape = (len(real), self.configuration.network.latent_size)
        drawn = torch.randn(shape, generator=chance).to(self.device)
        if self.principal is None:
            return drawn
        return torch.cat([self.principal(real[:guided]), drawn[guided:]])

    def _styles(
        self, latent: torch.Tensor, label: torch.Tensor, guided: int, chance: torch.Generator
    ) -> torch.Tensor:
        """w+ (n, L, W), drawn pictures with style mixing; keeps the running mean of w."""
        w = self.generator.mapping(latent, label)
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
        figures: dict[str, float],
    ) -> None:
        configuration = self.configuration
        loss, sign = self.adversary.loss(real_view, [values.detach() for values in fake_view], label, figures)
        gamma = _penalty_weight(configuration, real.shape[-1])
        if gamma and step % PENALTY_INTERVAL == 0:
            # At the augmented images, which are what the judge is given: sampling has no second derivative.
            shown = apply_changes(real, changes).detach().requires_grad_(True)
            penalty = gradient_penalty(shown, self.adversary.judge(self.adversary.view(shown), label))
            loss = loss + 0.5 * gamma * PENALTY_INTERVAL * penalty
            figures["r1"] = float(penalty.detach())
        self._step(loss, "discriminator")
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
        self._step(weight * PATH_INTERVAL * penalty, "generator")

    def _set_momentum(self, momentum: float) -> None:
        """Plain regression takes more momentum than a game of two networks."""
        for group in self.optimizers["generator"].param_groups:
            group["betas"] = (momentum, 0.99)

    def _step(self, loss: torch.Tensor, name: str) -> None:
        """One optimizer step of a network; a step without a finite gradient is left out."""
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if torch.isfinite(nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)):
            optimizer.step()

    @torch.no_grad()
    def _update_average(self) -> None:
        """Moving average with the paper's ramp: early steps do not linger."""
        half_life = min(self.configuration.average_images, 0.05 * self.seen + self.configuration.batch_size)
        decay = 0.5 ** (self.configuration.batch_size / half_life)
        for average, current in zip(self.average.parameters(), self.generator.parameters()):
            average.lerp_(current, 1 - decay)
        self.average.w_mean.copy_(self.generator.w_mean)

    def _store(self, figures: dict[str, float]) -> None:
        entry = {"images": float(self.seen), **figures}
        if self.measure is not None:
            entry.update(self.measure(self.average))
        self.history.append(entry)
        state = {
            "configuration": _fingerprint(self.configuration),
            "seen": self.seen,
            "probability": self.augmentation.probability,
            "history": json.dumps(self.history),
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "adversary": self.adversary.judge_network.state_dict(),
            "path": self.path.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }
        with whole_file(self._checkpoint) as path:
            torch.save(state, path)
        with whole_file(self.folder / "history.jsonl") as path:
            path.write_text("".join(json.dumps(line) + "\n" for line in self.history))

    def _resume(self) -> None:
        state = torch.load(self._checkpoint, map_location=self.device, weights_only=True)
        if state["configuration"] != _fingerprint(self.configuration):
            raise InvalidValueError(
                f"folder {self.folder.name!r} holds a run of another configuration; choose another folder"
            )
        self.generator.load_state_dict(state["generator"])
        self.average.load_state_dict(state["average"])
        self.adversary.judge_network.load_state_dict(state["adversary"])
        self.path.load_state_dict(state["path"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.seen = state["seen"]
        self.augmentation.probability = state["probability"]
        self.history = json.loads(state["history"])
        logger.info("resumed at image %d", self.seen)


class Adversary(nn.Module):
    """Either discriminator behind one face: a view of images, and a judge of views.

    Args:
        configuration: the run.
    """

    def __init__(self, configuration: TrainingConfiguration) -> None:
        super().__init__()
        network = configuration.network
        self.projected = configuration.discriminator == "projected"
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
        """Logits (N, places)."""
        return self.judge_network(view if self.projected else view[0], label)

    def generator_loss(
        self, fake: list[torch.Tensor], label: torch.Tensor, figures: dict[str, float]
    ) -> torch.Tensor:
        """Loss of the generator; the judge's weights get no gradient."""
        for parameter in self.trained:
            parameter.requires_grad_(False)
        logits = self.judge(fake, label)
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
        real_logits, fake_logits = self.judge(real, label), self.judge(fake, label)
        pair = hinge_pair if self.projected else logistic_pair
        loss = pair(real_logits, fake_logits)
        figures["discriminator"] = float(loss.detach())
        figures["real_sign"] = float(real_logits.detach().mean(dim=1).sign().mean())
        return loss, figures["real_sign"]


def _guide_loss(
    guide: GuideConfiguration,
    real: torch.Tensor,
    fake: torch.Tensor,
    figures: dict[str, float],
) -> torch.Tensor:
    """Squared error of the reproduced images."""
    squared = functional.mse_loss(fake, real)
    figures["squared_error"] = float(squared.detach())
    return guide.squared_error * squared


def _perceptual(
    real_view: list[torch.Tensor], fake_view: list[torch.Tensor], guided: int, figures: dict[str, float]
) -> torch.Tensor:
    """Perceptual distance of the encoded images; both views passed the same augmentation, so they compare."""
    distance = perceptual_distance(
        [values[:guided] for values in real_view], [values[:guided] for values in fake_view]
    ).mean()
    figures["perceptual"] = float(distance.detach())
    return distance


def _check_images(
    configuration: TrainingConfiguration, images: np.ndarray, labels: np.ndarray | None
) -> None:
    network = configuration.network
    wanted = (network.image_channels, network.resolution, network.resolution)
    if images.ndim != 4 or images.shape[1:] != wanted or images.dtype != np.uint8:
        raise InvalidValueError(
            f"images: {images.dtype} {images.shape} must be uint8 (N, {', '.join(map(str, wanted))})"
        )
    if len(images) < configuration.batch_size:
        raise InvalidValueError(f"images: {len(images)} are fewer than a batch of {configuration.batch_size}")
    if network.classes and (labels is None or len(labels) != len(images)):
        raise InvalidValueError("labels: a class-conditional training needs one class number per image")
    if network.classes and labels is not None and not 0 <= labels.min() <= labels.max() < network.classes:
        raise InvalidValueError(f"labels: class numbers must be 0 to {network.classes - 1}")


def _augmentation(configuration: TrainingConfiguration) -> AdaptiveProbability:
    if configuration.augmentation_target is None:
        return AdaptiveProbability(fixed=True)
    return AdaptiveProbability(configuration.augmentation_target, configuration.augmentation_images)


def _penalty_weight(configuration: TrainingConfiguration, side: int) -> float:
    if configuration.discriminator == "projected":
        return 0.0
    if configuration.r1 is not None:
        return configuration.r1
    return 0.0002 * side**2 / configuration.batch_size


def _class_weights(labels: np.ndarray, balance: float) -> torch.Tensor:
    """Weight of each image so that a class is drawn with its count to the power 1 - balance."""
    counts = np.bincount(labels)
    return torch.from_numpy(counts[labels].astype(np.float64) ** -balance)


def _fingerprint(configuration: TrainingConfiguration) -> str:
    """The settings that must not change in a run; its length and how often it is stored may."""
    record = asdict(configuration)
    for name in ("images", "store_every"):
        record.pop(name)
    return json.dumps(record, sort_keys=True)


def _means(entries: list[dict[str, float]]) -> dict[str, float]:
    names = sorted({name for entry in entries for name in entry})
    found = {name: [entry[name] for entry in entries if name in entry] for name in names}
    return {name: float(np.mean(values)) for name, values in found.items() if not math.isnan(np.mean(values))}
