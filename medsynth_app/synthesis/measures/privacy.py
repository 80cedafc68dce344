"""Does a synthetic image copy a training image? The audit before anything is stored.

The distance of the synthetic image to its nearest training image is compared with the same distance of real
images that were held out of training: one that lies nearer than almost every held-out image is a likely copy
(the calibrated nearest-neighbour test of Dar et al. 2024, "Unconditional latent diffusion models memorize
patient imaging data"). What is compared are 48 numbers an image, from which no image can be drawn: it finds copies,
not likenesses of a detail.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import zoom

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.weights import ENDING, WeightsStore, load_weights, save_weights

logger = logging.getLogger(__name__)

KIND = "memorisation_reference"
FLAG_PERCENTILE = 1.0
"""Nearer to a training image than this percentile of held-out images = flagged."""
LOW_RESOLUTION = 16
FEWEST_HELD_OUT = 3
SIZE, PROJECTION_SEED = 48, 0


def reference_name(weights: str) -> str:
    """Name under which the reference of some weights is stored beside them."""
    return f"{weights}-reference"


def embedding(array: np.ndarray) -> np.ndarray:
    """The image's foreground at 16 samples a side, its mean removed, through a fixed random projection.

    Args:
        array: volume (C, X, Y, Z), or picture (H, W) or (H, W, 3).

    Returns:
        (48,) float32 of length 1. The distance of two of them is about sqrt(2 - 2 r) of the images' correlation r.
    """
    image = array.astype(np.float32)
    if image.ndim == 3:
        image = np.moveaxis(image, 2, 0)
    elif image.ndim == 2:
        image = image[None]
    image = _cut_to_foreground(image)
    factors = [1.0, *(LOW_RESOLUTION / n for n in image.shape[1:])]
    small = zoom(image, factors, order=1, grid_mode=True, mode="nearest")
    vector = _projection(small.size) @ _of_length_one(small.ravel() - small.mean(dtype=np.float64))
    return _of_length_one(vector).astype(np.float32)


@lru_cache(maxsize=4)
def _projection(size: int) -> np.ndarray:
    return np.random.default_rng(PROJECTION_SEED).normal(size=(SIZE, size))


def _of_length_one(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-6)


def _cut_to_foreground(image: np.ndarray) -> np.ndarray:
    strength = image.max(axis=0) - image.min()
    places = np.argwhere(strength > 0.05 * max(float(strength.max()), 1e-6))
    if not len(places):
        return image
    low, high = places.min(axis=0), places.max(axis=0) + 1
    box = (slice(None), *(slice(a, b) for a, b in zip(low, high)))
    return image[box]


@dataclass(frozen=True)
class TrainingReference:
    """What the audit knows about the training images.

    Attributes:
        embeddings: (N, D) float32, one row a training image.
        held_out_distances: (M,) float32, distance of each held-out real image to its nearest training image.

    Raises:
        InvalidValueError: empty, or fewer than 3 held-out images.
    """

    embeddings: np.ndarray
    held_out_distances: np.ndarray

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 2 or not len(self.embeddings):
            raise InvalidValueError("embeddings: of at least one training image are needed")
        if len(self.held_out_distances) < FEWEST_HELD_OUT:
            raise InvalidValueError(
                f"held_out_distances: of at least {FEWEST_HELD_OUT} held-out images are needed, "
                f"got {len(self.held_out_distances)}"
            )

    @classmethod
    def of(cls, training: Iterable[np.ndarray], held_out: Iterable[np.ndarray]) -> TrainingReference:
        """Embed training and held-out images (arrays as the generator answers them)."""
        embeddings = np.stack([embedding(array) for array in training])
        distances = [_nearest(embedding(array), embeddings)[0] for array in held_out]
        return cls(embeddings, np.array(distances, dtype=np.float32))

    def save(self, path: Path) -> None:
        """Store it, whole or not at all."""
        tensors = {
            "embeddings": torch.from_numpy(self.embeddings),
            "held_out_distances": torch.from_numpy(self.held_out_distances),
        }
        save_weights(path, KIND, {}, tensors, "embeddings of training images")

    @classmethod
    def load(cls, path: Path) -> TrainingReference:
        """Read it; raises as ``load_weights``."""
        tensors = load_weights(path, KIND).tensors
        try:
            return cls(tensors["embeddings"].numpy(), tensors["held_out_distances"].numpy())
        except KeyError as error:
            raise InvalidValueError(f"reference {path.name}: lacks {error}") from error


@dataclass(frozen=True)
class MemorisationAudit:
    """What the audit found.

    Attributes:
        status: ``clear``, ``flagged``, ``not_applicable`` (the generator saw no images) or ``unavailable`` (no
            reference of its training images is here).
        distance: to the nearest training image, 0 (a copy) to 2; None where nothing was measured.
        threshold: nearer than this is flagged.
        percentile: share of held-out real images, in per cent, that are nearer to a training image.
    """

    status: str
    distance: float | None = None
    threshold: float | None = None
    percentile: float | None = None

    @property
    def allows_storing(self) -> bool:
        """Whether the image may be kept without asking twice."""
        return self.status in ("clear", "not_applicable")

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "status": self.status, "distance": self.distance, "threshold": self.threshold,
            "percentile": self.percentile,
        }  # fmt: skip


def audit(array: np.ndarray, reference: TrainingReference) -> MemorisationAudit:
    """Compare one synthetic image with the training images.

    Raises:
        InvalidValueError: the reference was made in another way.
    """
    vector = embedding(array)
    if vector.shape != reference.embeddings.shape[1:]:
        raise InvalidValueError(
            f"reference: has vectors of {reference.embeddings.shape[1]}, the image {vector.shape[0]}"
        )
    distance, _ = _nearest(vector, reference.embeddings)
    threshold = float(np.percentile(reference.held_out_distances, FLAG_PERCENTILE))
    percentile = 100.0 * float((reference.held_out_distances < distance).mean())
    status = "flagged" if distance < threshold else "clear"
    return MemorisationAudit(status, round(distance, 5), round(threshold, 5), round(percentile, 1))


def store_reference(
    weights: Path, training: Iterable[np.ndarray], held_out: Iterable[np.ndarray]
) -> Path | None:
    """What a training leaves for the audit, beside its weights: embeddings, no images.

    Args:
        weights: file of the weights.
        training / held_out: arrays as the generator answers them, seen and not seen by the training.

    Returns:
        The file; None where fewer than 3 images are held out: there is none then, and the audit is unavailable.
    """
    path = weights.with_name(f"{reference_name(weights.name.removesuffix(ENDING))}{ENDING}")
    unseen = list(held_out)
    if len(unseen) < FEWEST_HELD_OUT:
        logger.warning("no memorisation reference: %d held-out images, %d are needed", len(unseen), FEWEST_HELD_OUT)
        path.unlink(missing_ok=True)
        return None
    TrainingReference.of(training, unseen).save(path)
    return path


def audit_with_store(array: np.ndarray, weights: str | None, store: WeightsStore) -> MemorisationAudit:
    """Audit an image of a generator, as far as that can be done here.

    Args:
        array: the image.
        weights: name of the generator's weights; None where it has none.
        store: where its reference lies.
    """
    if weights is None:
        return MemorisationAudit("not_applicable")
    path = store.find(reference_name(weights))
    if path is None:
        return MemorisationAudit("unavailable")
    return audit(array, _loaded(path, path.stat().st_mtime_ns))


def nearest(audits: Sequence[MemorisationAudit]) -> MemorisationAudit:
    """The audit of that image of a result which lies nearest to a training image: it speaks for all.

    Args:
        audits: at least one, all with the same reference.
    """
    return min(audits, key=lambda found: math.inf if found.distance is None else found.distance)


@lru_cache(maxsize=4)
def _loaded(path: Path, changed: int) -> TrainingReference:
    return TrainingReference.load(path)


def _nearest(vector: np.ndarray, embeddings: np.ndarray) -> tuple[float, int]:
    distances = np.linalg.norm(embeddings.astype(np.float64) - vector, axis=1)
    nearest = int(distances.argmin())
    return float(distances[nearest]), nearest
