"""How well two label maps agree, per BraTS region.

Definitions follow the BraTS evaluation: Dice = 2|A and B| / (|A| + |B|); both regions empty = 1, one empty
= 0. HD95 is the 95th percentile of the distances between the surfaces, symmetric, in mm; where exactly one
region is empty it is the diagonal of the image (the largest distance there is), where both are, 0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy import ndimage

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.geometry import Box, foreground_box
from medsynth_app.vocabulary import TumorRegion


@dataclass(frozen=True)
class RegionScores:
    """Agreement of one region. All but ``hd95_mm`` lie in [0, 1].

    Attributes:
        dice: overlap of the two.
        iou: intersection over union.
        accuracy: share of voxels on which both agree.
        sensitivity: share of the reference that was found; 0 for a false finding in an empty reference.
        specificity: share of the rest that was left alone.
        hd95_mm: 95th percentile of surface distances.
    """

    dice: float
    iou: float
    accuracy: float
    sensitivity: float
    specificity: float
    hd95_mm: float


def region_mask(labels: np.ndarray, region: TumorRegion) -> np.ndarray:
    """True where a label map (any shape, values 0..3) shows the region."""
    return np.isin(labels, region.labels)


def score_region(predicted: np.ndarray, reference: np.ndarray, spacing_mm: np.ndarray) -> RegionScores:
    """Compare two masks.

    Args:
        predicted: (X, Y, Z) bool.
        reference: (X, Y, Z) bool.
        spacing_mm: voxel size, shape (3,).

    Raises:
        InvalidValueError: the shapes differ.
    """
    if predicted.shape != reference.shape:
        raise InvalidValueError(f"shapes differ: predicted {predicted.shape}, reference {reference.shape}")
    true_positive = int((predicted & reference).sum())
    false_positive = int(predicted.sum()) - true_positive
    false_negative = int(reference.sum()) - true_positive
    true_negative = predicted.size - true_positive - false_positive - false_negative
    return RegionScores(
        dice=_ratio(2 * true_positive, 2 * true_positive + false_positive + false_negative),
        iou=_ratio(true_positive, true_positive + false_positive + false_negative),
        accuracy=(true_positive + true_negative) / predicted.size,
        # Where there is nothing to find, a false finding is a failure, not full sensitivity.
        sensitivity=_ratio(true_positive, true_positive + false_negative or false_positive),
        specificity=_ratio(true_negative, true_negative + false_positive),
        hd95_mm=hausdorff_distance_95(predicted, reference, spacing_mm),
    )


def score_labels(
    predicted: np.ndarray, reference: np.ndarray, spacing_mm: np.ndarray
) -> dict[str, dict[str, float]]:
    """All scores of all regions: ``{"WT": {"dice": ...}, "TC": ..., "ET": ...}``.

    Args:
        predicted: (X, Y, Z) label map, values 0..3.
        reference: the same.
        spacing_mm: voxel size, shape (3,).
    """
    return {
        region.value: asdict(
            score_region(region_mask(predicted, region), region_mask(reference, region), spacing_mm)
        )
        for region in TumorRegion
    }


def hausdorff_distance_95(predicted: np.ndarray, reference: np.ndarray, spacing_mm: np.ndarray) -> float:
    """95th percentile of the distances from each surface to the other, in mm.

    Args:
        predicted: (X, Y, Z) bool.
        reference: (X, Y, Z) bool.
        spacing_mm: voxel size, shape (3,).
    """
    if not predicted.any() and not reference.any():
        return 0.0
    if not predicted.any() or not reference.any():
        return float(np.linalg.norm(np.array(predicted.shape) * spacing_mm))
    box: Box = foreground_box(predicted | reference, margin=1)
    surfaces = [_surface(mask[box.slices]) for mask in (predicted, reference)]
    distances = []
    for here, there in (surfaces, surfaces[::-1]):
        to_there = ndimage.distance_transform_edt(~there, sampling=spacing_mm)
        distances.append(np.percentile(to_there[here], 95))
    return float(max(distances))


def _surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)


def _ratio(numerator: int, denominator: int) -> float:
    """Both regions empty counts as full agreement (BraTS)."""
    return numerator / denominator if denominator else 1.0
