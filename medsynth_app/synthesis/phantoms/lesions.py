"""Where a lesion lies: where it was asked for, if the organ is there, else where the seed puts it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.phantoms.canvas import Canvas, Point
from medsynth_app.synthesis.phantoms.request import VolumeRequest


def lesion_center(canvas: Canvas, request: VolumeRequest, chance: np.random.Generator) -> Point:
    """The middle of the lesion in mm.

    Raises:
        InvalidValueError: the place that was asked for lies outside the organ, or the organ outside the region.
    """
    pathology = request.kind.pathologies[str(request.pathology)]
    hosts = pathology.hosts
    inside = canvas.is_labelled(*hosts)
    if not inside.any():
        raise InvalidValueError(
            f"region: {request.region!r} does not show {' or '.join(hosts)}, where {request.pathology} would lie"
        )
    if request.lesion_position_mm is not None:
        return _asked(canvas, request.lesion_position_mm, inside, hosts)
    depth = distance_transform_edt(inside, sampling=canvas.spacing_mm)
    deepest = float(depth.max())
    # The depth that the severest lesion wants: a course of severities stays in one place.
    largest = max(request.lesion_size_mm, pathology.sizes_mm[1])
    places = np.argwhere(depth >= min(largest * 0.5, deepest * 0.6))
    index = places[chance.integers(len(places))]
    return canvas.place_of(index)


def _asked(canvas: Canvas, place: Point, inside: np.ndarray, hosts: tuple[str, ...]) -> Point:
    index = tuple(int(np.abs(axis - coordinate).argmin()) for axis, coordinate in zip(canvas.axes_mm, place))
    in_view = all(
        axis[0] - size <= coordinate <= axis[-1] + size
        for axis, coordinate, size in zip(canvas.axes_mm, place, canvas.spacing_mm)
    )
    if not in_view or not inside[index]:
        spots = np.argwhere(inside)
        middle = [float(axis[i]) for axis, i in zip(canvas.axes_mm, spots[len(spots) // 2])]
        shown = ",".join(f"{number:g}" for number in place)
        raise InvalidValueError(
            f"lesion_position_mm: {shown} lies outside {' and '.join(hosts)} of this body; "
            f"inside lies for example {middle[0]:.0f},{middle[1]:.0f},{middle[2]:.0f}"
        )
    return place
