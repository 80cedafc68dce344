"""How good a generator of pictures is, beside a user's real pictures: likeness, variety, adherence, usefulness.

Every figure stands beside what real pictures reach: the distance between two halves of the real collection, and a
classifier that learned from as many real pictures as synthetic ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from medsynth_app.benchmarks.compared_images import FEWEST, RealPictures, Report, SyntheticSource
from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.data.images import Pictures
from medsynth_app.synthesis.measures.features import (
    BACKBONE,
    PhotographFeatures,
    picture_features,
    pooled_features,
    to_images,
)
from medsynth_app.synthesis.measures.pathology_classifier import PathologyClassifier
from medsynth_app.synthesis.measures.published_measures import published_figures
from medsynth_app.synthesis.measures.quality import area_under_curve, compared, medical_specificity
from medsynth_app.synthesis.phantoms.images.request import NORMAL


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
    names = _names(real.training)
    made = [
        source.draw(name, max(FEWEST, round(names.count(name) / len(names) * count)), seed, report)
        for name in real.pathologies
    ]
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
    if len(real.tested) > 1:
        result["adherence"] = _adherence(real, dict(zip(real.pathologies, made)), network)
    return result


def _adherence(
    real: RealPictures, made: Mapping[str, np.ndarray], network: PhotographFeatures
) -> dict[str, Any]:
    """Medical specificity and sensitivity of synthetic pictures, beside those of held-out real ones."""
    training, held_out = (_of(side, real.tested) for side in (real.training, real.held_out))
    classifier = PathologyClassifier.of(_pooled(training.images, network), _names(training))
    requested = [name for name in real.tested for _ in made[name]]
    found = classifier.found(_pooled(np.concatenate([made[name] for name in real.tested]), network))
    on_real = classifier.found(_pooled(held_out.images, network))
    return {
        "synthetic": medical_specificity(requested, found, NORMAL),
        "real": medical_specificity(_names(held_out), on_real, NORMAL),
        "held_out_real": len(held_out),
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
        if name not in real.tested or have < count:
            raise InvalidValueError(
                f"count: {count} pictures of {name} are asked for, the training side of the real ones has {have}, "
                f"and both sides must show it"
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
