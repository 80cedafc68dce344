"""The ICBM 152 brain template and its place on the BraTS grid.

The template is the ICBM 2009a nonlinear average of 152 healthy brains (Fonov 2009, Fonov 2011), in the
1 mm, 8-bit form that the installed nilearn package carries. Copyright (C) 1993-2009 Louis Collins,
McConnell Brain Imaging Centre, Montreal Neurological Institute, McGill University; free to use, copy,
modify and distribute as long as this notice is kept (in full in ``sample-data/README.md``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter

from medsynth_app.errors import NotFoundError
from medsynth_app.imaging.volume import Volume

BRATS_SHAPE = (240, 240, 155)
BRATS_AFFINE = np.array(
    [[-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 239.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
"""Voxel -> RAS mm of every BraTS case: 1 mm, voxel axes to the patient's left, posterior and superior."""

TEMPLATE_TO_BRATS = np.array(
    [[0.95, 0.0, 0.0, -118.5], [0.0, 0.945, 0.0, 126.0], [0.0, 0.0, 0.93, 63.0], [0.0, 0.0, 0.0, 1.0]]
)
"""Template (MNI) mm -> RAS mm on the BraTS grid: brings the template's brain box to the median box of
BraTS brains (which are aligned to the smaller SRI24 atlas and are cut at the lowest slice)."""

_FILE_PATTERN = "datasets/data/mni_icbm152_{part}_tal_nlin_sym_09a_converted.nii.gz"


@dataclass(frozen=True)
class BrainTemplate:
    """The average brain, axes R, A, S, 1 mm.

    Attributes:
        t1: (X, Y, Z) float32, T1-weighted intensity 0..1, 0 outside the head's brain mask.
        grey_matter: (X, Y, Z) float32, share of grey matter 0..1.
        white_matter: (X, Y, Z) float32, share of white matter 0..1.
        brain: (X, Y, Z) float32, 1 in the brain with its ventricles and sulci, 0 outside, soft at the edge.
        affine: (4, 4), voxel -> MNI mm (RAS).
    """

    t1: np.ndarray
    grey_matter: np.ndarray
    white_matter: np.ndarray
    brain: np.ndarray
    affine: np.ndarray


def load_t1_template() -> Volume:
    """The template's T1 alone: (1, 197, 233, 189) float32 in 0..1, 1 mm, RAS, 0 outside its brain mask.

    Raises:
        NotFoundError: nilearn or its template files are not installed.
    """
    t1, affine = _read_part("t1")
    return Volume(t1[None], affine)


@lru_cache(maxsize=1)
def load_template() -> BrainTemplate:
    """Read the template from the installed nilearn package; read once per process, arrays read-only.

    Raises:
        NotFoundError: nilearn or its template files are not installed.
    """
    t1, affine = _read_part("t1")
    grey, _ = _read_part("gm")
    white, _ = _read_part("wm")
    arrays = (t1, grey, white, _brain_without_rim(t1, grey + white))
    for array in (*arrays, affine):
        array.setflags(write=False)
    return BrainTemplate(*arrays, affine)


def _read_part(part: str) -> tuple[np.ndarray, np.ndarray]:
    # The specification is looked up instead of importing nilearn, which takes seconds.
    package = find_spec("nilearn")
    places = list(package.submodule_search_locations or []) if package is not None else []
    for place in places:
        path = Path(place) / _FILE_PATTERN.format(part=part)
        if path.is_file():
            image = nib.Nifti1Image.from_filename(path)
            return np.asarray(image.dataobj, dtype=np.float32) / np.float32(255.0), np.array(image.affine)
    raise NotFoundError(
        f"template: the ICBM 152 {part} map is missing; install the package nilearn (0.14), which carries it"
    )


def _brain_without_rim(t1: np.ndarray, tissue: np.ndarray) -> np.ndarray:
    """A tighter brain than the template's own mask, which keeps 2-4 mm of fluid around the cortex.

    Voxels count where tissue dominates their surroundings, or where the mask is deep (ventricles, cisterns).
    """
    mask = (t1 > 0).astype(np.float32)
    deep = gaussian_filter(mask, 6.0) > 0.93
    near_tissue = gaussian_filter(tissue, 2.0) > 0.5
    return gaussian_filter(((deep | near_tissue) & (mask > 0)).astype(np.float32), 1.0)
