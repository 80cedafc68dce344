"""Real labelled cases as the learned appearance sees them: what each voxel is made of, and how bright that is.

Axes R, A, S; voxels of 2 mm. A sequence's values are measured from the median of the healthy brain in its standard
deviations, so that scanners of any gain agree. The ``mean image`` holds, for every voxel, the means of its tissues in
this person, weighted by their shares: all that is not texture. What is left is the ``residual``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.geometry import foreground_box, isotropic_grid, reorient, resample
from medsynth_app.imaging.labels import read_submitted_label
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import Modality, TumorLabel

CLASSES = ("white_matter", "grey_matter", "fluid", "edema", "necrotic_core", "enhancing_tumor")
HEALTHY = 3
"""The first classes of ``CLASSES``; the others are the tumour's labels."""
LABELS = (TumorLabel.EDEMA, TumorLabel.NECROTIC_CORE, TumorLabel.ENHANCING_TUMOR)
SPACING_MM = 2.0
BLOCK = 2
VALUE_RANGE = (-5.0, 8.0)
FEWEST_VOXELS = 10
"""A class with fewer voxels (2 mm) in a case says nothing about its mean."""
TISSUE_START = np.array([
    [0.0, 0.8, 0.5, -0.8],
    [0.5, -0.2, 0.0, 0.2],
    [-2.0, -1.8, -1.6, 2.5],
])  # fmt: skip
"""FLAIR, T1, T1ce, T2 of white matter, grey matter and fluid from which the clustering starts."""
WEIGHT_OF_SEQUENCE = np.array([0.5, 1.0, 0.0, 1.2])
"""How much each counts in the clustering; T1ce nothing, for vessels are bright there."""
DARKEST_FLUID = 1.5
"""Fluid is at least so bright on T2: the dim voxels at the brain's edge are none."""
CLUSTER_ROUNDS = 12


@dataclass(frozen=True)
class ObservedCase:
    """A real case, taken apart.

    Attributes:
        name: of the case.
        mean_image: (4, X, Y, Z) float32, see the module.
        residual: (4, X, Y, Z) float32, 0 outside the brain.
        shares: (6, X, Y, Z) float32 of ``CLASSES``; they add up to 1 inside the brain.
        means: (6, 4) of classes and sequences; NaN where a class is hardly there.
        offsets: (4,) median of the healthy brain in its standard deviations: how far from 0 the values lie.
        grain: (4,) standard deviation of what 1 mm voxels show beyond 2 mm ones, in white matter.
    """

    name: str
    mean_image: np.ndarray
    residual: np.ndarray
    shares: np.ndarray
    means: np.ndarray
    offsets: np.ndarray
    grain: np.ndarray


def observe(files: CaseFiles) -> ObservedCase:
    """Take one labelled case apart.

    Raises:
        InvalidValueError: it has no label, a sequence is missing, or it shows no healthy brain.
    """
    if files.label is None:
        raise InvalidValueError(f"{files.name}: has no label file (_seg or -seg)")
    volume = files.read([modality.value for modality in Modality])
    label = read_submitted_label(files.label, volume, name=f"{files.name} label")
    working = _at_one_millimetre(volume, order=1)
    labels = _at_one_millimetre(Volume(label[None], volume.affine), order=0).array[0]
    brain = (working.array != 0).any(axis=0)
    box = foreground_box(brain)
    x, y, z = box.slices
    images = working.array[:, x, y, z]
    return take_apart(files.name, images, labels[box.slices], brain[box.slices])


def _at_one_millimetre(volume: Volume, *, order: int) -> Volume:
    """Axes R, A, S and cubic voxels of 1 mm, interpolated only where they are not so already."""
    upright = reorient(volume)
    if np.allclose(upright.spacing, 1.0, atol=0.02):
        return upright
    affine, shape = isotropic_grid(upright, 1.0)
    return resample(upright, affine, shape, order=order)


