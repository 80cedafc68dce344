"""Random changes of a training case: one spatial resampling, then intensities.

Every function takes the ``torch.Generator`` it draws from, so a sample is a pure function of its seed.
Arrays are torch tensors: image (C, X, Y, Z) float32 z-scored with 0 outside the brain, label (X, Y, Z) int64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from medsynth_app.errors import InvalidValueError
from medsynth_app.segmentation.training.contrast import withhold_contrast
from medsynth_app.segmentation.training.losses import CORE_OF_UNKNOWN_KIND
from medsynth_app.vocabulary import TumorLabel

RAW_MEAN = (2.5, 6.0)
"""Mean of a brain's raw intensities in their standard deviations: the range in BraTS, by sequence and case."""


@dataclass(frozen=True)
class AugmentationConfiguration:
    """How strongly training cases are changed; each ``*_probability`` is per sample.

    Attributes:
        rotation_degrees: largest rotation about each axis.
        scale_range: smallest and largest zoom.
        spatial_probability: rotation and zoom happen.
        elastic_probability: an elastic warp is added.
        elastic_voxels: standard deviation of the warp's control points (every 24 voxels).
        flip_probability: left and right change places (the other axes would give heads that do not exist).
        gamma_probability / gamma_range: contrast curve, per sequence.
        brightness_probability / brightness_deviation: factor and shift, per sequence.
        bias_field_probability / bias_field_strength: smooth multiplicative field, per sequence.
        noise_probability / noise_deviation: Gaussian noise.
        blur_probability: lower resolution simulated by down- and upsampling.
        sequence_dropout_probability: of each sequence, that it is blanked; one that shows a tumour always stays, see
            ``blank_sequences``.
        contrast_withheld_probability: a patch with enhancing tumour becomes one without, see ``contrast``;
            only where T1 and T1ce are among the sequences.
        foreign_tumor_probability: another training case's tumour is put into the brain first, see ``transplant``.
        tumor_centered_probability: the patch is centred on a tumour voxel, else anywhere in the brain.
    """

    rotation_degrees: float = 20.0
    scale_range: tuple[float, float] = (0.8, 1.25)
    spatial_probability: float = 0.6
    elastic_probability: float = 0.3
    elastic_voxels: float = 4.0
    flip_probability: float = 0.5
    gamma_probability: float = 0.5
    gamma_range: tuple[float, float] = (0.6, 1.7)
    brightness_probability: float = 0.5
    brightness_deviation: float = 0.2
    bias_field_probability: float = 0.3
    bias_field_strength: float = 0.15
    noise_probability: float = 0.2
    noise_deviation: float = 0.15
    blur_probability: float = 0.15
    sequence_dropout_probability: float = 0.1
    contrast_withheld_probability: float = 0.0
    foreign_tumor_probability: float = 0.35
    tumor_centered_probability: float = 0.7

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith("_probability") and not 0.0 <= value <= 1.0:
                raise InvalidValueError(f"{name}: {value} must be between 0 and 1")


