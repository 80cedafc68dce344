"""Adaptive discriminator augmentation (Karras et al., NeurIPS 2020): the same random changes of real and
generated images before the discriminator, with a probability p that follows how much it overfits.

All changes are matrices: one 2 x 3 matrix per image for geometry (applied once, bilinear, reflected borders) and
one 3 x 4 matrix for colour. With p = 0 images pass unchanged, bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from medsynth_app.errors import InvalidValueError

CHANGES = (
    "flip", "quarter_turn", "shift", "scale", "rotation", "stretch", "fraction", "brightness", "contrast",
    "luma_flip", "hue", "saturation",
)  # fmt: skip
GREY_CHANGES = tuple(name for name in CHANGES if name not in ("luma_flip", "hue", "saturation"))
"""For images of one channel."""
SCALE_DEVIATION = 0.2 * math.log(2.0)
CONTRAST_DEVIATION = 0.5 * math.log(2.0)
SATURATION_DEVIATION = math.log(2.0)
BRIGHTNESS_DEVIATION = 0.2
SHIFT_SHARE = 0.125
LARGEST_PROBABILITY = 0.8
"""Beyond it, augmentations start to leak into the generated images (figure 3 of the paper)."""


@dataclass(frozen=True)
class Changes:
    """Drawn changes of a batch.

    Attributes:
        geometry: (N, 2, 3), output -> input in coordinates -1..1; None = unchanged.
        color: (N, 3, 4), last column added; for grey images (N, 1, 2); None = unchanged.
    """

    geometry: torch.Tensor | None
    color: torch.Tensor | None


def draw_changes(
    count: int,
    probability: float,
    channels: int,
    generator: torch.Generator,
    names: tuple[str, ...] | None = None,
) -> Changes:
    """Draw the changes of ``count`` images, each kind with ``probability`` by itself.

    Args:
        count: images.
        probability: p, 0 to 1.
        channels: 1 or 3.
        generator: source of chance.
        names: kinds of ``CHANGES`` to draw from; those fit for the channels by default.

    Raises:
        InvalidValueError: an unknown kind.
    """
    names = (CHANGES if channels == 3 else GREY_CHANGES) if names is None else names
    unknown = [name for name in names if name not in CHANGES]
    if unknown:
        raise InvalidValueError(
            f"augmentation: {unknown[0]!r} is not known, allowed are {', '.join(CHANGES)}"
        )
    if probability <= 0.0:
        return Changes(None, None)
    dice = _Dice(count, probability, generator, names)
    color = _color(dice) if channels == 3 else _grey(dice)
    return Changes(_geometry(dice)[:, :2], color)


def apply_changes(images: torch.Tensor, changes: Changes) -> torch.Tensor:
    """Changed images; differentiable once.

    Args:
        images: (N, C, R, R), about -1..1.
        changes: of N images.
    """
    if changes.geometry is not None:
        grid = functional.affine_grid(
            changes.geometry.to(images.device, images.dtype), list(images.shape), align_corners=False
        )
        images = functional.grid_sample(
            images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
        )
    if changes.color is not None:
        color = changes.color.to(images.device, images.dtype)
        count, channels, *sides = images.shape
        flat = color[:, :, :-1] @ images.reshape(count, channels, -1) + color[:, :, -1:]
        images = flat.reshape(count, channels, *sides)
    return images


class AdaptiveProbability:
    """p, moved so that the share of real images that the discriminator is sure of stays at a target.

    Args:
        target: wanted mean of sign(D(real)); 0.6 in the paper.
        images_for_one: images until p has gone from 0 to 1; 500 000 in the paper, 100 000 for transfer.
        probability: first p.
        fixed: keep p where it is.
    """

    def __init__(
        self,
        target: float = 0.6,
        images_for_one: float = 500_000,
        probability: float = 0.0,
        fixed: bool = False,
    ) -> None:
        self.target = target
        self.images_for_one = images_for_one
        self.probability = probability
        self.fixed = fixed

    def update(self, mean_sign: float, images: int) -> float:
        """Move p one step for ``images`` seen with this mean of sign(D(real)); returns p."""
        if not self.fixed:
            step = math.copysign(images / self.images_for_one, mean_sign - self.target)
            self.probability = min(max(self.probability + step, 0.0), LARGEST_PROBABILITY)
        return self.probability


class _Dice:
    """Random numbers of a batch: a value where the kind of change is drawn, its neutral value elsewhere."""

    def __init__(
        self, count: int, probability: float, generator: torch.Generator, names: tuple[str, ...]
    ) -> None:
        self.count = count
        self.probability = probability
        self.generator = generator
        self.names = names

    def uniform(self, name: str, low: float, high: float, probability: float | None = None) -> torch.Tensor:
        return self._chosen(name, low + (high - low) * self._rand(), 0.0, probability)

    def normal(self, name: str, deviation: float) -> torch.Tensor:
        values = torch.randn(self.count, generator=self.generator) * deviation
        return self._chosen(name, values, 0.0, None)

    def whole(self, name: str, below: int) -> torch.Tensor:
        return self._chosen(name, torch.floor(self._rand() * below), 0.0, None)

    def _rand(self) -> torch.Tensor:
        return torch.rand(self.count, generator=self.generator)

    def _chosen(
        self, name: str, values: torch.Tensor, neutral: float, probability: float | None
    ) -> torch.Tensor:
        chance = self.probability if probability is None else probability
        drawn = self._rand() < (chance if name in self.names else 0.0)
        return torch.where(drawn, values, torch.full_like(values, neutral))


def _geometry(dice: _Dice) -> torch.Tensor:
    """(N, 3, 3), output -> input. Order as in the paper: flip, quarter turn, shift, scale, rotate, stretch,
    rotate, fractional shift. The two rotations share one probability so that together they are drawn with p."""
    flip = 1.0 - 2.0 * dice.whole("flip", 2)
    one = torch.ones_like(flip)
    matrix = _scaling(flip, one)
    matrix = matrix @ _rotation(dice.whole("quarter_turn", 4) * (math.pi / 2))
    matrix = matrix @ _shift(
        dice.uniform("shift", -2 * SHIFT_SHARE, 2 * SHIFT_SHARE),
        dice.uniform("shift", -2 * SHIFT_SHARE, 2 * SHIFT_SHARE),
    )
    scale = torch.exp(dice.normal("scale", SCALE_DEVIATION))
    matrix = matrix @ _scaling(scale, scale)
    each = 1.0 - math.sqrt(1.0 - dice.probability)
    matrix = matrix @ _rotation(dice.uniform("rotation", -math.pi, math.pi, each))
    stretch = torch.exp(dice.normal("stretch", SCALE_DEVIATION))
    matrix = matrix @ _scaling(stretch, 1.0 / stretch)
    matrix = matrix @ _rotation(dice.uniform("rotation", -math.pi, math.pi, each))
    return matrix @ _shift(dice.normal("fraction", 2 * SHIFT_SHARE), dice.normal("fraction", 2 * SHIFT_SHARE))


def _scaling(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    matrix = torch.eye(3).repeat(len(x), 1, 1)
    matrix[:, 0, 0], matrix[:, 1, 1] = x, y
    return matrix


def _rotation(angle: torch.Tensor) -> torch.Tensor:
    matrix = torch.eye(3).repeat(len(angle), 1, 1)
    matrix[:, 0, 0] = matrix[:, 1, 1] = torch.cos(angle)
    matrix[:, 0, 1], matrix[:, 1, 0] = -torch.sin(angle), torch.sin(angle)
    return matrix


def _shift(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    matrix = torch.eye(3).repeat(len(x), 1, 1)
    matrix[:, 0, 2], matrix[:, 1, 2] = x, y
    return matrix


def _color(dice: _Dice) -> torch.Tensor:
    """(N, 3, 4): brightness, contrast, luma flip, hue and saturation about the grey axis v = (1, 1, 1) / sqrt 3."""
    matrix = torch.eye(4).repeat(dice.count, 1, 1)
    matrix[:, :3, 3] = dice.normal("brightness", BRIGHTNESS_DEVIATION)[:, None]
    contrast = torch.exp(dice.normal("contrast", CONTRAST_DEVIATION))
    matrix = _linear(torch.eye(3) * contrast[:, None, None]) @ matrix
    axis = torch.full((3, 1), 1 / math.sqrt(3.0))
    outer = axis @ axis.T
    flip = dice.whole("luma_flip", 2)[:, None, None]
    matrix = _linear(torch.eye(3) - 2 * outer * flip) @ matrix
    matrix = _linear(_turn_about_grey(dice.uniform("hue", -math.pi, math.pi))) @ matrix
    saturation = torch.exp(dice.normal("saturation", SATURATION_DEVIATION))[:, None, None]
    matrix = _linear(outer + (torch.eye(3) - outer) * saturation) @ matrix
    return matrix[:, :3]


def _grey(dice: _Dice) -> torch.Tensor:
    """(N, 1, 2): brightness, then contrast."""
    brightness = dice.normal("brightness", BRIGHTNESS_DEVIATION)
    contrast = torch.exp(dice.normal("contrast", CONTRAST_DEVIATION))
    return torch.stack([contrast, contrast * brightness], dim=1)[:, None]


def _linear(matrix: torch.Tensor) -> torch.Tensor:
    """(N, 3, 3) as homogeneous (N, 4, 4)."""
    whole = torch.eye(4).repeat(len(matrix), 1, 1)
    whole[:, :3, :3] = matrix
    return whole


def _turn_about_grey(angle: torch.Tensor) -> torch.Tensor:
    """Rotation of colours about the grey axis by Rodrigues' formula, (N, 3, 3)."""
    k = 1 / math.sqrt(3.0)
    cross = torch.tensor([[0.0, -k, k], [k, 0.0, -k], [-k, k, 0.0]])
    sine, cosine = torch.sin(angle)[:, None, None], torch.cos(angle)[:, None, None]
    return torch.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)
