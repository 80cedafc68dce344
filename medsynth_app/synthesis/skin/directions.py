"""Directions in the generator's style space, found in its weights and named by what they change.

SeFa (Shen and Zhou, "Closed-Form Factorization of Latent Semantics in GANs", CVPR 2021): the style of layer l is
s_l = A_l w + b_l, so w + alpha n changes it by alpha A_l n; the unit n with the largest sum of |A_l n|^2 are the
right singular vectors of the stacked A_l, whose rows are brought to unit length first.

One more is not found in the weights but in the classes: from the mean style of nevi to that of melanomas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.skin.judge import LesionJudge
from medsynth_app.synthesis.skin.measures import LesionLooks, lesion_looks
from medsynth_app.synthesis.stylegan2.network import Generator

SCALE_SAMPLES = 1024
TRIED_SAMPLES, REACH = 24, 2.0
"""Random lesions on which a direction is tried, and how far, in its standard deviations."""
CLASS_DIRECTION = "melanoma"
PROPERTIES = ("pigment", "border", "extent")


@dataclass(frozen=True)
class Direction:
    """One direction of change.

    Attributes:
        name: what it changes most, with a number where several share it, for example ``pigment_1``; ``melanoma`` for
            that from class to class.
        vector: (W,) of unit length; SeFa's are turned so that a positive alpha raises the melanoma probability.
        scale: standard deviation of w along the vector; alpha counts in it.
        layers: numbers of the styles of w+ that it is added to.
        singular_value: of the stacked weights; 0 for that from class to class.
        melanoma_slope: mean change of the melanoma logit per unit of alpha.
        effects: change per unit of alpha of each of ``PROPERTIES``, in standard deviations over lesions.
    """

    name: str
    vector: np.ndarray
    scale: float
    layers: tuple[int, ...]
    singular_value: float
    melanoma_slope: float
    effects: dict[str, float]

    def offset(self, alpha: float, style_count: int) -> torch.Tensor:
        """What is added to w+, (L, W)."""
        added = torch.zeros(style_count, len(self.vector))
        added[list(self.layers)] = torch.from_numpy(self.vector).float() * (alpha * self.scale)
        return added


def semantic_directions(
    generator: Generator, layers: tuple[int, ...], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The directions that move the chosen layers most.

    Args:
        generator: whose style matrices are factorised.
        layers: numbers of styles of w+, 0 to L - 1.
        count: directions wanted, at most W.

    Returns:
        (count, W) orthonormal rows, and their singular values, descending.

    Raises:
        InvalidValueError: a layer or count that there is not.
    """
    total, size = generator.configuration.style_count, generator.configuration.style_size
    if not layers or min(layers) < 0 or max(layers) >= total:
        raise InvalidValueError(f"layers: {list(layers)} must be numbers from 0 to {total - 1}")
    if not 1 <= count <= size:
        raise InvalidValueError(f"count: {count} must be between 1 and {size}")
    affines = generator.synthesis.style_affines()
    stacked = torch.cat([affines[layer] for layer in layers]).double()
    stacked = stacked / stacked.norm(dim=1, keepdim=True).clamp_min(1e-12)
    _, values, rows = torch.linalg.svd(stacked, full_matrices=False)
    return rows[:count].numpy(), values[:count].numpy()


@torch.no_grad()
def ranked_directions(
    generator: Generator,
    judge: LesionJudge,
    layers: tuple[int, ...],
    count: int = 12,
    samples: int = TRIED_SAMPLES,
    reach: float = REACH,
    seed: int = 0,
) -> list[Direction]:
    """SeFa's directions, those first that move the melanoma logit most.

    Each is tried on random lesions at -reach, 0 and +reach; the change of the classifier and of the measured looks
    gives its rank and its name.

    Args:
        generator, judge: trained ones.
        layers: styles of w+ that are changed.
        count: directions to try.
        samples: random lesions.
        reach: alpha at which they are tried.
        seed: of the lesions.
    """
    vectors, values = semantic_directions(generator, layers, count)
    trial = _Trial(generator, judge, samples, reach, seed)
    scales = (trial.pool @ torch.from_numpy(vectors.T).float()).std(dim=0).numpy()
    found = [
        _towards_melanoma(trial.direction("", vector, float(scale), layers, float(value)))
        for vector, value, scale in zip(vectors, values, scales)
    ]
    return _named(sorted(found, key=lambda direction: -direction.melanoma_slope))


