"""Takes table, headrest and face out of a head CT, before anything is learned from it.

    python examples/prepare_head_ct.py HEAD.nii.gz OUT/head.nii.gz --top-mm 86

What is kept is the largest connected body, and of it the uppermost ``--top-mm`` millimetres: with about 86 of an adult
the cut lies above the orbits. Everything else becomes air. Look at the result: a face can be recognised.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from medsynth_app.imaging.geometry import reorient
from medsynth_app.imaging.reading import read_volume

AIR_HU, BODY_HU = -1000, -300
TABLE_MM = 4.0
"""Thinner things than this, and what hangs on the body by less, are no body."""


def body(hu: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """(X, Y, Z) bool: the largest connected thing denser than air, with its air-filled spaces."""
    solid = ndimage.binary_opening(hu > BODY_HU, ball(TABLE_MM, spacing))
    parts, count = ndimage.label(solid)
    if not count:
        raise SystemExit("HEAD: nothing denser than air was found")
    largest = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    filled = [ndimage.binary_fill_holes(largest[:, :, z]) for z in range(hu.shape[2])]
    return np.stack(filled, axis=2)


def ball(radius_mm: float, spacing: np.ndarray) -> np.ndarray:
    """A ball as a small boolean array."""
    reach = np.maximum(1, np.ceil(radius_mm / spacing)).astype(int)
    grid = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), axis=-1)
    return ((grid * spacing) ** 2).sum(axis=-1) <= radius_mm**2


def main() -> None:
    """Read, cut, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("head", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--top-mm", type=float, default=86.0, help="How much below the top of the head is kept.")
    asked = parser.parse_args()
    volume = reorient(read_volume(asked.head))
    hu, spacing = volume.array[0], volume.spacing
    kept = body(hu, spacing)
    top = int(np.flatnonzero(kept.any(axis=(0, 1)))[-1])
    kept[:, :, : max(0, top + 1 - round(asked.top_mm / spacing[2]))] = False
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.where(kept, hu, AIR_HU).astype(np.int16), volume.affine), asked.out)
    print(f"{asked.out}: {int(kept.any(axis=(0, 1)).sum())} of {hu.shape[2]} slices kept")


if __name__ == "__main__":
    main()
