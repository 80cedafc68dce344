"""Whether a grid can be a patient's: voxel size and extent, checked before anything of that size is allocated.

One wrong field of a header (micrometres taken for millimetres, a slice distance in the wrong unit) makes an image of
a few kilobytes ask for gigabytes as soon as it is brought to voxels of 1 mm. Every place that builds a grid asks here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medsynth_app.errors import InvalidValueError

SPACING_MM = (0.01, 25.0)
"""Least and largest distance of voxels in a clinical image."""
LARGEST_EXTENT_MM = 2500.0
"""Along one axis: longer than a patient on the table."""
LARGEST_GRID_VOXELS = 512**3
"""Of a grid that is sampled anew. A head in 0.5 mm voxels has less."""
LARGEST_WORKING_VOXELS = 400**3
"""Of the cubic grid that an image is brought to before it is segmented: at 1 mm, 40 cm along each axis."""
LARGEST_HEAD_ML = 9000.0
"""Head and neck of a large man, with room; a header whose voxels are twice too large makes a brain larger than that."""


def check_head_volume(shown_ml: float, spacing: np.ndarray, name: str) -> None:
    """Volume of what an image shows, without its background.

    Args:
        shown_ml: in ml.
        spacing: (3,) voxel size in mm.
        name: how errors call the image.

    Raises:
        InvalidValueError: larger than any head (422).
    """
    if shown_ml > LARGEST_HEAD_ML:
        raise InvalidValueError(
            f"{name}: what it shows fills {shown_ml:,.0f} ml, a head has up to {LARGEST_HEAD_ML:,.0f}; "
            f"its header tells voxels of {_by(spacing)} mm, probably wrongly",
            code="implausible_extent",
        )


def check_header_grid(affine: np.ndarray, shape: Sequence[int], name: str, *, because: str = "") -> None:
    """Voxel size and extent that a header tells.

    Args:
        affine: (4, 4) voxel -> RAS mm.
        shape: (X, Y, Z).
        name: how errors call the image.
        because: what in the header may be wrong, added to the message.

    Raises:
        InvalidValueError: out of range, with the value and what is allowed (422).
    """
    spacing = np.linalg.norm(np.asarray(affine, dtype=np.float64)[:3, :3], axis=0)
    low, high = SPACING_MM
    hint = f" ({because})" if because else ""
    if not (np.isfinite(spacing).all() and low <= spacing.min() and spacing.max() <= high):
        raise InvalidValueError(
            f"{name}: its header tells voxels of {_by(spacing)} mm, allowed are {low:g} to {high:g} mm{hint}",
            code="implausible_spacing",
        )
    extent = spacing * np.array(shape[:3])
    if extent.max() > LARGEST_EXTENT_MM:
        raise InvalidValueError(
            f"{name}: its header tells an image of {_by(extent)} mm, "
            f"allowed are up to {LARGEST_EXTENT_MM:g} mm along each axis{hint}",
            code="implausible_extent",
        )


def check_new_grid(
    shape: Sequence[int], spacing: np.ndarray, what: str, *, limit: int = LARGEST_GRID_VOXELS
) -> None:
    """Number of voxels of a grid that is about to be allocated.

    Args:
        shape: (X, Y, Z) of the grid.
        spacing: (3,) its voxel size in mm.
        what: names the grid in the message.
        limit: most voxels.

    Raises:
        InvalidValueError: more than ``limit`` (422).
    """
    count = 1
    for side in shape:
        count *= int(side)
    if count > limit:
        extent = np.array([float(side) for side in shape]) * spacing
        raise InvalidValueError(
            f"{what}: an image of {_by(extent)} mm in voxels of {_by(spacing)} mm has {count:,} voxels, "
            f"allowed are {limit:,}; its header's voxel size is probably wrong",
            code="grid_too_large",
        )


def _by(values: np.ndarray) -> str:
    return " x ".join(f"{float(value):.4g}" for value in values)