def take_apart(name: str, images: np.ndarray, labels: np.ndarray, brain: np.ndarray) -> ObservedCase:
    """The parts of a case on 1 mm voxels.

    Args:
        name: of the case.
        images: (4, X, Y, Z), FLAIR, T1, T1ce, T2 of any gain.
        labels: (X, Y, Z), values of ``TumorLabel``.
        brain: (X, Y, Z) bool.
    """
    values, offsets = _standardised(images, brain, labels)
    weight = block_mean(brain.astype(np.float32))
    coarse = np.stack([block_mean(channel * brain) for channel in values]) / np.maximum(weight, 1e-3)
    inside = weight > 0.5
    tumor = np.stack([block_mean((labels == label).astype(np.float32)) for label in LABELS])
    shares = np.zeros((len(CLASSES), *inside.shape), dtype=np.float32)
    shares[HEALTHY:] = tumor * inside
    healthy = np.clip(1.0 - shares[HEALTHY:].sum(axis=0), 0.0, 1.0) * inside
    deep = binary_erosion(healthy > 0.99, iterations=2)
    shares[:HEALTHY, inside] = _tissues(coarse[:, inside], deep[inside]).T * healthy[inside]
    means = _class_means(coarse, shares)
    mean_image = mean_image_of(shares, np.nan_to_num(means))
    residual = ((coarse - mean_image) * inside).astype(np.float32)
    white = shares[0] > 0.9
    return ObservedCase(name, mean_image, residual, shares, means, offsets, _grain(values, coarse, white))


def mean_image_of(shares: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Shares (6, X, Y, Z) and means (6, 4) -> (4, X, Y, Z) float32."""
    return np.einsum("kxyz,kc->cxyz", shares, means.astype(np.float32)).astype(np.float32)


def block_mean(array: np.ndarray) -> np.ndarray:
    """(X, Y, Z) -> mean over blocks of 2 voxels a side, (X/2, Y/2, Z/2) rounded up; beyond the edge lies 0."""
    padded = np.pad(array, [(0, n % BLOCK) for n in array.shape])
    x, y, z = (n // BLOCK for n in padded.shape)
    return padded.reshape(x, BLOCK, y, BLOCK, z, BLOCK).mean(axis=(1, 3, 5), dtype=np.float32)


def _standardised(images: np.ndarray, brain: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    healthy = brain & (labels == 0)
    if not healthy.any():
        raise InvalidValueError("images: show no healthy brain to measure the tumour's values by")
    values, offsets = np.zeros(images.shape, dtype=np.float32), np.zeros(len(images))
    for number, channel in enumerate(images):
        inside = channel[healthy]
        low, high = np.percentile(inside, (1, 99))
        middle, spread = float(np.median(inside)), float(np.clip(inside, low, high).std())
        offsets[number] = middle / max(spread, 1e-6)
        values[number] = np.clip((channel - middle) / max(spread, 1e-6), *VALUE_RANGE) * brain
    return values, offsets


def _tissues(values: np.ndarray, deep: np.ndarray) -> np.ndarray:
    """Shares (N, 3) of white matter, grey matter and fluid by fuzzy clustering of values (4, N).

    Centres are found among the voxels ``deep`` (N,) in the healthy brain.
    """
    points = values.T
    sample = points[deep][:: max(1, int(deep.sum()) // 20000)]
    centres = TISSUE_START.copy()
    for _ in range(CLUSTER_ROUNDS):
        nearest = _squared_distances(sample, centres).argmin(axis=1)
        for tissue in range(HEALTHY):
            chosen = sample[nearest == tissue]
            if len(chosen) >= FEWEST_VOXELS:
                centres[tissue] = np.median(chosen, axis=0)
        centres[-1, -1] = max(centres[-1, -1], DARKEST_FLUID)
    distances = _squared_distances(points, centres)
    weights = 1.0 / np.maximum(distances, 1e-3) ** 2
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _squared_distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    return np.stack([(WEIGHT_OF_SEQUENCE * np.square(points - centre)).sum(axis=1) for centre in centres], axis=1)


def _class_means(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(6, 4): mean of each sequence over voxels that are mostly one class; NaN where there are too few."""
    means = np.full((len(shares), len(values)), np.nan)
    for number, share in enumerate(shares):
        pure = share > 0.7
        if pure.sum() >= FEWEST_VOXELS:
            means[number] = values[:, pure].mean(axis=1)
    return means


def _grain(values: np.ndarray, coarse: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Robust deviation of 1 mm voxels from their block's mean in white matter, (4,)."""
    x, y, z = (2 * (n // 2) for n in values.shape[1:])
    grain = np.zeros(len(values))
    for number, channel in enumerate(values):
        blocks = channel[:x, :y, :z].reshape(x // 2, 2, y // 2, 2, z // 2, 2)
        fine = blocks - coarse[number, : x // 2, : y // 2, : z // 2][:, None, :, None, :, None]
        inside = fine.transpose(0, 2, 4, 1, 3, 5)[white[: x // 2, : y // 2, : z // 2]]
        grain[number] = 1.4826 * float(np.median(np.abs(inside))) if inside.size else 0.0
    return grain
