"""One case open for correction: prepared and looked at once, then each stroke takes a fraction of a second."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from medsynth_app.imaging.volume import Volume
from medsynth_app.segmentation.correction.graph_cut import CutConfiguration, correct
from medsynth_app.segmentation.correction.strokes import Strokes, no_strokes
from medsynth_app.segmentation.inference import InferenceConfiguration, predict_probabilities
from medsynth_app.segmentation.transforms import PreparedCase, prepare, prepared_label, restore_labels

CASES_KEPT = 3
"""Open cases that stay in memory, about 120 MB each."""


@dataclass(frozen=True)
class OpenCase:
    """A case as corrections need it.

    Attributes:
        prepared: image on the working grid, and the way back.
        probabilities: (4, X, Y, Z) float16, class probabilities on the grid of ``prepared.image``.
        source: the image's own grid, without its voxels.
    """

    prepared: PreparedCase
    probabilities: np.ndarray
    source: Volume

    def corrected(
        self, labels: np.ndarray, strokes: Strokes, configuration: CutConfiguration = CutConfiguration()
    ) -> np.ndarray:
        """A label map of the image, corrected.

        Args:
            labels: (X, Y, Z) uint8 on the image's grid, values 0..3: what the annotator sees now. Not changed.
            strokes: on the image's grid.
            configuration: how far a stroke reaches.

        Returns:
            (X, Y, Z) uint8 on the image's grid; every voxel that the strokes do not reach is as it was.
        """
        before = prepared_label(labels, self.prepared, self.source)
        after = correct(
            self.prepared.image, self.probabilities, before, self._on_working_grid(strokes), configuration
        )
        result = labels.copy()
        changed = restore_labels((after != before).astype(np.uint8), self.prepared).astype(bool)
        result[changed] = restore_labels(after, self.prepared)[changed]
        marked = strokes.values >= 0
        result[marked] = strokes.values[marked]
        return result

    def answer(self) -> np.ndarray:
        """The network's own answer, (X, Y, Z) uint8 on the image's grid, values 0..3; not cleaned."""
        return restore_labels(self.probabilities.argmax(axis=0).astype(np.uint8), self.prepared)

    def _on_working_grid(self, strokes: Strokes) -> Strokes:
        """Voxel by voxel through the world: resampling would lose strokes that are one voxel thin."""
        places = np.argwhere(strokes.values >= 0)
        affine, _ = self.prepared.working
        to_working = np.linalg.inv(affine) @ self.source.affine
        target = np.rint(places @ to_working[:3, :3].T + to_working[:3, 3]).astype(int) - self.prepared.box.start
        inside = ((target >= 0) & (target < self.prepared.image.shape[1:])).all(axis=1)
        values = no_strokes(self.prepared.image.shape[1:])
        values[tuple(target[inside].T)] = strokes.values[tuple(places[inside].T)]
        return Strokes(values)


def open_case(
    volume: Volume, network: nn.Module, configuration: InferenceConfiguration = InferenceConfiguration()
) -> OpenCase:
    """Prepare a case and ask the network once.

    Args:
        volume: (C, X, Y, Z), the sequences that the network was trained on.
        network: in evaluation mode.

    Raises:
        InvalidValueError: the image is empty or too small.
    """
    prepared = prepare(volume)
    probabilities = predict_probabilities(torch.from_numpy(prepared.image), network, configuration)
    grid = np.broadcast_to(np.zeros((), dtype=np.uint8), (1, *volume.spatial_shape))
    return OpenCase(prepared, probabilities, Volume(grid, volume.affine))


class OpenCases:
    """The cases that were corrected last, opened once each; safe to use from several threads.

    Args:
        kept: how many stay in memory.
    """

    def __init__(self, kept: int = CASES_KEPT) -> None:
        self._kept = kept
        self._cases: OrderedDict[Hashable, OpenCase] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, opened: Callable[[], OpenCase]) -> OpenCase:
        """The case of that key, opened where it is not in memory.

        Args:
            key: says which files and which weights; another file or another network is another key.
            opened: opens it.
        """
        with self._lock:
            if key in self._cases:
                self._cases.move_to_end(key)
                return self._cases[key]
        case = opened()
        with self._lock:
            self._cases[key] = case
            while len(self._cases) > self._kept:
                self._cases.popitem(last=False)
        return case


def labels_under(values: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """A label map in which strokes hide what is under them: each marked voxel gets the nearest label beside it.

    Args:
        values: (X, Y, Z) uint8, values 0..3.
        marked: (X, Y, Z) bool, where strokes are.
    """
    if not marked.any():
        return values
    box = tuple(
        slice(max(0, side.start - 6), side.stop + 6) for side in ndimage.find_objects(marked.astype(np.uint8))[0]
    )
    inner = marked[box]
    result = values.copy()
    if not inner.all():
        nearest = ndimage.distance_transform_edt(inner, return_distances=False, return_indices=True)
        result[box] = values[box][tuple(nearest)]
    return result
