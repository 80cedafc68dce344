"""An annotator who always corrects the largest error first, with one stroke of a hand that is not quite steady."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

from medsynth_app.segmentation.correction.strokes import Strokes, no_strokes
from medsynth_app.vocabulary import TumorRegion

HAND_JITTER_MM = 0.7
BRUSH_RADIUS_MM = 1.5


def largest_error(
    labels: np.ndarray, truth: np.ndarray, region: TumorRegion | None = None
) -> tuple[int, np.ndarray] | None:
    """The largest connected region of one true label that is labelled otherwise.

    Args:
        labels, truth: (X, Y, Z) uint8, values 0..3.
        region: only errors that change this region count; None = every error.

    Returns:
        The true label and the region (X, Y, Z) bool; None where there is no error.
    """
    best: tuple[int, np.ndarray] | None = None
    most = 0
    wrong = labels != truth if region is None else np.isin(labels, region.labels) != np.isin(truth, region.labels)
    for label in np.unique(truth[wrong]):
        pieces, count = ndimage.label((truth == label) & wrong)
        if count == 0:
            continue
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        if sizes.max() > most:
            most, best = int(sizes.max()), (int(label), pieces == int(sizes.argmax()))
    return best


def stroke_along(region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A stroke along the middle of a region in its middle axial slice.

    Args:
        region: (X, Y, Z) bool, 1 mm voxels.
        rng: of the hand's jitter.

    Returns:
        (X, Y, Z) bool; jitter may lead it over the region's border.
    """
    depth = int(np.median(np.nonzero(region)[2]))
    if not region[:, :, depth].any():
        depth = int(region.sum(axis=(0, 1)).argmax())
    pieces, _ = ndimage.label(region[:, :, depth], structure=np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    middle = np.argwhere(skeletonize(pieces == sizes.argmax()))
    places = np.rint(middle + rng.normal(0, HAND_JITTER_MM, middle.shape)).astype(int)
    places = np.clip(places, 0, np.array(region.shape[:2]) - 1)
    drawn = np.zeros(region.shape[:2], dtype=bool)
    drawn[tuple(places.T)] = True
    stroke = np.zeros(region.shape, dtype=bool)
    stroke[:, :, depth] = ndimage.distance_transform_edt(~drawn) <= BRUSH_RADIUS_MM / 2
    return stroke


def next_strokes(
    labels: np.ndarray, truth: np.ndarray, rng: np.random.Generator, region: TumorRegion | None = None
) -> Strokes | None:
    """What the annotator draws next; None where nothing is wrong. Arguments as of ``largest_error``."""
    error = largest_error(labels, truth, region)
    if error is None:
        return None
    label, place = error
    values = no_strokes(labels.shape)
    values[stroke_along(place, rng)] = label
    return Strokes(values)
