"""Whether what a network calls enhancing is: T1ce against what T1 predicts, and vessels at a tumour's border.

A network that has seen few tumours without enhancement takes bright T1ce for enhancing tumour, also where a coil
brightens everything. Uptake shows as T1ce above the line that healthy tissue draws of T1, more than in the tumour
right beside it; what does not is (non-enhancing) core. What is as bright as blood, lies at the tumour's border and
touches no core is a vessel of the brain's surface.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medsynth_app.vocabulary import TumorLabel

LEAST_HEALTHY_VOXELS = 1000
LEAST_NEIGHBOURS = 50
LEAST_VARIANCE = 1e-4
"""Of T1 where a line is drawn of it: a constant has no slope."""
NEIGHBOURHOOD = 10
"""Voxels around a focus in which the rest of the tumour is what it is compared with."""
SHELL = 3
"""Voxels around a focus that are its border."""
VESSEL_PERCENTILE = 90
VESSEL_CORE_SHARE = 0.02
VESSEL_OUTSIDE_SHARE = 0.35
"""A vessel's border is no core, and so much of it healthy."""
VESSEL_LARGEST_SHARE = 0.03
"""Of the whole tumour: more is the tumour itself."""
EVERY_DIRECTION = np.ones((3, 3, 3))


def without_unproven_enhancement(
    labels: np.ndarray, t1: np.ndarray, t1ce: np.ndarray, minimum_uptake: float, vessel_uptake: float = 0.0
) -> np.ndarray:
    """Enhancing foci without uptake become necrotic (non-enhancing) core, vessels become healthy.

    Args:
        labels: (X, Y, Z) uint8, values 0..3. Not changed.
        t1: (X, Y, Z) float32, z-scored, 0 outside the brain.
        t1ce: the same of T1 after contrast agent.
        minimum_uptake: by how many standard deviations of healthy tissue the median voxel of a focus must lie above
            the tumour around it; 0 = nothing is tested. Of 24 gliomas, the weakest true focus of more than 0.1 ml had
            1.15, a false one of 6.5 ml 0.35.
        vessel_uptake: a focus whose brightest tenth reaches so many deviations, that touches no core and lies at the
            tumour's border, is a vessel; 0 = not tested. Of the foci in 20 training cases (more than 0.1 ml) 5 vessels
            and one true focus of 0.12 ml fit.

    Returns:
        (X, Y, Z) uint8; ``labels`` itself where there is nothing to test or no healthy tissue to compare with.
    """
    enhancing = labels == TumorLabel.ENHANCING_TUMOR
    if max(minimum_uptake, vessel_uptake) <= 0 or not enhancing.any():
        return labels
    uptake = contrast_uptake(t1, t1ce, (labels == 0) & (t1 != 0) & (t1ce != 0))
    if uptake is None:
        return labels
    foci, _ = ndimage.label(enhancing, structure=EVERY_DIRECTION)
    rest = (labels > 0) & ~enhancing
    result = labels.copy()
    largest_vessel = VESSEL_LARGEST_SHARE * np.count_nonzero(labels)
    for index, box in enumerate(ndimage.find_objects(foci), start=1):
        wide = tuple(slice(max(0, side.start - NEIGHBOURHOOD), side.stop + NEIGHBOURHOOD) for side in box)
        focus = foci[wide] == index
        distance = ndimage.distance_transform_cdt(~focus, metric="chessboard")
        if _above_its_surroundings(uptake[wide], focus, rest[wide] & (distance <= NEIGHBOURHOOD)) < minimum_uptake:
            result[wide][focus] = TumorLabel.NECROTIC_CORE
        elif np.count_nonzero(focus) <= largest_vessel and _is_vessel(
            uptake[wide][focus], labels[wide][~focus & (distance <= SHELL)], vessel_uptake
        ):
            result[wide][focus] = 0
    return result


def contrast_uptake(t1: np.ndarray, t1ce: np.ndarray, healthy: np.ndarray) -> np.ndarray | None:
    """T1ce minus what T1 predicts of it, in standard deviations of healthy tissue.

    Args:
        t1, t1ce: (X, Y, Z) float32.
        healthy: (X, Y, Z) bool, where the line of T1ce by T1 is drawn.

    Returns:
        (X, Y, Z) float32; None where there is too little healthy tissue, or it is constant.
    """
    before, after = t1[healthy], t1ce[healthy]
    if before.size < LEAST_HEALTHY_VOXELS or before.std() < 1e-3:
        return None
    slope, offset, deviation = line_of_t1(before, after)
    if deviation < 1e-3:
        return None
    return ((t1ce - np.float32(slope) * t1 - np.float32(offset)) / np.float32(deviation)).astype(np.float32)


def line_of_t1(before: np.ndarray, after: np.ndarray) -> tuple[float, float, float]:
    """T1ce of healthy tissue as a line of its T1, by least squares.

    Args:
        before, after: (N,) T1 and T1ce of the same voxels, z-scored.

    Returns:
        Slope, offset, and the standard deviation of T1ce from the line.
    """
    centred = before - before.mean(dtype=np.float64)
    slope = float((centred * after).mean() / max(float(np.square(centred).mean()), LEAST_VARIANCE))
    offset = float(after.mean(dtype=np.float64) - slope * before.mean(dtype=np.float64))
    return slope, offset, float((after - slope * before - offset).std())


def _is_vessel(uptake: np.ndarray, border: np.ndarray, vessel_uptake: float) -> bool:
    """By the uptake of a focus's voxels and the labels of its border's."""
    if vessel_uptake <= 0 or border.size == 0 or np.percentile(uptake, VESSEL_PERCENTILE) < vessel_uptake:
        return False
    core = (border == TumorLabel.NECROTIC_CORE).mean()
    return bool(core < VESSEL_CORE_SHARE and (border == 0).mean() > VESSEL_OUTSIDE_SHARE)


def _above_its_surroundings(uptake: np.ndarray, focus: np.ndarray, beside: np.ndarray) -> float:
    """Median uptake of a focus minus that of the tumour beside it; minus 0, healthy tissue's, where there is none."""
    around = float(np.median(uptake[beside])) if beside.sum() >= LEAST_NEIGHBOURS else 0.0
    return float(np.median(uptake[focus])) - around
