"""How good the skin course is: generated against real pictures, inversion, and walks, on held-out lesions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from medsynth_app.synthesis.measures.features import (
    BATCH,
    PhotographFeatures,
    perceptual_distance,
    picture_features,
    to_images,
)
from medsynth_app.synthesis.measures.quality import compared
from medsynth_app.synthesis.skin.dataset import Lesions
from medsynth_app.synthesis.skin.inversion import refined
from medsynth_app.synthesis.skin.models import CourseModels
from medsynth_app.synthesis.skin.progression import ProgressionRequest, walk
from medsynth_app.synthesis.stylegan2.network import Generator

DISTANCE_GOAL, MELANOMA_GOAL = 0.95, 0.9
"""Rank correlation with alpha from which a curve counts as monotone."""

Report = Callable[[float], None]


@torch.no_grad()
def generation_figures(
    generator: Generator,
    features: PhotographFeatures,
    training: Lesions,
    held_out: Lesions,
    count: int,
    seed: int = 0,
) -> dict[str, float]:
    """Generated pictures against training ones, with the distance of held-out real pictures as the floor.

    Args:
        generator: class-conditional or not; classes are drawn as often as they occur in the training side.
        features: the backbone, EfficientNet-Lite0.
        training, held_out: real pictures.
        count: pictures of each kind, at most as many as are held out.
        seed: of the draws.
    """
    chance, draw = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    count = min(count, len(held_out.images))
    real, floor = (
        picture_features(to_images(part.images[draw.permutation(len(part.images))[:count]]), features)
        for part in (training, held_out)
    )
    labels = torch.from_numpy(training.labels[draw.permutation(len(training.labels))[:count]])
    made = []
    for part in labels.split(BATCH):
        latent = torch.randn((len(part), generator.configuration.latent_size), generator=chance)
        classes = part if generator.configuration.classes else None
        made.append(picture_features(generator(latent, classes, 1.0, chance).clamp(-1, 1), features))
    synthetic = np.concatenate(made)
    return compared(synthetic, real, floor, seed)


def course_figures(
    models: CourseModels,
    held_out: Lesions,
    request: ProgressionRequest,
    refinement_steps: int = 0,
    report: Report = lambda share: None,
) -> dict[str, Any]:
    """Inversion and walk of each held-out lesion.

    Args:
        models: the trained course.
        held_out: one picture a lesion.
        request: the walk.
        refinement_steps: of the inversion before the walk.
        report: told the share done.

    Returns:
        Mean squared error of the inversion, shares of lesions whose curves are monotone, mean changes inside and
        outside of the lesion at the end of the walk.
    """
    errors, perceptual, monotone_distance, monotone_melanoma, inside, outside, gain = (
        [],
        [],
        [],
        [],
        [],
        [],
        [],
    )
    images = to_images(held_out.images)
    for start in range(0, len(images), BATCH):
        part = images[start : start + BATCH]
        with torch.no_grad():
            styles = models.encoder(part)[0]
        noise: tuple[torch.Tensor, ...] | None = None
        if refinement_steps:
            styles, noise = refined(part, styles, models.generator, models.judge.features, refinement_steps)
        with torch.no_grad():
            made = models.generator.synthesis(styles, noise).clamp(-1, 1)
            distance = perceptual_distance(models.judge.features(part), models.judge.features(made))
        errors += (made - part).square().mean(dim=(1, 2, 3)).tolist()
        perceptual += distance.tolist()
        for number, row in enumerate(styles.split(1)):
            of_lesion = None if noise is None else [layer[number : number + 1] for layer in noise]
            course = walk(row, request, models.directions, models.generator, models.judge, of_lesion)
            record = course.as_dict()
            monotone_distance.append(record["spearman_alpha_perceptual"] >= DISTANCE_GOAL)
            monotone_melanoma.append(record["spearman_alpha_melanoma"] >= MELANOMA_GOAL)
            inside.append(course.steps[-1].change_inside)
            outside.append(course.steps[-1].change_outside)
            gain.append(course.steps[-1].melanoma_probability - course.steps[0].melanoma_probability)
        report(min(1.0, (start + BATCH) / len(images)))
    return {
        "lesions": len(images),
        "refinement_steps": refinement_steps,
        "squared_error": float(np.mean(errors)),
        "perceptual_distance": float(np.mean(perceptual)),
        "share_monotone_distance": float(np.mean(monotone_distance)),
        "share_monotone_melanoma": float(np.mean(monotone_melanoma)),
        "change_inside": float(np.mean(inside)),
        "change_outside": float(np.mean(outside)),
        "melanoma_gain": float(np.mean(gain)),
    }
