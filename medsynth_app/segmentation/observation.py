"""What a network shows of itself on one case: several answers, and its deepest features.

Several answers come from dropout that stays on (where the network was built with dropout), else from changed copies
of the image: its left-right mirror, and copies with other brightness and a little noise.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.segmentation.inference import InferenceConfiguration, predict_logits
from medsynth_app.segmentation.localization import inside_brain, tumor_box

STEP = 2
"""Every second voxel along each axis: an eighth of the work for means over a million voxels."""
LARGEST_GAIN = 0.1
LARGEST_SHIFT = 0.1
NOISE = 0.1
"""Of changed copies, in standard deviations of the brain's intensities."""

DROPOUT = (nn.Dropout, nn.Dropout2d, nn.Dropout3d)


@dataclass(frozen=True)
class Observation:
    """A case as the network answers it.

    Attributes:
        answers: class probabilities (4, X', Y', Z') float32, one array an answer, on every second voxel of the part
            that may hold tumour.
        brain: (X', Y', Z') bool, where any sequence is not 0.
        features: (D,) float32, the deepest level's activations averaged over space, of a look at the whole brain.
    """

    answers: list[np.ndarray] = field(repr=False)
    brain: np.ndarray = field(repr=False)
    features: np.ndarray = field(repr=False)


def private_copy(network: nn.Module) -> nn.Module:
    """A copy whose dropout may be switched without disturbing who else uses the network."""
    return copy.deepcopy(network).eval()


def has_dropout(network: nn.Module) -> bool:
    """Whether the network was built with dropout."""
    return any(isinstance(module, DROPOUT) and module.p > 0 for module in network.modules())


@torch.inference_mode()
def observe(
    image: torch.Tensor,
    network: nn.Module,
    passes: int = 4,
    seed: int = 0,
    configuration: InferenceConfiguration = InferenceConfiguration(),
) -> Observation:
    """Several answers to one prepared case.

    As in inference the whole brain is looked at in half the resolution, and what may be tumour in full: the answers are
    to that part, an eighth to a third of the work. With ``whole_brain`` they are to all of it.

    Args:
        image: (C, X, Y, Z) float32, as ``prepare`` makes it.
        network: a private copy in evaluation mode: its dropout is switched on and off.
        passes: how many answers, at least 1; the first one is the plain answer.
        seed: of dropout and of the changed copies.
        configuration: precision, memory and extent of the inference.

    Raises:
        InvalidValueError: ``passes`` is below 1.
    """
    if passes < 1:
        raise InvalidValueError(f"passes: {passes} must be at least 1")
    predict = partial(predict_logits, network=network, configuration=configuration)
    with _deepest_activation(network) as deepest:
        first = predict(image) if configuration.whole_brain else None
        if first is None:
            x, y, z = tumor_box(image, predict).slices
            image = image[:, x, y, z]
    answers = [_thin_probabilities(predict(image) if first is None else first)]
    features = deepest[0].float().mean(dim=(0, 2, 3, 4)).cpu().numpy()
    if has_dropout(network):
        answers += _answers_with_dropout(image, network, passes - 1, seed, configuration)
    else:
        answers += _answers_to_copies(image, network, passes - 1, seed, configuration)
    brain = inside_brain(image)[::STEP, ::STEP, ::STEP].numpy()
    return Observation(answers, brain, features)


def _answers_with_dropout(
    image: torch.Tensor, network: nn.Module, passes: int, seed: int, configuration: InferenceConfiguration
) -> Iterator[np.ndarray]:
    layers = [module for module in network.modules() if isinstance(module, DROPOUT)]
    for layer in layers:
        layer.train()
    try:
        for index in range(passes):
            torch.manual_seed(seed * 1_000_003 + index)
            yield _thin_probabilities(predict_logits(image, network, configuration))
    finally:
        for layer in layers:
            layer.eval()


def _answers_to_copies(
    image: torch.Tensor, network: nn.Module, passes: int, seed: int, configuration: InferenceConfiguration
) -> Iterator[np.ndarray]:
    generator = torch.Generator().manual_seed(seed)
    for index in range(passes):
        mirrored = index % 2 == 0
        changed = image if index == 0 else _changed(image, generator)
        logits = predict_logits(changed.flip(1) if mirrored else changed, network, configuration)
        yield _thin_probabilities(logits.flip(1) if mirrored else logits)


def _changed(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Another brightness and contrast for each sequence, and noise; what is outside the brain stays 0."""
    shape = (len(image), 1, 1, 1)
    gain = 1 + LARGEST_GAIN * (2 * torch.rand(shape, generator=generator) - 1)
    shift = LARGEST_SHIFT * (2 * torch.rand(shape, generator=generator) - 1)
    noise = NOISE * torch.randn(image.shape, generator=generator)
    return (image * gain + shift + noise) * (image != 0)


def _thin_probabilities(logits: torch.Tensor) -> np.ndarray:
    return torch.softmax(logits[:, ::STEP, ::STEP, ::STEP].float(), dim=0).cpu().numpy()


@contextmanager
def _deepest_activation(network: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Records the last output of the level with the fewest voxels, whatever the network is."""
    deepest: list[torch.Tensor] = []

    def look(module: nn.Module, inputs: object, output: object) -> None:
        if not isinstance(output, torch.Tensor) or output.ndim != 5:
            return
        if not deepest or output[0, 0].numel() <= deepest[0][0, 0].numel():
            deepest[:] = [output]

    leaves = [module for module in network.modules() if not list(module.children())]
    handles = [leaf.register_forward_hook(look) for leaf in leaves]
    try:
        yield deepest
    finally:
        for handle in handles:
            handle.remove()
