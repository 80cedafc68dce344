"""The head that takes a tumour: its images, what its voxels are made of, and the tumour that it has already."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import nibabel as nib
import numpy as np
from scipy.ndimage import binary_dilation, map_coordinates

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.background import without_background
from medsynth_app.imaging.geometry import foreground_box, reorient
from medsynth_app.imaging.labels import read_submitted_label
from medsynth_app.imaging.provenance.voxel_digest import channel_digests
from medsynth_app.imaging.skull import find_skull
from medsynth_app.imaging.volume import Volume
from medsynth_app.synthesis.anatomy.icbm_brain import COARSE_SPACING_MM, Grid
from medsynth_app.synthesis.generator import Host
from medsynth_app.synthesis.tumor.learned.transforms import ObservedCase, take_apart
from medsynth_app.vocabulary import Modality

SPACING_LIMITS_MM = (0.8, 3.0)
LARGEST_DIFFERENCE = 0.05
"""Of the three sides of a voxel, relative: growth is computed in cubes."""
RIM_MM = 2.0
"""So far around a tumour that is there already nothing grows."""
LEAST_BRAIN_ML = 300.0
AXES = ("L", "P", "S")
MODALITIES = [modality.value for modality in Modality]


@dataclass(frozen=True)
class HostHead:
    """A real head with four co-registered sequences and the brain alone.

    Attributes:
        name: of the case.
        volume: (4, X, Y, Z) FLAIR, T1, T1ce, T2 as they were read; 0 outside the brain.
        label: (X, Y, Z) uint8, values 0..3: the tumour that it has.
        label_origin: ``given``, or ``network`` where nobody had labelled it.
    """

    name: str
    volume: Volume
    label: np.ndarray
    label_origin: str

    @cached_property
    def upright(self) -> Volume:
        """The images with the voxel axes L, P, S."""
        return reorient(self.volume, AXES)

    @cached_property
    def upright_label(self) -> np.ndarray:
        """The label with the voxel axes L, P, S."""
        return reorient(Volume(self.label[None], self.volume.affine), AXES).array[0]

    @cached_property
    def brain(self) -> np.ndarray:
        """(X, Y, Z) bool, axes L, P, S."""
        return (self.upright.array != 0).all(axis=0)

    @cached_property
    def grid(self) -> Grid:
        """The upright grid, with the box of the brain."""
        box = foreground_box(self.brain, margin=2)
        return Grid(self.upright.affine, self.upright.spatial_shape, box, float(self.upright.spacing.mean()))

    @property
    def digest(self) -> str:
        """Of the voxels of T1: tells the host again, whatever it is called."""
        t1 = MODALITIES.index(Modality.T1.value)
        return (channel_digests(Volume(self.volume.array[t1 : t1 + 1], self.volume.affine)) or ("",))[0]

    def as_before(self, array: np.ndarray) -> np.ndarray:
        """(C, X, Y, Z) with the axes L, P, S -> as the host's files have them."""
        codes = nib.orientations.aff2axcodes(self.volume.affine)
        return reorient(Volume(array, self.upright.affine), codes).array


def read_host(host: Host) -> HostHead:
    """Read a case that is to take a tumour.

    Args:
        host: four sequences on one grid, brain only; its label, where it has one.

    Raises:
        InvalidValueError: a sequence is missing, there is a skull, hardly any brain, or the voxels are no cubes;
            begins with ``host:``.
    """
    files = host.files
    try:
        volume = files.read(MODALITIES)
    except InvalidValueError as error:
        raise InvalidValueError(f"host: {error.message}", code=error.code) from error
    volume, backgrounds = without_background(volume)
    _check_voxels(files.name, volume)
    if find_skull(volume, backgrounds).has_skull:
        raise InvalidValueError(f"host: {files.name} shows a skull; run medsynth prepare on it first")
    brain_ml = float((volume.array != 0).all(axis=0).sum()) * volume.voxel_volume_ml
    if brain_ml < LEAST_BRAIN_ML:
        raise InvalidValueError(f"host: {files.name} shows {brain_ml:.0f} ml of brain, needs {LEAST_BRAIN_ML:.0f}")
    if files.label is not None:
        label = read_submitted_label(files.label, volume, name=f"host: {files.name} label")
        return HostHead(files.name, volume, label.astype(np.uint8), "given")
    if host.find_tumor is None:
        raise InvalidValueError(f"host: {files.name} has no label, so a tumour that it has would not be labelled")
    return HostHead(files.name, volume, host.find_tumor(volume).astype(np.uint8), "network")


