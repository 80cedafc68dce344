"""Whether an image's header tells left from right, and whether it is a BraTS header.

A brain is nearly symmetric: no picture of it can tell a flipped file from a right one. Only the header can,
so a header that a program wrote in want of a real one is recognised here and never guessed at.
"""

from __future__ import annotations

import numpy as np

from medsynth_app.imaging.atlas.template import BRATS_SHAPE
from medsynth_app.imaging.volume import Volume

BRATS_LOW_CORNER = np.array([-239.0, 0.0, 0.0])
"""RAS mm of the low corner of every BraTS image: SRI24 atlas space (Rohlfing 2010, Hum Brain Mapp 31:798)."""


def side_is_known(volume: Volume) -> bool:
    """Whether the affine was measured rather than made up.

    Taken for made up: an axis-aligned affine that starts at the origin (identity in RAS, or in LPS as ITK
    writes it); nibabel's default without sform and qform (centred, x flipped); BraTS voxels whose origin of
    239 mm does not fit the direction of their axes (a re-written BraTS header).
    """
    directions = volume.affine[:3, :3] / volume.spacing
    origin = volume.affine[:3, 3]
    if not np.allclose(np.abs(directions), np.eye(3), atol=1e-4):
        return True
    signs = np.diag(directions)
    if np.allclose(origin, 0, atol=1e-3):
        return not (np.allclose(signs, 1) or np.allclose(signs, (-1, -1, 1)))
    centered = -volume.affine[:3, :3] @ ((np.array(volume.spatial_shape) - 1) / 2)
    if np.allclose(signs, (-1, 1, 1)) and np.allclose(origin, centered, atol=1e-3):
        return False
    rewritten = np.isin(np.abs(origin).round(3), (0.0, 239.0)).all() and not is_brats_geometry(volume)
    return not (_has_brats_voxels(volume) and rewritten)


def is_brats_geometry(volume: Volume) -> bool:
    """Whether the image lies in BraTS space, in any storage order of its axes' directions."""
    if not _has_brats_voxels(volume):
        return False
    ends = np.stack([np.zeros(3), np.array(BRATS_SHAPE) - 1])
    corners = ends @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    return bool(np.allclose(corners.min(axis=0), BRATS_LOW_CORNER, atol=1.0))


def _has_brats_voxels(volume: Volume) -> bool:
    return volume.spatial_shape == BRATS_SHAPE and np.allclose(
        np.abs(volume.affine[:3, :3]), np.eye(3), atol=1e-3
    )
