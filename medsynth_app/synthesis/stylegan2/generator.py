"""Pictures that do not exist, from a trained StyleGAN2 generator: the same seed gives the same bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.data.arrays import to_pictures
from medsynth_app.synthesis.stylegan2.network import Generator, StyleGAN2Configuration

LARGEST_SEED = 2**63 - 1


@torch.no_grad()
def sample_picture(
    generator: Generator, seed: int, label: int | None = None, truncation: float = 1.0
) -> np.ndarray:
    """One picture.

    Args:
        generator: in evaluation mode, on the CPU (other devices round otherwise).
        seed: 0 to 2^63 - 1.
        label: class number of a class-conditional generator; None draws one.
        truncation: psi, 0 (the mean picture) to 1 (all the variety).

    Returns:
        (R, R, C) uint8.

    Raises:
        InvalidValueError: a value outside its range, named.
    """
    configuration = generator.configuration
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise InvalidValueError(f"seed: {seed!r} must be a whole number between 0 and {LARGEST_SEED}")
    if not math.isfinite(truncation) or not 0.0 <= truncation <= 1.0:
        raise InvalidValueError(f"truncation: {truncation!r} must be between 0 and 1")
    if label is not None and not 0 <= label < configuration.classes:
        raise InvalidValueError(f"label: {label!r} must be between 0 and {configuration.classes - 1}")
    chance = torch.Generator().manual_seed(seed)
    latent = torch.randn((1, configuration.latent_size), generator=chance)
    classes = None
    if configuration.classes:
        drawn = int(torch.randint(configuration.classes, (), generator=chance))
        classes = torch.tensor([drawn if label is None else label])
    return to_pictures(generator(latent, classes, truncation, chance))[0]


def build_generator(configuration: object, tensors: Mapping[str, torch.Tensor], name: str) -> Generator:
    """A trained generator in evaluation mode.

    Args:
        configuration: JSON record of its ``StyleGAN2Configuration``.
        tensors: its state.
        name: of the weights, for the error.

    Raises:
        InvalidValueError: the two do not fit together.
    """
    try:
        if not isinstance(configuration, Mapping):
            raise TypeError
        generator = Generator(StyleGAN2Configuration(**configuration))
        generator.load_state_dict(dict(tensors))
    except (TypeError, RuntimeError) as error:
        raise InvalidValueError(f"weights {name}: do not fit a StyleGAN2 generator") from error
    return generator.eval().requires_grad_(False)
