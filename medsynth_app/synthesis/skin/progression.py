"""The course of a lesion as a walk along one direction of the style space.

It is a visual simulation: the generator has seen nevi and melanomas of different people, never one lesion over
time, so the order of the pictures says nothing about how a lesion develops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.measures.features import perceptual_distance
from medsynth_app.synthesis.skin.directions import Direction
from medsynth_app.synthesis.skin.judge import LesionJudge
from medsynth_app.synthesis.skin.measures import mean_change, spearman
from medsynth_app.synthesis.stylegan2.network import Generator

SIMULATION_NOTICE = "Visual simulation by a generative model; no longitudinal truth."
LARGEST_ALPHA = 6.0
FEWEST_STEPS, MOST_STEPS = 2, 33
LESION_THRESHOLD = 0.5


@dataclass(frozen=True)
class ProgressionRequest:
    """What walk is asked for.

    Attributes:
        direction: name of a direction; empty = the first, that of SeFa's which moves the classifier most.
        alpha_from, alpha_to: ends of the walk in standard deviations of the style along the direction, -6 to 6.
        steps: pictures, 2 to 33.

    Raises:
        InvalidValueError: a value outside its range, named.
    """

    direction: str = ""
    alpha_from: float = 0.0
    alpha_to: float = 3.0
    steps: int = 9

    def __post_init__(self) -> None:
        for name in ("alpha_from", "alpha_to"):
            value = getattr(self, name)
            if not math.isfinite(value) or abs(value) > LARGEST_ALPHA:
                raise InvalidValueError(
                    f"{name}: {value!r} must be between {-LARGEST_ALPHA:g} and {LARGEST_ALPHA:g}"
                )
        if self.alpha_from == self.alpha_to:
            raise InvalidValueError(f"alpha_to: {self.alpha_to!r} must differ from alpha_from")
        if not FEWEST_STEPS <= self.steps <= MOST_STEPS:
            raise InvalidValueError(f"steps: {self.steps!r} must be between {FEWEST_STEPS} and {MOST_STEPS}")

    @property
    def alphas(self) -> list[float]:
        """Alpha of each step."""
        return [float(value) for value in np.linspace(self.alpha_from, self.alpha_to, self.steps)]


@dataclass(frozen=True)
class Step:
    """One picture of the walk, compared with the unchanged reconstruction (alpha 0).

    Attributes:
        alpha: where on the walk.
        melanoma_probability: of the classifier, 0..1.
        perceptual: distance in EfficientNet-Lite0's features; not LPIPS.
        lesion_area: share of the picture, 0..1.
        change_inside, change_outside: mean absolute difference inside and outside the lesion, images in -1..1.
            Inside is what is lesion in either of the two pictures.
    """

    alpha: float
    melanoma_probability: float
    perceptual: float
    lesion_area: float
    change_inside: float
    change_outside: float


@dataclass(frozen=True)
class Progression:
    """A walk.

    Attributes:
        direction: that was walked.
        images: (S, 3, R, R), -1..1.
        steps: one record a picture.
    """

    direction: Direction
    images: torch.Tensor
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON values: direction, steps, how monotone the curves are, the notice."""
        alphas = np.array([step.alpha for step in self.steps])
        melanoma = np.array([step.melanoma_probability for step in self.steps])
        perceptual = np.array([step.perceptual for step in self.steps])
        return {
            "direction": self.direction.name,
            "direction_effects": self.direction.effects,
            "layers": list(self.direction.layers),
            "steps": [asdict(step) for step in self.steps],
            "spearman_alpha_melanoma": spearman(alphas, melanoma),
            "spearman_alpha_perceptual": spearman(np.abs(alphas), perceptual),
            "simulation": SIMULATION_NOTICE,
        }


def chosen_direction(directions: tuple[Direction, ...], name: str) -> Direction:
    """The direction of a name; the first for an empty name.

    Raises:
        InvalidValueError: unknown; the known ones are listed.
    """
    if not name:
        return directions[0]
    for direction in directions:
        if direction.name == name:
            return direction
    known = ", ".join(direction.name for direction in directions)
    raise InvalidValueError(f"direction: {name!r} is not known, allowed are {known}")


@torch.no_grad()
def walk(
    styles: torch.Tensor,
    request: ProgressionRequest,
    directions: tuple[Direction, ...],
    generator: Generator,
    judge: LesionJudge,
    noise: Sequence[torch.Tensor] | None = None,
) -> Progression:
    """Walk from a lesion's styles.

    Args:
        styles: w+ (1, L, W), of an inversion or of the mapping network.
        request: the walk.
        directions: to choose from.
        generator, judge: networks in evaluation mode.
        noise: maps of one lesion, which stay as they are; None = the generator's own.
    """
    direction = chosen_direction(directions, request.direction)
    count = styles.shape[1]
    moved = torch.cat([styles + direction.offset(alpha, count) for alpha in [0.0, *request.alphas]])
    images = generator.synthesis(moved, noise).clamp(-1, 1)
    judgement = judge(images)
    start = [values[:1].expand_as(values) for values in judgement.view]
    distance = perceptual_distance(start, judgement.view)
    lesions = (judgement.lesion > LESION_THRESHOLD).numpy()
    pictures = images.numpy()
    steps = []
    for number, alpha in enumerate(request.alphas, start=1):
        either = lesions[0] | lesions[number]
        steps.append(
            Step(
                alpha=alpha,
                melanoma_probability=float(judgement.melanoma[number]),
                perceptual=float(distance[number]),
                lesion_area=float(lesions[number].mean()),
                change_inside=mean_change(pictures[0], pictures[number], either),
                change_outside=mean_change(pictures[0], pictures[number], ~either),
            )
        )
    return Progression(direction, images[1:], tuple(steps))
