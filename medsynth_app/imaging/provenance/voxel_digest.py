"""A number for the voxels of an image that stays the same when a tool rewrites the file.

It does not depend on the kind of file, the voxel type, the order and direction of the axes, or anything in a header;
one changed voxel changes it. Images that hold hardly anything (a blank sequence) have none: they say nothing.
"""

from __future__ import annotations

import hashlib

import numpy as np

from medsynth_app.imaging.volume import Volume

FEWEST_VALUES = 8
"""Images with fewer different values (masks, blank sequences, checkerboards) may well be equal by chance."""
_LOOKED_AT = 4_000_000


def channel_digests(volume: Volume) -> tuple[str, ...]:
    """The digests of a volume's channels, without those that have none."""
    return tuple(digest for digest in map(voxel_digest, volume.array) if digest)


def voxel_digest(array: np.ndarray) -> str:
    """The digest of one image, or "" where it holds too little.

    Args:
        array: (X, Y, Z) or (H, W) in any order of axes; a colour picture as (H, W, 3).
    """
    colours = array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8
    values = np.asarray(array, dtype=np.float32)
    spatial = 2 if colours else values.ndim
    sides = [axis for axis in range(spatial) if values.shape[axis] > 1]
    values = values.reshape([values.shape[axis] for axis in sides] + ([3] if colours else []))
    if not sides or not _says_something(values):
        return ""
    bits = (values + np.float32(0)).view(np.uint32)  # minus zero is zero
    upright = _upright(bits, len(sides))
    digest = hashlib.sha256(repr(upright.shape).encode())
    digest.update(np.ascontiguousarray(upright).astype("<u4", copy=False).tobytes())
    return digest.hexdigest()


def _says_something(values: np.ndarray) -> bool:
    flat = values.ravel()
    step = max(1, flat.size // _LOOKED_AT)
    return len(np.unique(flat[::step])) >= FEWEST_VALUES


def _upright(bits: np.ndarray, spatial: int) -> np.ndarray:
    """The array with its axes in an order and direction that depends on what it holds alone.

    The sums over all other axes tell an axis from the next one and its beginning from its end; they are sums of whole
    numbers, which do not depend on the order.
    """
    every = range(bits.ndim)
    sums = [bits.sum(axis=tuple(a for a in every if a != axis), dtype=np.uint64) for axis in range(spatial)]
    for axis, profile in enumerate(sums):
        if profile[::-1].tolist() < profile.tolist():
            bits, sums[axis] = np.flip(bits, axis), profile[::-1]
    order = sorted(range(spatial), key=lambda axis: (len(sums[axis]), sums[axis].tolist()))
    return bits.transpose([*order, *range(spatial, bits.ndim)])
