"""How good synthetic volumes are: fidelity to a pair, likeness of two collections, variety.

Features are those of photographs (EfficientNet-Lite0) on slices along all three axes (2.5-D), averaged: never to be
compared with figures of Inception or RadImageNet features, only with the floor between two halves of real volumes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from monai.metrics import PSNRMetric, SSIMMetric

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.stylegan2.projected import PhotographFeatures

SLICES_AN_AXIS = 4
FEWEST = 2


def fidelity(made: np.ndarray, real: np.ndarray) -> dict[str, float]:
    """3-D PSNR (dB) and SSIM of a pair (X, Y, Z) in 0..1.

    Raises:
        InvalidValueError: other shapes.
    """
    if made.shape != real.shape or made.ndim != 3:
        raise InvalidValueError(f"made: shape {made.shape} must be that of real {real.shape}, (X, Y, Z)")
    first, second = (torch.from_numpy(np.ascontiguousarray(a, np.float32))[None, None] for a in (made, real))
    psnr = torch.as_tensor(PSNRMetric(max_val=1.0)(first, second))
    ssim = torch.as_tensor(SSIMMetric(spatial_dims=3, data_range=1.0)(first, second))
    return {"psnr": float(psnr.mean()), "ssim": float(ssim.mean())}


def volume_similarity(made: np.ndarray, wanted: np.ndarray, labels: Mapping[str, int]) -> dict[str, float]:
    """1 - |V_made - V_wanted| / (V_made + V_wanted) of each structure (Taha and Hanbury 2015); 1 where both lack it."""
    similarity = {}
    for name, value in labels.items():
        first, second = int((made == value).sum()), int((wanted == value).sum())
        similarity[name] = 1.0 - abs(first - second) / (first + second) if first + second else 1.0
    return similarity


def anatomical_accuracy(made: np.ndarray, wanted: np.ndarray, labels: Mapping[str, int]) -> dict[str, float]:
    """Dice of each structure between what a segmenter finds in the image and what was asked for (1: both lack it)."""
    dice = {}
    for name, value in labels.items():
        first, second = made == value, wanted == value
        total = int(first.sum()) + int(second.sum())
        dice[name] = 2.0 * int((first & second).sum()) / total if total else 1.0
    return dice


@torch.no_grad()
def slice_features(volumes: Sequence[np.ndarray], network: PhotographFeatures | None = None) -> np.ndarray:
    """Features (N, D) float64 of volumes (X, Y, Z) in 0..1: deepest features of slices along all axes, averaged."""
    network = network or PhotographFeatures()
    rows = []
    for volume in volumes:
        parts = []
        for axis in range(3):
            places = np.linspace(0.25, 0.75, SLICES_AN_AXIS) * (volume.shape[axis] - 1)
            stack = np.stack([np.take(volume, int(round(p)), axis=axis) for p in places]).astype(np.float32)
            features = network(2.0 * torch.from_numpy(stack)[:, None] - 1.0)[-1]
            parts.append(features.mean(dim=(0, 2, 3)))
        rows.append(torch.cat(parts).double().numpy())
    return np.stack(rows)


def kernel_distance(made: np.ndarray, real: np.ndarray) -> float:
    """Unbiased KID: squared MMD of features (N, D) with the kernel (x.y / D + 1)^3 (Binkowski 2018).

    Raises:
        InvalidValueError: fewer than two volumes in either collection.
    """
    _check_collections(made, real)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1.0) ** 3

    def within(a: np.ndarray) -> float:
        values = kernel(a, a)
        return float((values.sum() - np.trace(values)) / (len(a) * (len(a) - 1)))

    return within(made) + within(real) - 2.0 * float(kernel(made, real).mean())


def frechet_distance(made: np.ndarray, real: np.ndarray) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2) of features (N, D); biased upwards where N is below D.

    The trace of the root is the sum of the singular values of X1 X2' / sqrt((n1 - 1)(n2 - 1)), X being centred: no
    matrix root is taken.

    Raises:
        InvalidValueError: fewer than two volumes in either collection.
    """
    _check_collections(made, real)
    first, second = made - made.mean(0), real - real.mean(0)
    n1, n2 = len(made) - 1, len(real) - 1
    root = np.linalg.svd(first @ second.T, compute_uv=False).sum() / np.sqrt(n1 * n2)
    spread = np.square(first).sum() / n1 + np.square(second).sum() / n2
    return float(np.square(made.mean(0) - real.mean(0)).sum() + spread - 2.0 * root)


def diversity(features: np.ndarray) -> float:
    """Mean distance between two volumes' features; compare with that of real ones."""
    _check_collections(features, features)
    distances = np.linalg.norm(features[:, None] - features[None], axis=2)
    return float(distances.sum() / (len(features) * (len(features) - 1)))


def compared(made: Sequence[np.ndarray], real: Sequence[np.ndarray], seed: int = 0) -> dict[str, float]:
    """KID, Frechet distance and diversity of two collections, beside the floor between two halves of the real one."""
    network = PhotographFeatures()
    first, second = slice_features(made, network), slice_features(real, network)
    order = np.random.default_rng(seed).permutation(len(second))
    halves = second[order[: len(order) // 2]], second[order[len(order) // 2 :]]
    return {
        "kid": kernel_distance(first, second),
        "kid_floor": kernel_distance(*halves),
        "frechet": frechet_distance(first, second),
        "frechet_floor": frechet_distance(*halves),
        "diversity": diversity(first),
        "diversity_real": diversity(second),
    }


def _check_collections(*collections: np.ndarray) -> None:
    for features in collections:
        if features.ndim != 2 or len(features) < FEWEST:
            raise InvalidValueError(f"features: of at least {FEWEST} volumes are needed, got {features.shape}")