@torch.no_grad()
def class_direction(
    generator: Generator, judge: LesionJudge, samples: int = TRIED_SAMPLES, reach: float = REACH, seed: int = 0
) -> Direction:
    """From nevi to melanomas: the mean difference of the two styles of one latent, added to all layers.

    It changes what tells the classes apart, all of it: size, border and pigment of the lesion, and what skin melanomas
    are found on, too.

    Args:
        generator: a class-conditional one.
        judge: trained.
        samples, reach, seed: as in ``ranked_directions``.

    Raises:
        InvalidValueError: the generator has no classes.
    """
    if not generator.configuration.classes:
        raise InvalidValueError("classes: 0, a direction from class to class needs a generator with classes")
    trial = _Trial(generator, judge, samples, reach, seed)
    latent = torch.randn((SCALE_SAMPLES, generator.configuration.latent_size), generator=trial.chance)
    nevus, melanoma = (
        generator.mapping(latent, torch.full((SCALE_SAMPLES,), number)).mean(dim=0) for number in (0, 1)
    )
    vector = functional.normalize(melanoma - nevus, dim=0)
    layers = tuple(range(generator.configuration.style_count))
    return trial.direction(CLASS_DIRECTION, vector.numpy(), float((trial.pool @ vector).std()), layers, 0.0)


def _towards_melanoma(direction: Direction) -> Direction:
    """The same one, turned so that melanoma becomes likelier along it: SeFa's have no sign."""
    if direction.melanoma_slope >= 0:
        return direction
    turned = {name: -effect for name, effect in direction.effects.items()}
    return replace(direction, vector=-direction.vector, melanoma_slope=-direction.melanoma_slope, effects=turned)


class _Trial:
    """Random lesions on which directions are tried.

    Attributes:
        pool: (``SCALE_SAMPLES``, W) styles of random lesions.
        chance: what they were drawn from.
    """

    def __init__(
        self, generator: Generator, judge: LesionJudge, samples: int, reach: float, seed: int
    ) -> None:
        self.generator, self.judge, self.reach = generator, judge, reach
        self.chance = torch.Generator().manual_seed(seed)
        self.pool = generator.mapping(*_drawn(generator, SCALE_SAMPLES, self.chance))
        self.styles = generator.styles(*_drawn(generator, samples, self.chance), truncation=0.8)
        self.spread = np.maximum(_seen(generator, judge, self.styles).looks.std(axis=0), 1e-6)

    def direction(
        self, name: str, vector: np.ndarray, scale: float, layers: tuple[int, ...], value: float
    ) -> Direction:
        """The direction with what it was found to change."""
        count, reach = self.generator.configuration.style_count, self.reach
        way = Direction(name, vector, scale, layers, value, 0.0, {}).offset(reach, count)
        up, down = (_seen(self.generator, self.judge, self.styles + turn * way) for turn in (1.0, -1.0))
        slope = float((up.melanoma - down.melanoma).mean()) / (2 * reach)
        effects = (up.looks - down.looks).mean(axis=0) / self.spread / (2 * reach)
        described = {part: float(effect) for part, effect in zip(PROPERTIES, effects)}
        return Direction(name, vector, scale, layers, value, slope, described)


@dataclass(frozen=True)
class _Seen:
    melanoma: np.ndarray
    looks: np.ndarray


def _seen(generator: Generator, judge: LesionJudge, styles: torch.Tensor) -> _Seen:
    """Melanoma logits (N,) and looks (N, 3) of the pictures of styles."""
    logits, looks = [], []
    for part in styles.split(8):
        images = generator.synthesis(part)
        judgement = judge(images)
        logits.append(torch.logit(judgement.melanoma, eps=1e-6).numpy())
        looks += [_row(lesion_looks(i, m)) for i, m in zip(images.numpy(), judgement.lesion.numpy())]
    return _Seen(np.concatenate(logits), np.array(looks))


def _row(looks: LesionLooks) -> tuple[float, float, float]:
    return looks.pigment, looks.border, looks.extent


def _drawn(
    generator: Generator, count: int, chance: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor | None]:
    configuration = generator.configuration
    latent = torch.randn((count, configuration.latent_size), generator=chance)
    if not configuration.classes:
        return latent, None
    return latent, torch.arange(count) % configuration.classes


def _named(directions: list[Direction]) -> list[Direction]:
    """Names by the largest effect, numbered in order of rank."""
    counts = dict.fromkeys(PROPERTIES, 0)
    named = []
    for direction in directions:
        name = max(direction.effects, key=lambda key: abs(direction.effects[key]))
        counts[name] += 1
        named.append(
            Direction(
                f"{name}_{counts[name]}", direction.vector, direction.scale, direction.layers,
                direction.singular_value, direction.melanoma_slope, direction.effects,
            )
        )  # fmt: skip
    return named
