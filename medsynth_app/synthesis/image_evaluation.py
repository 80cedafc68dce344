"""How good a generator of pictures is, beside a user's real pictures: likeness, variety, adherence, usefulness.

Every figure stands beside what real pictures reach: the distance between two halves of the real collection, and a
classifier that learned from as many real pictures as synthetic ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from PIL import Image

from medsynth_app.errors import InvalidValueError
from medsynth_app.files import whole_file
from medsynth_app.synthesis.catalogue import CatalogueRow
from medsynth_app.synthesis.features import (
    BACKBONE,
    PhotographFeatures,
    picture_features,
    pooled_features,
    to_images,
)
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.image_data import Pictures, find_pictures, read_pictures, split_pictures
from medsynth_app.synthesis.pathology_classifier import PathologyClassifier
from medsynth_app.synthesis.phantoms.images.request import NORMAL
from medsynth_app.synthesis.published_measures import published_figures
from medsynth_app.synthesis.quality import area_under_curve, compared, medical_specificity
from medsynth_app.synthesis.weights import WeightsStore

SIDE = 128
"""Pixels a side at which pictures are compared: smaller ones are enlarged by the backbone anyway."""
HELD_OUT_SHARE = 0.3
"""Of the patients, for the classifiers' test."""
STORE_EVERY = 10
FEWEST = 4

Report = Callable[[str, float], None]
"""Told what is being done, and the share done."""


@dataclass(frozen=True)
class RealPictures:
    """A user's pictures of one modality.

    Attributes:
        training, held_out: of different patients, at ``SIDE``.
        pathologies: names that occur on both sides, sorted.
    """

    training: Pictures
    held_out: Pictures
    pathologies: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path, modality: str, validation: str = "") -> RealPictures:
        """Read and split.

        Args:
            folder: as for training, see ``image_data``.
            modality: which.
            validation: beginnings of patients' names that are held out; empty = 30 % by a hash.

        Raises:
            InvalidValueError: fewer than four pictures on either side.
        """
        sources, _ = find_pictures(folder, modality)
        training, held_out = split_pictures(sources, validation, HELD_OUT_SHARE)
        if min(len(training), len(held_out)) < FEWEST:
            raise InvalidValueError(
                f"data: {folder.name} has {len(training)} and {len(held_out)} pictures of {modality} on the two "
                f"sides of the split, at least {FEWEST} are needed on each"
            )
        sides = [read_pictures(part, SIDE) for part in (training, held_out)]
        names = [{source.pathology for source in side.sources} for side in sides]
        return cls(sides[0], sides[1], tuple(sorted(names[0] & names[1])))


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


def picture_quality(
    source: SyntheticSource, real: RealPictures, count: int, seed: int, report: Report
) -> dict[str, Any]:
    """Likeness, variety and adherence of a generator's pictures of one modality.

    Args:
        source: the generator.
        real: what it is compared with; classes are drawn as often as they occur there.
        count: pictures for the distances, and again for the adherence, shared among the classes.
        seed: of the first picture and of the draws.
        report: told about progress.

    Returns:
        JSON values.
    """
    network = PhotographFeatures()
    everything = np.concatenate([real.training.images, real.held_out.images])
    names = [s.pathology for side in (real.training, real.held_out) for s in side.sources]
    made: list[np.ndarray] = []
    for pathology in real.pathologies:
        share = sum(name == pathology for name in names) / sum(name in real.pathologies for name in names)
        made.append(source.draw(pathology, max(FEWEST, round(share * count)), seed, report))
    report("features", 0.0)
    synthetic, shown = to_images(np.concatenate(made)), to_images(everything)
    figures: dict[str, Any] = compared(
        picture_features(synthetic, network), picture_features(shown, network), seed=seed
    )
    result: dict[str, Any] = {
        "modality": source.modality,
        "generator": source.row.generator,
        "backbone": BACKBONE,
        "pathologies": list(real.pathologies),
        **figures,
        "published": published_figures(synthetic, shown, seed),
        "seconds": source.seconds(real.pathologies[0]),
    }
    if len(real.pathologies) > 1:
        result["adherence"] = _adherence(real, made, network)
    return result


