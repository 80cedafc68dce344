"""A stroke says what its voxels are; how far that reaches is found by a graph cut around it.

For each marked label L, every voxel within reach that has another label asks whether it should become L. Its odds are

    log p(L) - log p(own label)                      the network's opinion, softened
    + log N(x | stroke) - log N(x | own label)       the look of the marked tissue against that of what is not marked
    - distance / REACH_MM                            along paths that avoid borders of the image

The cut of smallest energy (Boykov and Kolmogorov 2004, with the contrast-sensitive borders of Boykov and Jolly 2001)
decides, and only what is connected to the stroke changes. What was not asked about stays as it is, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpymaxflow import maxflow
from scipy import ndimage
from scipy.special import expit
from skimage.graph import MCP_Geometric

from medsynth_app.segmentation.correction.strokes import Strokes

LEAST_PROBABILITY = 1e-3
TYPICAL_STROKE = 50
"""Voxels from which on a stroke's own spread of intensities counts more than the typical one."""
TYPICAL_VARIANCE = 0.15
LEAST_VARIANCE = 0.03
LARGE_BOX = 200_000
"""Voxels around a stroke above which its reach is measured at half the resolution."""


@dataclass(frozen=True)
class CutConfiguration:
    """How far a stroke reaches.

    Attributes:
        reach_mm: voxels farther from the stroke than this stay.
        decay_mm: geodesic distance over which the odds fall by 1.
        opinion: weight of the network's log-odds.
        opinion_limit: largest log-odds of the network that count.
        look: weight of the log-likelihood ratio of the intensities.
        look_limit: largest log-likelihood ratio that counts.
        readiness: odds added everywhere: how readily a stroke spreads.
        contrast: weight of the image's borders in the cut.
        contrast_deviation: intensity difference, in standard deviations, over which a border fades.
        edge_cost: how much longer a geodesic path gets by a unit of intensity difference.
    """

    reach_mm: int = 30
    decay_mm: float = 14.0
    opinion: float = 0.5
    opinion_limit: float = 4.0
    look: float = 1.0
    look_limit: float = 2.0
    readiness: float = 0.0
    contrast: float = 2.0
    contrast_deviation: float = 0.5
    edge_cost: float = 2.0


def correct(
    image: np.ndarray,
    probabilities: np.ndarray,
    labels: np.ndarray,
    strokes: Strokes,
    configuration: CutConfiguration = CutConfiguration(),
) -> np.ndarray:
    """A label map corrected by strokes.

    Args:
        image: (C, X, Y, Z) float, z-scored sequences, 0 outside the brain; 1 mm voxels.
        probabilities: (4, X, Y, Z) float, the network's class probabilities.
        labels: (X, Y, Z) uint8, values 0..3, what the annotator sees now. Not changed.
        strokes: on the same grid.

    Returns:
        (X, Y, Z) uint8; differs from ``labels`` only under a stroke, or connected to one within ``reach_mm``.
    """
    result = labels.copy()
    for label in strokes.labels():
        stroke = strokes.values == label
        box = _surroundings(stroke, configuration.reach_mm)
        asked = _Question(
            image[:, box[0], box[1], box[2]].astype(np.float32),
            probabilities[:, box[0], box[1], box[2]].astype(np.float32),
            result[box],
            stroke[box],
            (strokes.values[box] >= 0) & ~stroke[box],
            label,
        )
        result[box][_taken(asked, configuration)] = label
    marked = strokes.values >= 0
    result[marked] = strokes.values[marked]
    return result


@dataclass(frozen=True)
class _Question:
    """What may become ``label`` around one stroke; all arrays (X, Y, Z) but image and probabilities."""

    image: np.ndarray
    probabilities: np.ndarray
    labels: np.ndarray
    stroke: np.ndarray
    others: np.ndarray
    label: int

    def part(self, box: tuple[slice, ...]) -> _Question:
        """The question in a box of it."""
        x, y, z = box
        return _Question(
            self.image[:, x, y, z], self.probabilities[:, x, y, z], self.labels[box], self.stroke[box],
            self.others[box], self.label,
        )  # fmt: skip


def _surroundings(stroke: np.ndarray, reach: int) -> tuple[slice, ...]:
    box = ndimage.find_objects(stroke.astype(np.uint8))[0]
    return tuple(slice(max(0, side.start - reach), side.stop + reach) for side in box)


def _around(mask: np.ndarray) -> tuple[slice, ...]:
    """The box of a mask and two voxels about it, so that the cut sees what keeps its label."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    return tuple(slice(max(0, side.start - 2), side.stop + 2) for side in box)


def _taken(asked: _Question, configuration: CutConfiguration) -> np.ndarray:
    """Voxels that the stroke's label takes over."""
    wrong = np.unique(asked.labels[asked.stroke])
    wrong = wrong[wrong != asked.label]
    inside = asked.image.any(axis=0)
    # Only what the annotator saw to be wrong is asked: the labels under the stroke.
    is_wrong = np.zeros(256, dtype=bool)
    is_wrong[wrong] = True
    candidates = is_wrong[asked.labels] & inside & ~asked.others
    if not candidates.any():
        return asked.stroke
    taken = asked.stroke.copy()
    box = _around(_connected(candidates | asked.stroke, asked.stroke))
    taken[box] = _taken_of(asked.part(box), candidates[box], configuration)
    return taken


