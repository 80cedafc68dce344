"""Points become small balls: a click is meant a little wider than one voxel."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medsynth_app.segmentation.correction.strokes import Strokes

POINT_RADIUS_VOXELS = 2


def balls(points: Strokes, radius: int) -> Strokes:
    """Each marked voxel grown to a ball; where balls of two labels meet, the nearer point decides.

    Args:
        points: single voxels.
        radius: in voxels.
    """
    marked = points.values >= 0
    box = tuple(
        slice(max(0, side.start - radius), side.stop + radius)
        for side in ndimage.find_objects(marked.astype(np.uint8))[0]
    )
    distance, nearest = ndimage.distance_transform_edt(~marked[box], return_indices=True)
    values = points.values.copy()
    grown = points.values[box][tuple(nearest)]
    values[box] = np.where(distance <= radius, grown, values[box])
    return Strokes(values)