def _adherence(real: RealPictures, made: Sequence[np.ndarray], network: PhotographFeatures) -> dict[str, Any]:
    """Medical specificity and sensitivity of synthetic pictures, beside those of held-out real ones."""
    training, held_out = (_of(side, real.pathologies) for side in (real.training, real.held_out))
    classifier = PathologyClassifier.of(_pooled(training.images, network), _names(training))
    requested = [name for name, part in zip(real.pathologies, made) for _ in part]
    found = classifier.found(_pooled(np.concatenate(made), network))
    on_real = classifier.found(_pooled(held_out.images, network))
    return {
        "synthetic": medical_specificity(requested, found, NORMAL),
        "real": medical_specificity(_names(held_out), on_real, NORMAL),
    }


def picture_utility(
    source: SyntheticSource, real: RealPictures, pathology: str, count: int, repeats: int, report: Report
) -> dict[str, Any]:
    """How much a classifier learns from synthetic pictures only (train on synthetic, test on real).

    Args:
        source: the generator.
        real: its training side teaches the rival, its held-out side tests both.
        pathology: told from ``normal``.
        count: pictures of each of the two classes.
        repeats: draws of pictures, for the spread.
        report: told about progress.

    Returns:
        Areas under the ROC curve on held-out real pictures, means and standard deviations over the draws, and
        their ratio; JSON values.

    Raises:
        InvalidValueError: the real pictures do not show both, or are fewer than ``count`` of a class.
    """
    wanted = (NORMAL, pathology)
    training, held_out = (_of(side, wanted) for side in (real.training, real.held_out))
    for name in wanted:
        have = _names(training).count(name)
        if name not in real.pathologies or have < count:
            raise InvalidValueError(
                f"count: {count} pictures of {name} are asked for, the training side of the real ones has {have}"
            )
    network = PhotographFeatures()
    features, tested = _pooled(training.images, network), _pooled(held_out.images, network)
    truth = np.array([name == pathology for name in _names(held_out)], dtype=int)
    names = np.array(_names(training))
    areas: dict[str, list[float]] = {"real": [], "synthetic": []}
    for repeat in range(repeats):
        draw = np.random.default_rng(repeat)
        rows = np.concatenate([draw.permutation(np.flatnonzero(names == name))[:count] for name in wanted])
        real_one = PathologyClassifier.of(features[rows], list(names[rows]))
        areas["real"].append(area_under_curve(real_one.scores(tested, pathology), truth))
        made = [source.draw(name, count, 1_000_000 * (repeat + 1), report) for name in wanted]
        taught = _pooled(np.concatenate(made), network)
        synthetic_one = PathologyClassifier.of(taught, [name for name in wanted for _ in range(count)])
        areas["synthetic"].append(area_under_curve(synthetic_one.scores(tested, pathology), truth))
    means = {name: float(np.mean(values)) for name, values in areas.items()}
    return {
        "modality": source.modality,
        "generator": source.row.generator,
        "pathology": pathology,
        "classifier": f"logistic regression on pooled features of {BACKBONE}",
        "pictures_a_class": count,
        "held_out_real": len(held_out),
        "draws": repeats,
        "auc_real": means["real"],
        "auc_real_sd": float(np.std(areas["real"])),
        "auc_synthetic": means["synthetic"],
        "auc_synthetic_sd": float(np.std(areas["synthetic"])),
        "ratio": means["synthetic"] / means["real"],
    }


def _of(pictures: Pictures, pathologies: Sequence[str]) -> Pictures:
    return pictures.chosen(np.array([source.pathology in pathologies for source in pictures.sources]))


def _names(pictures: Pictures) -> list[str]:
    return [source.pathology for source in pictures.sources]


def _pooled(images: np.ndarray, network: PhotographFeatures) -> torch.Tensor:
    return pooled_features(to_images(images), network)