def augment(
    image: torch.Tensor,
    label: torch.Tensor,
    patch_size: tuple[int, int, int],
    configuration: AugmentationConfiguration,
    generator: torch.Generator,
    t1_and_t1ce: tuple[int, int] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One random training patch.

    Args:
        image: (C, X, Y, Z), any float dtype.
        label: (X, Y, Z), any integer dtype.
        patch_size: sides of the patch.
        t1_and_t1ce: their channels, or None where one of them is not read.

    Returns:
        image (C, *patch_size) float32 and label (*patch_size) int64, values 0..3, or 0, 2 and ``CORE_OF_UNKNOWN_KIND``
        where T1ce is missing.
    """
    center = _patch_center(label, patch_size, configuration, generator)
    grid = _sampling_grid(center, tuple(label.shape), patch_size, configuration, generator)
    patch = _sample(image, grid, "bilinear")
    target = _sample(label[None], grid, "nearest")[0].long()
    brain = (_sample((image[:1] != 0) | (image[-1:] != 0), grid, "nearest") > 0).float()
    if t1_and_t1ce and _happens(configuration.contrast_withheld_probability, generator):
        withhold_contrast(patch, target, *t1_and_t1ce, generator)
    patch = change_intensities(patch, configuration, generator) * brain
    if configuration.sequence_dropout_probability:
        blank_sequences(patch, configuration.sequence_dropout_probability, generator, t1_and_t1ce)
    if t1_and_t1ce and not bool(patch[t1_and_t1ce[1]].any()):
        forget_kind_of_core(target)
    return patch, target


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _happens(probability: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator)) < probability


def _patch_center(
    label: torch.Tensor,
    patch_size: tuple[int, int, int],
    configuration: AugmentationConfiguration,
    generator: torch.Generator,
) -> list[float]:
    """Voxel at the middle of the patch, such that the patch leaves the image as little as possible."""
    if _happens(configuration.tumor_centered_probability, generator) and bool((label > 0).any()):
        voxels = torch.nonzero(label > 0)
        center = voxels[int(torch.randint(len(voxels), (), generator=generator))].tolist()
    else:
        center = [_uniform(0, n - 1, generator) for n in label.shape]
    limited = []
    for position, side, patch in zip(center, label.shape, patch_size):
        start = min(max(int(position) - patch // 2, 0), side - patch) if side > patch else (side - patch) // 2
        # Voxel centres of the patch lie on voxel centres of the image: unrotated patches are exact crops.
        limited.append(start + (patch - 1) / 2)
    return limited


def _sampling_grid(
    center: list[float],
    shape: tuple[int, ...],
    patch_size: tuple[int, int, int],
    configuration: AugmentationConfiguration,
    generator: torch.Generator,
) -> torch.Tensor:
    """Source of every patch voxel in the units of ``grid_sample``: (1, *patch_size, 3), last axis z, y, x."""
    matrix = torch.eye(3)
    if _happens(configuration.spatial_probability, generator):
        matrix = _rotation(configuration.rotation_degrees, generator) / _uniform(
            *configuration.scale_range, generator
        )
    if _happens(configuration.flip_probability, generator):
        matrix[0] = -matrix[0]
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in patch_size]
    # A matrix times a grid of coordinates is a sum of three one-dimensional terms: no (N, 3) x (3, 3) product.
    coordinates = torch.stack(
        [
            (matrix[row, 0] * axes[0])[:, None, None]
            + (matrix[row, 1] * axes[1])[None, :, None]
            + (matrix[row, 2] * axes[2])[None, None, :]
            + center[row]
            for row in range(3)
        ]
    )
    if _happens(configuration.elastic_probability, generator):
        coordinates = coordinates + _elastic_warp(patch_size, configuration.elastic_voxels, generator)
    for row in range(3):
        coordinates[row].mul_(2 / max(shape[row] - 1, 1)).sub_(1)
    return coordinates.flip(0).permute(1, 2, 3, 0)[None]


def _rotation(degrees: float, generator: torch.Generator) -> torch.Tensor:
    """Rotation matrix of three angles, each uniform in +-``degrees``."""
    matrix = torch.eye(3)
    for axis in range(3):
        angle = math.radians(_uniform(-degrees, degrees, generator))
        first, second = [a for a in range(3) if a != axis]
        turn = torch.eye(3)
        turn[first, first] = turn[second, second] = math.cos(angle)
        turn[first, second], turn[second, first] = -math.sin(angle), math.sin(angle)
        matrix = matrix @ turn
    return matrix


def _elastic_warp(
    patch_size: tuple[int, int, int], deviation: float, generator: torch.Generator
) -> torch.Tensor:
    """Smooth displacement in voxels, (3, *patch_size)."""
    controls = [max(3, n // 24) for n in patch_size]
    warp = torch.randn((1, 3, *controls), generator=generator) * deviation
    return functional.interpolate(warp, size=patch_size, mode="trilinear", align_corners=True)[0]


def _sample(channels: torch.Tensor, grid: torch.Tensor, mode: str) -> torch.Tensor:
    return functional.grid_sample(
        channels[None].float(), grid, mode=mode, padding_mode="zeros", align_corners=True
    )[0]


def change_intensities(
    image: torch.Tensor, configuration: AugmentationConfiguration, generator: torch.Generator
) -> torch.Tensor:
    """Contrast, brightness, bias field, resolution and noise.

    Args:
        image: (C, X, Y, Z) float32, changed in place and returned.
    """
    for channel in image:
        if not bool(channel.any()):  # missing, and stays so
            continue
        if _happens(configuration.gamma_probability, generator):
            _change_gamma(channel, _uniform(*configuration.gamma_range, generator))
        if _happens(configuration.brightness_probability, generator):
            deviation = configuration.brightness_deviation
            channel.mul_(1 + deviation * float(torch.randn((), generator=generator)))
            channel.add_(deviation * float(torch.randn((), generator=generator)))
        if _happens(configuration.noise_probability, generator):
            strength = _uniform(0, configuration.noise_deviation, generator)
            channel.add_(torch.randn(channel.shape, generator=generator), alpha=strength)
        if _happens(configuration.blur_probability, generator):
            channel.copy_(_lower_resolution(channel, _uniform(0.5, 1.0, generator)))
        if _happens(configuration.bias_field_probability, generator):
            field = _bias_field(tuple(channel.shape), configuration.bias_field_strength, generator)
            # A coil's field multiplies the raw intensities, of which the z-score has taken the mean away.
            mean = _uniform(*RAW_MEAN, generator)
            channel.add_(mean).mul_(field).sub_(mean)
    return image


def blank_sequences(
    image: torch.Tensor,
    probability: float,
    generator: torch.Generator,
    t1_and_t1ce: tuple[int, int] | None = None,
) -> None:
    """Blank each sequence with a probability, in place, so that every set of sequences is seen in training.

    T1 alone shows too little of a tumour to learn from: where only T1, or nothing, would be left, one of the other
    sequences that the image has stays.

    Args:
        image: (C, X, Y, Z) float32; a sequence that is 0 everywhere is missing already.
        probability: of each sequence.
        generator: what chance is drawn from.
        t1_and_t1ce: their channels, or None where one of them is not read.
    """
    blanked = torch.rand(len(image), generator=generator) < probability
    telling = [
        channel
        for channel in range(len(image))
        if bool(image[channel].any()) and not (t1_and_t1ce and channel == t1_and_t1ce[0])
    ]
    if telling and all(bool(blanked[channel]) for channel in telling):
        blanked[telling[int(torch.randint(len(telling), (), generator=generator))]] = False
    image[blanked] = 0


def forget_kind_of_core(label: torch.Tensor) -> None:
    """Without T1ce nothing tells enhancing tumour from necrotic core: both become ``CORE_OF_UNKNOWN_KIND``, in place.

    Args:
        label: (X, Y, Z) int64, values 0..3.
    """
    label[(label == TumorLabel.ENHANCING_TUMOR) | (label == TumorLabel.NECROTIC_CORE)] = CORE_OF_UNKNOWN_KIND


def _change_gamma(channel: torch.Tensor, gamma: float) -> None:
    low, high = channel.min(), channel.max()
    span = (high - low).clamp_min(1e-6)
    mean, deviation = channel.mean(), channel.std()
    channel.sub_(low).div_(span).pow_(gamma)
    # Mean and spread are kept: the network sees z-scored images at inference too.
    channel.sub_(channel.mean()).mul_(deviation / channel.std().clamp_min(1e-6)).add_(mean)


def _lower_resolution(channel: torch.Tensor, factor: float) -> torch.Tensor:
    small = functional.interpolate(channel[None, None], scale_factor=factor, mode="trilinear")
    return functional.interpolate(small, size=channel.shape, mode="trilinear")[0, 0]


def _bias_field(shape: tuple[int, ...], strength: float, generator: torch.Generator) -> torch.Tensor:
    """Smooth positive field around 1, (X, Y, Z)."""
    controls = torch.randn((1, 1, 3, 3, 3), generator=generator) * strength
    return functional.interpolate(controls, size=shape, mode="trilinear", align_corners=True)[0, 0].exp()
