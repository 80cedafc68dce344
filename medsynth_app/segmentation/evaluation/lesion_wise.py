"""Lesion-wise Dice and HD95 as BraTS 2023 scores them: a lesion missed and a lesion made up count like one found.

After the organisers' description (BraTS 2023 challenge, "performance metrics"; Saluja et al. 2023,
github.com/rachitsaluja/BraTS-2023-Metrics): lesions of the reference are joined where they lie within three
dilations of each other; a found component belongs to every reference lesion whose dilation it touches; reference
lesions below 50 voxels are not scored; a missed or made-up lesion has Dice 0 and HD95 374 mm.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medsynth_app.imaging.geometry import Box, foreground_box
from medsynth_app.segmentation.evaluation.metrics import hausdorff_distance_95

DILATIONS = 3
SMALLEST_LESION_VOXELS = 50
MISSED_HD95_MM = 374.0
_DILATION = ndimage.generate_binary_structure(3, 2)
_TOUCHING = ndimage.generate_binary_structure(3, 3)


def score_lesions(predicted: np.ndarray, reference: np.ndarray, spacing_mm: np.ndarray) -> dict[str, float]:
    """Scores of one region.

    Args:
        predicted, reference: (X, Y, Z) bool.
        spacing_mm: voxel size, shape (3,).

    Returns:
        ``lesion_wise_dice`` in [0, 1] and ``lesion_wise_hd95_mm``.
    """
    if not predicted.any() and not reference.any():
        return {"lesion_wise_dice": 1.0, "lesion_wise_hd95_mm": 0.0}
    box: Box = foreground_box(predicted | reference, margin=DILATIONS + 1)
    predicted, reference = predicted[box.slices], reference[box.slices]
    components, count = ndimage.label(predicted, structure=_TOUCHING)
    joined, _ = ndimage.label(
        ndimage.binary_dilation(reference, structure=_DILATION, iterations=DILATIONS), structure=_TOUCHING
    )
    lesions = np.where(reference, joined, 0)
    dice, distances = [], []
    matched: set[int] = set()
    for lesion in np.unique(lesions[lesions > 0]):
        wanted = lesions == lesion
        near = ndimage.binary_dilation(wanted, structure=_DILATION, iterations=DILATIONS)
        touching = np.unique(components[near & predicted])
        matched.update(int(each) for each in touching)
        if np.count_nonzero(wanted) < SMALLEST_LESION_VOXELS:
            continue
        found = np.isin(components, touching) & predicted
        dice.append(2 * np.count_nonzero(found & wanted) / (np.count_nonzero(found) + np.count_nonzero(wanted)))
        distances.append(hausdorff_distance_95(found, wanted, spacing_mm) if found.any() else MISSED_HD95_MM)
    made_up = count - len(matched)
    total = len(dice) + made_up
    if total == 0:  # nothing but specks in the reference, and they were found
        return {"lesion_wise_dice": 1.0, "lesion_wise_hd95_mm": 0.0}
    return {
        "lesion_wise_dice": float(sum(dice) / total),
        "lesion_wise_hd95_mm": float((sum(distances) + made_up * MISSED_HD95_MM) / total),
    }