def _check_voxels(name: str, volume: Volume) -> None:
    sides = volume.spacing
    low, high = SPACING_LIMITS_MM
    if sides.max() / sides.min() > 1 + LARGEST_DIFFERENCE or not low <= sides.mean() <= high:
        shown = " x ".join(f"{side:.2f}" for side in sides)
        raise InvalidValueError(
            f"host: {name} has voxels of {shown} mm; they must be cubes of {low:g} to {high:g} mm, as medsynth prepare "
            "makes them"
        )


class HostBrain:
    """A host as the growth model sees it: the same questions that ``IndividualBrain`` answers.

    Args:
        head: the host.

    Attributes:
        grid: of the upright host.
        coarse_shape: (x, y, z) of the coarse grid on which deformations would live.
        coarse_spacing_mm: (3,) its voxel size.
        shares: (3, X, Y, Z) float32 on the brain box: white matter, grey matter, fluid; 0 where nothing may grow.
        room: (X, Y, Z) bool on the brain box: brain without the tumour that is there.
        class_means: (6, 4) of ``learned.transforms.CLASSES`` and sequences, in the healthy brain's deviations; NaN
            where the host hardly shows a class.
    """

    def __init__(self, head: HostHead) -> None:
        self.grid = head.grid
        extent = np.array([n - 1 for n in self.grid.box.shape]) * self.grid.spacing_mm
        self.coarse_shape = tuple(int(n) for n in np.round(extent / COARSE_SPACING_MM) + 1)
        self.coarse_spacing_mm = extent / (np.array(self.coarse_shape) - 1)
        there = head.upright_label[self.grid.box.slices] > 0
        if there.any():
            there = binary_dilation(there, iterations=max(1, round(RIM_MM / self.grid.spacing_mm)))
        self.room = head.brain[self.grid.box.slices] & ~there
        observed = _taken_apart(head)
        self.class_means = observed.means
        self.shares = _fine_shares(observed, head) * self.room

    def maps(self, shape: tuple[int, ...], displacement_mm: np.ndarray | None = None) -> np.ndarray:
        """White matter, grey matter and room, (3, X, Y, Z) float32, sampled over the brain box, corner on corner.

        Args:
            shape: (X, Y, Z) samples.
            displacement_mm: must be None or 0: a host's brain is not pushed.
        """
        parts = np.stack([self.shares[0], self.shares[1], self.room.astype(np.float32)])
        if shape == parts.shape[1:]:
            return parts
        lines = [np.linspace(0, n - 1, m) for n, m in zip(parts.shape[1:], shape)]
        places = np.stack(np.meshgrid(*lines, indexing="ij"))
        return np.stack([map_coordinates(part, places, order=1) for part in parts]).astype(np.float32)


def _taken_apart(head: HostHead) -> ObservedCase:
    x, y, z = head.grid.box.slices
    return take_apart(head.name, head.upright.array[:, x, y, z], head.upright_label[x, y, z], head.brain[x, y, z])


def _fine_shares(observed: ObservedCase, head: HostHead) -> np.ndarray:
    """White matter, grey matter and fluid of the brain box by fuzzy clustering, (3, X, Y, Z) float32."""
    brain = head.brain[head.grid.box.slices]
    # Clustered in blocks of two voxels a side.
    fine = observed.shares[:3].repeat(2, axis=1).repeat(2, axis=2).repeat(2, axis=3)
    x, y, z = brain.shape
    return fine[:, :x, :y, :z] * brain
