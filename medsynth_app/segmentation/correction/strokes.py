"""What an annotator marked: for each label, or background, the voxels that are certainly it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medsynth_app.errors import InvalidValueError
from medsynth_app.vocabulary import LABEL_NAMES

BACKGROUND = "background"
MOST_POINTS = 2000
"""Of a request: more are no marks of a hand."""
LABEL_VALUES: dict[str, int] = {BACKGROUND: 0, **LABEL_NAMES}


@dataclass(frozen=True)
class Strokes:
    """Marked voxels.

    Attributes:
        values: (X, Y, Z) int16; the label that is certain there (0 is background), -1 where nothing was marked.
    """

    values: np.ndarray

    def labels(self) -> list[int]:
        """The labels that were marked, in ascending order."""
        return [int(value) for value in np.unique(self.values) if value >= 0]


def no_strokes(shape: Sequence[int]) -> np.ndarray:
    """Stroke values (X, Y, Z) of an image on which nothing was marked."""
    return np.full(tuple(shape), -1, dtype=np.int16)


def strokes_from_points(points: Mapping[str, object], shape: Sequence[int]) -> Strokes:
    """Points per label, as 3D Slicer's SmartEdit and OHIF send them.

    Args:
        points: label name or ``background`` -> list of voxel indices [i, j, k] of the image.
        shape: (X, Y, Z) of the image.

    Raises:
        InvalidValueError: an unknown label, no list of indices, a point outside of the image, two labels for one voxel,
            too many points, or none at all.
    """
    values = no_strokes(shape)
    total = 0
    for name, given in points.items():
        indices = _indices(name, given, shape)
        total += len(indices)
        if total > MOST_POINTS:
            raise InvalidValueError(f"points: {total} were sent, allowed are {MOST_POINTS}", code="too_many_points")
        for index in indices:
            before = int(values[index])
            if before not in (-1, LABEL_VALUES[name]):
                other = next(n for n, v in LABEL_VALUES.items() if v == before)
                raise InvalidValueError(
                    f"points: {list(index)} is marked as {other} and as {name}", code="contradicting_strokes"
                )
            values[index] = LABEL_VALUES[name]
    if total == 0:
        raise InvalidValueError(
            f"points: none were sent; give voxel indices under {', '.join(LABEL_VALUES)}", code="no_strokes"
        )
    return Strokes(values)


def _indices(name: str, given: object, shape: Sequence[int]) -> list[tuple[int, int, int]]:
    if name not in LABEL_VALUES:
        raise InvalidValueError(
            f"points: unknown label {name[:40]!r}, known are {', '.join(LABEL_VALUES)}", code="unknown_label"
        )
    if not isinstance(given, (list, tuple)):
        raise InvalidValueError(f"{name}: must be a list of voxel indices [i, j, k]")
    found = []
    for point in given:
        whole = isinstance(point, (list, tuple)) and len(point) == 3 and all(map(_is_index, point))
        if not whole:
            raise InvalidValueError(f"{name}: {str(point)[:60]} is no voxel index [i, j, k]")
        i, j, k = (int(round(each)) for each in point)
        if not all(0 <= each < side for each, side in zip((i, j, k), shape)):
            raise InvalidValueError(
                f"{name}: point [{i}, {j}, {k}] lies outside of the image of {'x'.join(map(str, shape))} voxels",
                code="outside",
            )
        found.append((i, j, k))
    return found


def _is_index(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))
