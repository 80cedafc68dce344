"""Training of the encoder into w+ with the generator frozen: resumable, deterministic by seed.

Loss as in e4e (Tov 2021): squared error, perceptual distance, length of the offsets, and the latent
discriminator's opinion of every w; offsets are released one by one, from coarse to fine.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.synthesis.stylegan2.encoder import LatentDiscriminator, MeanStart, StyleEncoder
from medsynth_app.synthesis.stylegan2.losses import logistic_pair, non_saturating
from medsynth_app.synthesis.stylegan2.network import Generator
from medsynth_app.synthesis.stylegan2.projected import PhotographFeatures, perceptual_distance
from medsynth_app.synthesis.stylegan2.training import Progress
from medsynth_app.synthesis.stylegan2.transforms import turned_images

PENALTY_INTERVAL = 16
PENALTY_WEIGHT = 10.0
LARGEST_GRADIENT = 100.0


@dataclass(frozen=True)
class EncoderConfiguration:
    """One training run of the encoder.

    Attributes:
        images: images shown in all.
        batch_size: images a step.
        learning_rate: peak of the encoder's Adam; falls by half a cosine to 5 %.
        latent_rate: of the latent discriminator.
        squared_error, perceptual, offset, latent: weights of the losses.
        first_release: images before the first offset is released.
        release_every: images from one release to the next.
        turn_images: show images also mirrored and in quarter turns.
        store_every: images between checkpoints.
        seed: of weights and order.
    """

    images: int = 20_000
    batch_size: int = 8
    learning_rate: float = 1e-3
    latent_rate: float = 1e-4
    squared_error: float = 20.0
    perceptual: float = 0.5
    offset: float = 2e-4
    latent: float = 0.02
    first_release: int = 1000
    release_every: int = 100
    turn_images: bool = True
    store_every: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("images", "batch_size", "release_every", "store_every"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"{name}: {getattr(self, name)} must be at least 1")
        for name in ("learning_rate", "latent_rate"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise InvalidValueError(f"{name}: {getattr(self, name)} must be between 0 and 1")

    def released_at(self, images: int, style_count: int) -> int:
        """Offsets in use after this many images."""
        if images < self.first_release:
            return 0
        return min(style_count - 1, 1 + (images - self.first_release) // self.release_every)


class EncoderTrainer:
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
        network = generator.configuration
        wanted = (network.image_channels, network.resolution, network.resolution)
        if images.ndim != 4 or images.shape[1:] != wanted or images.dtype != np.uint8:
            raise InvalidValueError(f"images: {images.dtype} {images.shape} must be uint8 (N, *{wanted})")
        self.configuration = configuration
        self.real_images = images
        self.folder = folder
        self.measure = measure
        self.device = generator.w_mean.device
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
        self.seen = 0
        self.history: list[dict[str, float]] = []
        folder.mkdir(parents=True, exist_ok=True)
        if self._checkpoint.exists():
            self._resume()

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "last.pt"

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
                on_progress(Progress(self.seen, configuration.images, collected[-1], left))
            if before // configuration.store_every != self.seen // configuration.store_every:
                self._store(collected[-1])
                collected.clear()
        if collected:
            self._store(collected[-1])

    def _update(self) -> dict[str, float]:
        configuration = self.configuration
        step = self.seen // configuration.batch_size
        chance = torch.Generator().manual_seed(configuration.seed * 1_000_003 + step)
        share = min(1.0, self.seen / configuration.images)
        for group in self.optimizer.param_groups:
            group["lr"] = configuration.learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * share)))
        real = self._batch(chance)
        released = configuration.released_at(self.seen, self.generator.configuration.style_count)
        styles, offsets = self.encoder(real, released)
        fake = self.generator.synthesis(styles)
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
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.encoder.learned_parameters(), LARGEST_GRADIENT)
        if torch.isfinite(norm):
            self.optimizer.step()
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
        images = torch.from_numpy(self.real_images[rows]).to(self.device).float() / 127.5 - 1.0
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
        self.judge_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.judge_optimizer.step()

    def _store(self, figures: dict[str, float]) -> None:
        entry = {"images": float(self.seen), **figures}
        if self.measure is not None:
            entry.update(self.measure(self.encoder))
        self.history.append(entry)
        state = {
            "configuration": _fingerprint(self.configuration),
            "seen": self.seen,
            "history": json.dumps(self.history),
            "encoder": self.encoder.learned_state(),
            "judge": self.judge.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "judge_optimizer": self.judge_optimizer.state_dict(),
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
        self.encoder.load_learned(state["encoder"])
        self.judge.load_state_dict(state["judge"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.judge_optimizer.load_state_dict(state["judge_optimizer"])
        self.seen = state["seen"]
        self.history = json.loads(state["history"])


def _fingerprint(configuration: EncoderConfiguration) -> str:
    """The settings that must not change in a run; how often it is stored may."""
    record = asdict(configuration)
    record.pop("store_every")
    return json.dumps(record, sort_keys=True)
