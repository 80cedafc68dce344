"""Whether the network's probabilities and doubts may be believed, measured on labelled cases.

Expected calibration error (Naeini 2015, AAAI 29:2901): voxels sorted into bins by the probability of a region; the
mean, weighted by the bins' sizes, of how far the mean probability is from the share that is the region. Looked at are
the tumour and 5 mm around it: far from it every network is sure and right, and the error would be small for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from medsynth_app.segmentation.doubt import relative_entropy
from medsynth_app.segmentation.evaluation.metrics import region_mask
from medsynth_app.vocabulary import TumorLabel, TumorRegion

BAND_MM = 5.0
BINS = 15
MOST_DOUBTFUL = 0.05
"""Share of the voxels that were looked at, in which errors should gather."""


@dataclass(frozen=True)
class CaseCalibration:
    """One case.

    Attributes:
        counts: region -> (BINS, 3): voxels, sum of their probabilities, voxels that are the region.
        errors_found: share of the wrong voxels that the most doubtful ones hold; None where nothing is wrong.
        intervals_hold: label name -> whether its volume lies in the interval that is told.
    """

    counts: dict[str, np.ndarray]
    errors_found: float | None
    intervals_hold: dict[str, bool]

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "ece": {region: round(expected_error(counts), 4) for region, counts in self.counts.items()},
            "errors_in_most_doubtful": None if self.errors_found is None else round(self.errors_found, 3),
            "volume_interval_holds": self.intervals_hold,
        }


def calibration_of(
    probabilities: np.ndarray, found: np.ndarray, wanted: np.ndarray, brain: np.ndarray,
    intervals_ml: dict[str, tuple[float, float]], true_ml: dict[str, float],
) -> CaseCalibration:  # fmt: skip
    """Compare probabilities with the truth on the grid that the network looked at.

    Args:
        probabilities: (4, X, Y, Z) after their temperature; voxels of 1 mm.
        found: (X, Y, Z) labels 0..3 that are answered.
        wanted: (X, Y, Z) labels 0..3 of the reference.
        brain: (X, Y, Z) bool.
        intervals_ml: label name -> smallest and largest volume that is told.
        true_ml: label name -> volume of the reference.
    """
    band = brain.copy()
    if (wanted > 0).any():
        band &= ndimage.distance_transform_edt(wanted == 0) <= BAND_MM
    counts = {}
    for region in TumorRegion:
        share = probabilities[list(region.labels)].sum(axis=0)[band]
        counts[region.value] = _binned(share, region_mask(wanted, region)[band])
    return CaseCalibration(
        counts,
        _errors_found(relative_entropy(probabilities)[brain], (found != wanted)[brain]),
        {
            label.label_name: intervals_ml[label.label_name][0] <= true_ml[label.label_name]
            <= intervals_ml[label.label_name][1]
            for label in TumorLabel
        },
    )  # fmt: skip


def _binned(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    sums = [np.bincount(bins, weights=w, minlength=BINS) for w in (np.ones(bins.size), probabilities, truth)]
    return np.stack(sums, axis=1)


def expected_error(counts: np.ndarray) -> float:
    """Expected calibration error of (BINS, 3) counts, 0 to 1."""
    voxels = counts[:, 0].sum()
    return float(np.abs(counts[:, 1] - counts[:, 2]).sum() / voxels) if voxels else 0.0


def _errors_found(doubt: np.ndarray, wrong: np.ndarray) -> float | None:
    if not wrong.any():
        return None
    most = np.argsort(-doubt, kind="stable")[: int(MOST_DOUBTFUL * doubt.size)]
    return float(wrong[most].sum() / wrong.sum())


def calibration_summary(cases: Iterable[CaseCalibration]) -> dict[str, Any]:
    """All cases together.

    Returns:
        ``ece`` by region over the voxels of all cases, ``errors_in_most_doubtful`` (median), and
        ``volume_interval_holds``: label name -> share of the cases.
    """
    known = list(cases)
    if not known:
        return {}
    found = [case.errors_found for case in known if case.errors_found is not None]
    pooled = {name: np.sum([case.counts[name] for case in known], axis=0) for name in known[0].counts}
    return {
        "ece": {name: round(expected_error(counts), 4) for name, counts in pooled.items()},
        "errors_in_most_doubtful": round(float(np.median(found)), 3) if found else None,
        "volume_interval_holds": {
            name: round(float(np.mean([case.intervals_hold[name] for case in known])), 3)
            for name in known[0].intervals_hold
        },
    }
