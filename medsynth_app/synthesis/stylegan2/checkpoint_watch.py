"""What happens at a checkpoint of the generator's training: samples to look at, figures, the best weights so far."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from medsynth_app.files import whole_file
from medsynth_app.synthesis.data.arrays import picture_grid, to_pictures
from medsynth_app.synthesis.measures.features import PhotographFeatures, picture_features, to_images
from medsynth_app.synthesis.measures.quality import FIGURES, compared
from medsynth_app.synthesis.stylegan2.configuration import TrainingConfiguration
from medsynth_app.synthesis.stylegan2.network import Generator

SHOWN_PER_CLASS = 6
MOST_COMPARED, FEWEST_COMPARED = 200, 8
"""Pictures of each kind whose features are compared; with fewer held out none are."""
SEED = 0
BATCH = 16


@dataclass(frozen=True)
class Labelled:
    """Pictures and their classes.

    Attributes:
        images: (N, C, R, R) uint8.
        labels: (N,) class numbers.
    """

    images: np.ndarray
    labels: np.ndarray


class CheckpointWatch:
    """Sample grids, and the Frechet distance to held-out pictures beside its floor.

    A generator under training gets better and worse by turns: what counts is its best comparison.

    Without held-out pictures, and below the full resolution, nothing is compared, and the last weights count.

    Args:
        training: (N, C, R, R) uint8, the training's pictures.
        held_out: pictures of other patients, or None.
        configuration: of the training.
        folder: takes grids and the best weights.
        patience: comparisons without gain after which the training is over; 0 = never.
    """

    def __init__(
        self,
        training: np.ndarray,
        held_out: Labelled | None,
        configuration: TrainingConfiguration,
        folder: Path,
        patience: int = 0,
    ) -> None:
        self.configuration = configuration
        self.folder = folder
        self.patience = patience
        self.best_figures: dict[str, float] = {}
        self.without_gain = 0
        self._news: dict[str, float] = {}
        self._network: PhotographFeatures | None = None
        if held_out is not None and min(len(held_out.images), len(training)) >= FEWEST_COMPARED:
            self._prepare(training, held_out)

    def _prepare(self, training: np.ndarray, held_out: Labelled) -> None:
        """Features of real pictures, once."""
        draw = np.random.default_rng(SEED)
        count = min(MOST_COMPARED, len(held_out.images), len(training))
        rows, others = (draw.permutation(len(part))[:count] for part in (held_out.images, training))
        self._network = PhotographFeatures()
        self._labels = torch.from_numpy(held_out.labels[rows].astype(np.int64))
        self._held_out = picture_features(to_images(held_out.images[rows]), self._network)
        self._training = picture_features(to_images(training[others]), self._network)

    @property
    def best(self) -> float | None:
        """The best score: the Frechet distance with its sign turned, so that more is better."""
        return -self.best_figures["frechet"] if self.best_figures else None

    def take_up(self, history: Sequence[Mapping[str, float]]) -> None:
        """Remember what an earlier part of the run has reached."""
        for entry in history:
            if "frechet" in entry:
                self._count({name: entry[name] for name in FIGURES})

    def is_over(self) -> bool:
        """Whether patience has run out."""
        return 0 < self.patience <= self.without_gain

    def news(self) -> dict[str, float]:
        """Figures of a comparison that nobody has heard of yet, else empty."""
        told, self._news = self._news, {}
        return told

    def measure(self, average: Generator, images: int) -> dict[str, float]:
        """Figures of the averaged generator after so many images; empty where nothing is compared."""
        generator = copy.deepcopy(average).cpu()
        side = self.configuration.resolution_at(images)
        with whole_file(self.folder / f"samples_{images:07d}.png") as beside:
            picture_grid(class_samples(generator, side), SHOWN_PER_CLASS).save(beside, "PNG")
        if self._network is None or side < self.configuration.network.resolution:
            return {}
        made = picture_features(self._drawn(generator), self._network)
        figures = compared(made, self._held_out, self._training)
        self._news = figures
        if self._count(figures):
            with whole_file(self._best_file) as beside:
                torch.save(generator.state_dict(), beside)
        return figures

    def best_generator(self, last: Generator) -> Generator:
        """The weights of the best comparison; the last ones where there was none."""
        generator = copy.deepcopy(last).cpu()
        if self.best_figures and self._best_file.is_file():
            generator.load_state_dict(torch.load(self._best_file, map_location="cpu", weights_only=True))
        return generator

    @property
    def _best_file(self) -> Path:
        return self.folder / "best.pt"

    def _count(self, figures: dict[str, float]) -> bool:
        gained = self.best is None or -figures["frechet"] > self.best
        self.without_gain = 0 if gained else self.without_gain + 1
        if gained:
            self.best_figures = figures
        return gained

    @torch.no_grad()
    def _drawn(self, generator: Generator) -> torch.Tensor:
        """As many pictures of each class as are compared with; the same latents every time."""
        chance = torch.Generator().manual_seed(SEED)
        parts = []
        for label in self._labels.split(BATCH):
            latent = torch.randn((len(label), generator.configuration.latent_size), generator=chance)
            classes = label if generator.configuration.classes else None
            parts.append(generator(latent, classes, 1.0, chance).clamp(-1, 1))
        return torch.cat(parts)


@torch.no_grad()
def class_samples(generator: Generator, side: int, count: int = SHOWN_PER_CLASS) -> np.ndarray:
    """Pictures of fixed latents, ``count`` a class, class by class: (N, side, side, C) uint8."""
    configuration = generator.configuration
    latent = torch.randn((count, configuration.latent_size), generator=torch.Generator().manual_seed(SEED))
    rows = []
    for number in range(max(1, configuration.classes)):
        label = torch.full((count,), number) if configuration.classes else None
        rows.append(to_pictures(generator.synthesis(generator.styles(latent, label), None, side)))
    return np.concatenate(rows)
