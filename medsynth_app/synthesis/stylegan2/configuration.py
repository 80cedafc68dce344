"""The record of one training run of the generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.stylegan2.augmentation import AdaptiveProbability
from medsynth_app.synthesis.stylegan2.network import StyleGAN2Configuration
from medsynth_app.synthesis.stylegan2.run import RunConfiguration, check_at_least_one, check_rates

LONGEST_START = 120_000
"""Images of a run by which its small resolutions and the guide's head start are measured: a longer run does not need
more of them, so that one may be gone on with for longer."""
COOLEST = 0.1
DISCRIMINATORS = ("projected", "stylegan2")
LOWEST_GUIDED_RESOLUTION = 32
MISMATCHED = 0.5
"""A good value where classes are nearly alike: without any the network may draw them all the same."""


def head_start(share: float, images: int) -> int:
    """Images at the beginning of a run that are this share of it; of a long run, of its first ``LONGEST_START``."""
    return round(share * min(images, LONGEST_START))


def growth_by_shares(
    shares: Sequence[tuple[int, float]], resolution: int, images: int
) -> tuple[tuple[int, int], ...]:
    """``TrainingConfiguration.growth`` of a run from (resolution, share of the images before it is trained)."""
    return tuple((side, head_start(share, images)) for side, share in shares if side <= resolution)


@dataclass(frozen=True)
class GuideConfiguration:
    """How the generator is guided by reconstruction.

    Attributes:
        images: images in which it only reconstructs, before the discriminator joins.
        squared_error: weight of the mean squared error (images in -1..1).
        region: how much more the body counts in it than the air around, see ``medical_squared_error``.
        lesion: how much more the lesion counts in it, where a mask tells where it is.
        edge: weight of the difference of edges.
        perceptual: weight of the perceptual distance, once the discriminator has joined; ``projected`` only.
    """

    images: int = 8000
    squared_error: float = 20.0
    region: float = 0.0
    lesion: float = 0.0
    edge: float = 0.0
    perceptual: float = 0.5


@dataclass(frozen=True)
class TrainingConfiguration(RunConfiguration):
    """One training run of the generator; ``batch_size`` counts reals, as many are made.

    Attributes:
        network: shape of generator and discriminator.
        discriminator: ``projected`` or ``stylegan2``.
        guide: reconstruction beside the adversary; None = none, as published.
        generator_rate, discriminator_rate: Adam's learning rates.
        cooled_share: of the images, the last ones, in which both rates fall to a tenth by half a cosine. Large rates
            keep pictures restless: at a quarter of them the kernel distance of skin lesions halved within 4,000 images.
        momentum: Adam's first beta of the generator once the discriminator has joined; 0 as published.
        balance: 0 draws classes as often as they occur, 1 equally often.
        style_mixing: probability that a picture is made of two w.
        r1: weight gamma of R1; None = 0.0002 * resolution^2 / batch_size. Only for ``stylegan2``.
        path_length: weight of the path length penalty; 0 = off.
        augmentation_target: see ``AdaptiveProbability``; None switches ADA off.
        augmentation_images: images until p may have gone from 0 to 1.
        augmentations: kinds of ``augmentation.CHANGES`` that ADA draws from; empty = all.
        growth: (resolution, images from which it is trained) pairs, ascending, for progressive growing; empty =
            the whole network from the start.
        average_images: half-life of the moving average of the weights, in images.
        mismatched: share of the discriminator's false examples that are real images under a wrong class (Reed 2016,
            GAN-CLS): it then has to look at the class.
        groups: of each class, the number of the group that its wrong classes are of; empty = one group. A wrong class
            of another group (a bleeding called a chest radiograph) would be too easily seen through; only a class that
            is alone in its group gets one.
        turn_images: show reals also mirrored and in quarter turns, for pictures without a natural upright.

    Raises:
        InvalidValueError: a value that is not allowed, named.
    """

    network: StyleGAN2Configuration = field(default_factory=StyleGAN2Configuration)
    discriminator: str = "projected"
    guide: GuideConfiguration | None = field(default_factory=GuideConfiguration)
    images: int = 200_000
    generator_rate: float = 4e-3
    discriminator_rate: float = 4e-4
    cooled_share: float = 0.15
    momentum: float = 0.5
    balance: float = 0.5
    style_mixing: float = 0.3
    r1: float | None = None
    path_length: float = 0.0
    augmentation_target: float | None = 0.6
    augmentation_images: int = 100_000
    augmentations: tuple[str, ...] = ()
    growth: tuple[tuple[int, int], ...] = ()
    average_images: int = 4000
    mismatched: float = 0.0
    groups: tuple[int, ...] = ()
    turn_images: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.discriminator not in DISCRIMINATORS:
            raise InvalidValueError(
                f"discriminator: {self.discriminator!r} must be one of {', '.join(DISCRIMINATORS)}"
            )
        if self.batch_size % 2:
            raise InvalidValueError(f"batch_size: {self.batch_size} must be even")
        check_at_least_one(self, ("average_images", "augmentation_images"))
        check_rates(self, ("generator_rate", "discriminator_rate"))
        for name in ("balance", "style_mixing", "momentum", "mismatched", "cooled_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InvalidValueError(f"{name}: {getattr(self, name)} must be between 0 and 1")
        smallest = self.network.resolution
        if (self.guide or self.discriminator == "projected") and smallest < LOWEST_GUIDED_RESOLUTION:
            raise InvalidValueError(
                f"resolution: {smallest} is too small for a guide or the projected discriminator; "
                f"at least {LOWEST_GUIDED_RESOLUTION} is needed"
            )
        if self.network.class_spreads and self.guide is None:
            raise InvalidValueError("class_spreads: needs a guide, whose latents tell them")
        if self.groups and len(self.groups) != self.network.classes:
            raise InvalidValueError(
                f"groups: {len(self.groups)} numbers for {self.network.classes} classes, one for each is needed"
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

    def rate_factor_at(self, images: int) -> float:
        """What both learning rates are multiplied by after this many images."""
        hot = (1.0 - self.cooled_share) * self.images
        if images <= hot or not self.cooled_share:
            return 1.0
        share = min(1.0, (images - hot) / (self.images - hot))
        return COOLEST + (1.0 - COOLEST) * 0.5 * (1.0 + math.cos(math.pi * share))

    def penalty_weight_at(self, side: int) -> float:
        """gamma of R1 at a resolution; 0 for the projected discriminator, which needs none."""
        if self.discriminator == "projected":
            return 0.0
        return 0.0002 * side**2 / self.batch_size if self.r1 is None else self.r1

    def new_augmentation(self) -> AdaptiveProbability:
        """ADA's probability at the start."""
        if self.augmentation_target is None:
            return AdaptiveProbability(fixed=True)
        return AdaptiveProbability(self.augmentation_target, self.augmentation_images)
