"""How good synthetic images are: fidelity to a pair, likeness of two collections, variety, adherence to conditions.

Measures of collections take features (N, D) of ``features.py``, so they serve pictures, volumes and skin alike. A
distance says little alone: ``compared`` puts the distance of two collections of real images beside it, the floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.metrics import PSNRMetric, SSIMMetric

from medsynth_app.errors import InvalidValueError

FEWEST = 2
KID_SUBSETS = 100
LARGEST_KID_SUBSET = 1000
NEIGHBOURS = 5
NORMAL = "normal"
FIGURES = (
    "samples", "kid", "kid_sd", "kid_floor", "kid_floor_sd", "frechet", "frechet_floor", "diversity", "diversity_real",
    "coverage", "coverage_real",
)  # fmt: skip
"""What ``compared`` tells; ``samples`` is the number of images on each side."""


def fidelity(made: np.ndarray, real: np.ndarray) -> dict[str, float]:
    """PSNR (dB) and SSIM of a pair in 0..1: pictures (C, H, W) or volumes (C, X, Y, Z).

    Raises:
        InvalidValueError: other shapes.
    """
    if made.shape != real.shape or made.ndim not in (3, 4):
        raise InvalidValueError(
            f"made: shape {made.shape} must be that of real {real.shape}, (C, H, W) or (C, X, Y, Z)"
        )
    first, second = (torch.from_numpy(np.ascontiguousarray(a, np.float32))[None] for a in (made, real))
    psnr = torch.as_tensor(PSNRMetric(max_val=1.0)(first, second))
    ssim = torch.as_tensor(SSIMMetric(spatial_dims=made.ndim - 1, data_range=1.0)(first, second))
    return {"psnr": float(psnr.mean()), "ssim": float(ssim.mean())}


def kernel_distance(made: np.ndarray, real: np.ndarray) -> float:
    """Unbiased KID: squared MMD of features (N, D) with the kernel (x.y / D + 1)^3 (Binkowski 2018).

    Raises:
        InvalidValueError: fewer than two images in either collection.
    """
    _check_collections(made, real)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1.0) ** 3

    def within(a: np.ndarray) -> float:
        values = kernel(a, a)
        return float((values.sum() - np.trace(values)) / (len(a) * (len(a) - 1)))

    return within(made) + within(real) - 2.0 * float(kernel(made, real).mean())


def kernel_distance_spread(made: np.ndarray, real: np.ndarray, seed: int = 0) -> float:
    """Standard deviation of KID over 100 draws of half of each collection (at most 1000 images).

    Binkowski 2018 draws subsets of a thousand; small medical collections have no thousand to draw from.
    """
    _check_collections(made, real)
    size = max(FEWEST, min(len(made) // 2, len(real) // 2, LARGEST_KID_SUBSET))
    draw = np.random.default_rng(seed)
    values = [
        kernel_distance(*(part[draw.permutation(len(part))[:size]] for part in (made, real)))
        for _ in range(KID_SUBSETS)
    ]
    return float(np.std(values))


def frechet_distance(made: np.ndarray, real: np.ndarray) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2) of features (N, D); biased upwards where N is below D.

    The trace of the root is the sum of the singular values of X1 X2' / sqrt((n1 - 1)(n2 - 1)), X being centred; by
    X = QR they are those of R1 R2', at most D x D. No matrix root is taken.

    Raises:
        InvalidValueError: fewer than two images in either collection.
    """
    _check_collections(made, real)
    first, second = made - made.mean(0), real - real.mean(0)
    n1, n2 = len(made) - 1, len(real) - 1
    upper = [np.asarray(np.linalg.qr(centred, mode="r")) for centred in (first, second)]
    root = np.linalg.svd(upper[0] @ upper[1].T, compute_uv=False).sum() / np.sqrt(n1 * n2)
    spread = np.square(first).sum() / n1 + np.square(second).sum() / n2
    return float(np.square(made.mean(0) - real.mean(0)).sum() + spread - 2.0 * root)


def diversity(features: np.ndarray) -> float:
    """Mean distance between the features of two images of a collection; compare with that of real ones."""
    _check_collections(features)
    return float(_distances(features, features).sum() / (len(features) * (len(features) - 1)))