def _taken_of(asked: _Question, candidates: np.ndarray, configuration: CutConfiguration) -> np.ndarray:
    """As ``_taken``, once the candidates (X, Y, Z) bool are known and what cannot be reached is cut away."""
    distance = _geodesic(asked, candidates | asked.stroke, configuration)
    reached = candidates & (distance <= configuration.reach_mm)
    if not reached.any():  # a stroke outside of the brain
        return asked.stroke
    taken = asked.stroke.copy()
    box = _around(reached | asked.stroke)
    taken[box] = _cut(asked.part(box), reached[box], distance[box], configuration)
    return taken


def _cut(
    asked: _Question, candidates: np.ndarray, distance: np.ndarray, configuration: CutConfiguration
) -> np.ndarray:
    """The candidates that the cut of smallest energy gives to the stroke's label, as far as they hang on it."""
    opinion = _opinion(asked, configuration.opinion_limit)
    # The network was wrong under the stroke; where it is no surer, it is likely to be wrong too.
    opinion -= np.median(opinion[asked.stroke])
    odds = (
        configuration.readiness
        + configuration.opinion * opinion
        + configuration.look * _look(asked, configuration.look_limit)
        - np.minimum(distance, configuration.reach_mm) / configuration.decay_mm
    )
    same = (asked.labels == asked.label) & asked.image.any(axis=0)
    chance = expit(np.where(candidates, odds, np.where(same, 2.0, -8.0)))
    chance[asked.stroke] = 1 - LEAST_PROBABILITY**2
    chance = np.clip(chance, LEAST_PROBABILITY**2, 1 - LEAST_PROBABILITY**2).astype(np.float32)
    cut = maxflow(
        np.ascontiguousarray(asked.image),
        np.ascontiguousarray(np.stack([1 - chance, chance])),
        configuration.contrast,
        configuration.contrast_deviation,
        6,
    )[0].astype(bool)
    return _connected((cut & candidates) | asked.stroke, asked.stroke)


def _geodesic(asked: _Question, passable: np.ndarray, configuration: CutConfiguration) -> np.ndarray:
    """Length in mm of the shortest path from the stroke, longer across borders of the image; infinite where
    none leads.

    Args:
        passable: (X, Y, Z) bool, where paths may run: a correction never jumps over what keeps its label.
    """
    if passable.size <= LARGE_BOX:
        return _path_lengths(asked.image, passable, asked.stroke, configuration.edge_cost, 1)
    # Every second voxel along each axis tells a long way as well, in an eighth of the time.
    image = asked.image[:, ::2, ::2, ::2]
    coarse = _path_lengths(image, _half(passable), _half(asked.stroke), configuration.edge_cost, 2)
    x, y, z = passable.shape
    return coarse.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)[:x, :y, :z]


def _half(mask: np.ndarray) -> np.ndarray:
    """(X, Y, Z) bool -> whether any voxel of a block of two a side is in the mask."""
    even = np.pad(mask, [(0, side % 2) for side in mask.shape])
    x, y, z = (side // 2 for side in even.shape)
    return even.reshape(x, 2, y, 2, z, 2).any(axis=(1, 3, 5))


def _path_lengths(
    image: np.ndarray, passable: np.ndarray, stroke: np.ndarray, edge_cost: float, spacing_mm: int
) -> np.ndarray:
    smooth = ndimage.gaussian_filter(image, sigma=(0, *[1 / spacing_mm] * 3))
    gradient = np.sqrt(sum(np.square(np.gradient(smooth, axis=axis)).sum(axis=0) for axis in (1, 2, 3)))
    path = MCP_Geometric(np.where(passable, spacing_mm + edge_cost * gradient, -1.0))
    distance, _ = path.find_costs(np.argwhere(stroke))
    return distance


def _opinion(asked: _Question, limit: float) -> np.ndarray:
    """Log-odds of the stroke's label against each voxel's own, by the network."""
    logarithm = np.log(np.maximum(asked.probabilities, LEAST_PROBABILITY))
    own = np.take_along_axis(logarithm, asked.labels[None].astype(np.int64), axis=0)[0]
    return np.clip(logarithm[asked.label] - own, -limit, limit)


def _look(asked: _Question, limit: float) -> np.ndarray:
    """How alike a voxel is to the marked tissue: ``limit`` where it is the same, falling by half its squared distance.

    The distance is Mahalanobis', divided by the number of sequences. Tissue of the voxel's own label is no comparison:
    where a stroke is needed, much of it has the wrong label.
    """
    smooth = ndimage.uniform_filter(asked.image, size=(1, 3, 3, 3))
    shown = asked.image.any(axis=(1, 2, 3))
    known = smooth[shown][:, asked.stroke]
    spread = np.atleast_2d(np.cov(known)) if known.shape[1] > 1 else np.zeros((len(known), len(known)))
    # A stroke is few voxels of one slice: its covariance is pulled towards a sphere of typical size.
    trust = known.shape[1] / (known.shape[1] + TYPICAL_STROKE)
    spread = trust * spread + np.eye(len(known)) * ((1 - trust) * TYPICAL_VARIANCE + LEAST_VARIANCE)
    offset = smooth[shown].reshape(len(known), -1) - known.mean(axis=1)[:, None]
    squared = (offset * np.linalg.solve(spread, offset)).sum(axis=0) / len(known)
    return np.maximum(limit - squared / 2, -limit).reshape(asked.labels.shape)


def _connected(mask: np.ndarray, stroke: np.ndarray) -> np.ndarray:
    pieces, number = ndimage.label(mask)
    is_marked = np.zeros(number + 1, dtype=bool)
    is_marked[pieces[stroke]] = True
    return is_marked[pieces] & mask
