"""Pictures that are set beside each other: real ones of a user's folder, and those that a generator draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image

from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.synthesis.catalogue import CatalogueRow
from medsynth_app.synthesis.data.images import Pictures, find_pictures, read_pictures, split_pictures
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.weights import WeightsStore

SIDE = 128
"""Pixels a side at which pictures are compared: smaller ones are enlarged by the backbone anyway."""
STORE_EVERY = 10
FEWEST = 4

Report = Callable[[str, float], None]
"""Told what is being done, and the share done."""


@dataclass(frozen=True)
class RealPictures:
    """A user's pictures of one modality, split as for training: a generator never saw the held-out ones.

    Attributes:
        training, held_out: of different patients, at ``SIDE``; none may be held out.
    """

    training: Pictures
    held_out: Pictures

    @classmethod
    def read(cls, folder: Path, modality: str, validation: str = "") -> RealPictures:
        """Read and split.

        Args:
            folder: as for training, see ``image_data``.
            modality: which.
            validation: beginnings of patients' names that are held out; empty = as for training.

        Raises:
            InvalidValueError: fewer than eight pictures, which is too few for two halves.
        """
        sources, _ = find_pictures(folder, modality)
        if len(sources) < 2 * FEWEST:
            raise InvalidValueError(
                f"data: {folder.name} has {len(sources)} pictures of {modality}, at least {2 * FEWEST} are needed"
            )
        kept, held = split_pictures(sources, validation)
        training = read_pictures(kept, SIDE)
        return cls(training, read_pictures(held, SIDE) if held else training.chosen(np.zeros(0, dtype=int)))

    @property
    def pathologies(self) -> tuple[str, ...]:
        """What the training side shows, sorted."""
        return tuple(sorted({source.pathology for source in self.training.sources}))

    @property
    def tested(self) -> tuple[str, ...]:
        """What both sides show, sorted: what a classifier can learn on one side and be tested in on the other."""
        return tuple(sorted({source.pathology for source in self.held_out.sources} & set(self.pathologies)))


@dataclass(frozen=True)
class SyntheticSource:
    """A generator to draw pictures of one modality from.

    Attributes:
        row: of the catalogue.
        store: its weights.
        modality: condition of all pictures.
        conditions: further ones, the same for all.
        folder: keeps drawn pictures, so that a stopped run goes on; None = nothing is kept.
    """

    row: CatalogueRow
    store: WeightsStore
    modality: str
    conditions: Mapping[str, Any]
    folder: Path | None = None

    def draw(self, pathology: str, count: int, first_seed: int, report: Report) -> np.ndarray:
        """(count, 3, SIDE, SIDE) uint8 of seeds that follow each other.

        Raises:
            InvalidValueError: the generator cannot show it.
        """
        pictures = list(self._kept(pathology, first_seed)[:count])
        conditions = self._parsed(pathology)
        generator = self.row.build(self.store)
        for number in range(len(pictures), count):
            made = generator.generate(GenerationRequest(first_seed + number, conditions))
            pictures.append(square_rgb(made.array))
            if (number + 1) % STORE_EVERY == 0 or number + 1 == count:
                self._keep(pathology, first_seed, np.stack(pictures))
            report(f"drawing {pathology}", (number + 1) / count)
        return np.stack(pictures)

    def seconds(self, pathology: str, repeats: int = 5) -> float:
        """Median seconds of one picture, weights being loaded already."""
        generator, conditions = self.row.build(self.store), self._parsed(pathology)
        times = []
        for seed in range(repeats + 1):
            begin = perf_counter()
            generator.generate(GenerationRequest(seed, conditions))
            times.append(perf_counter() - begin)
        return float(np.median(times[1:]))

    def _parsed(self, pathology: str) -> dict[str, Any]:
        return self.row.conditions.parse(
            {**self.conditions, "modality": self.modality, "pathology": pathology}
        )

    def _file(self, pathology: str, first_seed: int) -> Path | None:
        if self.folder is None:
            return None
        name = self.row.weights_of({"modality": self.modality})
        path = self.store.find(name) if name else None
        owner = "none" if path is None else f"{path.stat().st_size}-{path.stat().st_mtime_ns}"
        return self.folder / f"{self.row.generator}-{self.modality}-{pathology}-{first_seed}-{owner}.npy"

    def _kept(self, pathology: str, first_seed: int) -> np.ndarray:
        path = self._file(pathology, first_seed)
        if path is None or not path.is_file():
            return np.zeros((0, 3, SIDE, SIDE), np.uint8)
        return np.load(path, allow_pickle=False)

    def _keep(self, pathology: str, first_seed: int, pictures: np.ndarray) -> None:
        path = self._file(pathology, first_seed)
        if path is not None:
            with whole_file(path) as beside:
                np.save(beside, pictures, allow_pickle=False)


def square_rgb(array: np.ndarray) -> np.ndarray:
    """A picture (R, R) or (R, R, 3) uint8 -> (3, SIDE, SIDE) uint8."""
    picture = Image.fromarray(array).convert("RGB")
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