def coverage(made: np.ndarray, real: np.ndarray) -> float:
    """Share of real images with a synthetic one nearer than their fifth real neighbour (Naeem 2020).

    Raises:
        InvalidValueError: fewer than two images in either collection.
    """
    _check_collections(made, real)
    # Column 0 is the image itself.
    radius = np.sort(_distances(real, real), axis=1)[:, min(NEIGHBOURS, len(real) - 1)]
    return float((_distances(real, made).min(axis=1) <= radius).mean())


def compared(
    made: np.ndarray, real: np.ndarray, other_real: np.ndarray | None = None, seed: int = 0
) -> dict[str, float]:
    """Synthetic against real features, beside the floor between two collections of real ones.

    Every collection is cut to one count, because the Frechet distance grows as images get fewer.

    Args:
        made: (N, D) of synthetic images.
        real: (M, D) of real images.
        other_real: of further real images, for the floor; None = ``real`` is cut into halves.
        seed: of draws.

    Returns:
        ``FIGURES`` by name.

    Raises:
        InvalidValueError: too few images.
    """
    draw = np.random.default_rng(seed)
    made, real = made[draw.permutation(len(made))], real[draw.permutation(len(real))]
    if other_real is None:
        half = len(real) // 2
        real, other_real = real[:half], real[half:]
    else:
        other_real = other_real[draw.permutation(len(other_real))]
    count = min(len(made), len(real), len(other_real))
    made, real, other_real = made[:count], real[:count], other_real[:count]
    return {
        "samples": float(count),
        "kid": kernel_distance(made, real),
        "kid_sd": kernel_distance_spread(made, real, seed),
        "kid_floor": kernel_distance(other_real, real),
        "kid_floor_sd": kernel_distance_spread(other_real, real, seed),
        "frechet": frechet_distance(made, real),
        "frechet_floor": frechet_distance(other_real, real),
        "diversity": diversity(made),
        "diversity_real": diversity(real),
        "coverage": coverage(made, real),
        "coverage_real": coverage(other_real, real),
    }


def medical_specificity(
    requested: Sequence[str], found: Sequence[str], normal: str = NORMAL
) -> dict[str, Any]:
    """Whether synthetic images show what was asked for, as a frozen classifier of real images sees them.

    Args:
        requested: condition of each image.
        found: what the classifier says of it.
        normal: the condition without disease.

    Returns:
        ``specificity`` = TN / (TN + FP): share of the images asked to be normal that are found normal; None where
        none was. ``sensitivity``: share of each other condition that is found as itself.

    Raises:
        InvalidValueError: another count of findings.
    """
    if len(requested) != len(found):
        raise InvalidValueError(
            f"found: {len(found)} findings must be as many as the {len(requested)} images"
        )
    agreement: dict[str, list[bool]] = {}
    for wanted, seen in zip(requested, found):
        agreement.setdefault(wanted, []).append(wanted == seen)
    shares: Mapping[str, float] = {name: float(np.mean(hits)) for name, hits in agreement.items()}
    return {
        "specificity": shares.get(normal),
        "sensitivity": {name: share for name, share in shares.items() if name != normal},
    }


def area_under_curve(scores: np.ndarray, labels: np.ndarray) -> float:
    """Probability that a positive scores above a negative, ties counted half (Mann and Whitney); NaN if one class."""
    positive, negative = scores[labels == 1], np.sort(scores[labels == 0])
    if not len(positive) or not len(negative):
        return float("nan")
    below = np.searchsorted(negative, positive, side="left")
    not_above = np.searchsorted(negative, positive, side="right")
    return float((below + not_above).mean() / 2 / len(negative))


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Euclidean distances (N, M) of rows."""
    squares = np.square(first).sum(1)[:, None] + np.square(second).sum(1)[None] - 2.0 * first @ second.T
    return np.sqrt(np.clip(squares, 0.0, None))


def _check_collections(*collections: np.ndarray) -> None:
    for features in collections:
        if features.ndim != 2 or len(features) < FEWEST:
            raise InvalidValueError(f"features: of at least {FEWEST} images are needed, got {features.shape}")
