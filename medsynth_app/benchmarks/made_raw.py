"""Raw studies with a known truth: a labelled, stripped case gets a head around it and is "scanned" again.

The head is a label map of a whole head (brain, skull, skin ...), fitted to the case's brain by its bounding box and
painted per sequence; the case's own voxels stay where its brain is. Each sequence is then moved rigidly, as a
patient moves between two sequences, and sampled on a grid of its own with the slice profile of a thick slice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from medsynth_app.imaging.geometry import foreground_box, reorient
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import Modality

LARGEST_BRAIN_CODE = 499
CEREBROSPINAL_FLUID = 24
"""Codes of the label map: FreeSurfer's below 500, what lies outside the brain above."""
MARGIN_MM = (30, 30, 30)
BRAIN_LEVEL = 300.0
"""Median of the brain in every sequence."""

_TISSUES: dict[int, tuple[float, float, float, float]] = {
    CEREBROSPINAL_FLUID: (0.15, 0.30, 0.30, 2.00),
    502: (0.40, 0.50, 1.60, 0.30), 506: (0.15, 0.30, 0.30, 2.00), 507: (0.60, 0.75, 0.80, 0.60),
    508: (0.50, 0.55, 0.60, 0.45), 509: (0.90, 0.70, 1.30, 1.50), 511: (0.80, 1.20, 1.25, 0.90),
    512: (0.80, 0.80, 0.80, 0.80), 514: (0.30, 0.50, 1.70, 0.25), 515: (0.05, 0.08, 0.08, 0.05),
    516: (0.45, 0.95, 1.00, 0.60), 530: (0.60, 0.70, 0.80, 0.80),
}  # fmt: skip
"""Code -> brightness in FLAIR, T1, T1ce, T2 by that of the brain: blood vessels, eyes, muscle and fat, mucosa, skin,
spinal cord, cortical and cancellous bone, optic nerve."""


@dataclass(frozen=True)
class Scan:
    """How one sequence is scanned.

    Attributes:
        axes: ends that columns, rows and slices point to, for example ``LPS`` for axial slices.
        spacing: mm along them.
        rotation_deg: turn of the head about R, A and S.
        shift_mm: move of the head.
    """

    axes: str = "LPS"
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class MadeHead:
    """A case in a head.

    Attributes:
        volume: (4, X, Y, Z) float32, 1 mm voxels.
        brain: (X, Y, Z) bool, the case's brain.
        labels: (X, Y, Z) uint8, 0..3.
    """

    volume: Volume
    brain: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class MadeStudy:
    """A raw study and its truth.

    Attributes:
        images: modality -> (1, X, Y, Z) float32 on its own grid.
        motions: modality -> (4, 4), RAS mm of the head -> RAS mm of that scan.
        head: the head that was scanned.
    """

    images: dict[str, Volume]
    motions: dict[str, np.ndarray]
    head: MadeHead

    def true_transform(self, source: str, target: str) -> np.ndarray:
        """(4, 4), RAS mm of one scan -> RAS mm of another."""
        return self.motions[target] @ np.linalg.inv(self.motions[source])

    def on_grid(self, array: np.ndarray, modality: str, order: int = 0) -> np.ndarray:
        """Labels or brain of the head (X, Y, Z) as the scan of a modality shows them."""
        image = self.images[modality]
        way = np.linalg.inv(self.head.volume.affine) @ np.linalg.inv(self.motions[modality]) @ image.affine
        return ndimage.affine_transform(
            array, way[:3, :3], way[:3, 3], output_shape=image.spatial_shape, order=order, mode="constant"
        )


def drawn_scans(
    seed: int, *, thick_mm: float = 5.0, rotation_deg: float = 15.0, shift_mm: float = 10.0
) -> dict[str, Scan]:
    """A usual protocol: T1ce in 3-D, the others in thick slices, each after another move of the head."""
    random = np.random.default_rng(seed)
    scans = {}
    for modality in Modality:
        turn = random.uniform(-rotation_deg, rotation_deg, 3) / np.sqrt(3)
        shift = random.uniform(-shift_mm, shift_mm, 3) / np.sqrt(3)
        scan = {"rotation_deg": tuple(turn.tolist()), "shift_mm": tuple(shift.tolist())}
        if modality is Modality.T1CE:
            scans[modality.value] = Scan("PIR", (1.0, 1.0, 1.0), **scan)
        else:
            scans[modality.value] = Scan("LPS", (0.9, 0.9, thick_mm), **scan)
    return scans


def make_study(
    head: MadeHead, scans: Mapping[str, Scan], seed: int = 0, noise: float = 0.02, bias: float = 0.15
) -> MadeStudy:
    """Scan a head.

    Args:
        head: from ``head_around``.
        scans: modality -> how.
        seed: of noise and receive field.
        noise: standard deviation by the brightness of the brain.
        bias: the receive field varies by so much.
    """
    random = np.random.default_rng(seed)
    images, motions = {}, {}
    for index, modality in enumerate(m.value for m in Modality):
        if modality not in scans:
            continue
        motions[modality] = _motion(scans[modality], head)
        images[modality] = _scanned(head.volume, index, scans[modality], motions[modality], random, noise, bias)
    return MadeStudy(images, motions, head)


def write_study_files(study: MadeStudy, folder: Path) -> CaseFiles:
    """The raw study as ``FOLDER/NAME_flair.nii.gz`` ..., one file a sequence on its own grid."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for modality, image in study.images.items():
        files[modality] = folder / f"{folder.name}_{modality}.nii.gz"
        stored = nib.Nifti1Image(np.round(image.array[0]).astype(np.int16), image.affine)
        stored.set_sform(image.affine, code=1)
        stored.set_qform(image.affine, code=1)
        nib.save(stored, files[modality])
    return CaseFiles(folder.name, files)


def head_around(case: Volume, labels: np.ndarray, head_map: Path, seed: int = 0) -> MadeHead:
    """Put a head around a stripped case.

    Args:
        case: (4, X, Y, Z) of FLAIR, T1, T1ce, T2; 1 mm voxels, 0 outside the brain.
        labels: (X, Y, Z) uint8, 0..3.
        head_map: file of a whole-head label map.
        seed: of the tissues' texture.
    """
    both = reorient(Volume(np.concatenate([case.array, labels[None].astype(np.float32)]), case.affine))
    pad = ((0, 0), *((m, m) for m in MARGIN_MM))
    array = np.pad(both.array, pad)
    affine = both.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ np.array(MARGIN_MM)
    brain = ndimage.binary_fill_holes((array[:4] != 0).any(axis=0))
    codes = _fitted_map(reorient(read_volume(head_map)), Volume(array[:1], affine), brain)
    random = np.random.default_rng(seed)
    texture = 1 + 0.1 * _smooth(random, codes.shape, 3.0) + 0.1 * _smooth(random, codes.shape, 12.0)
    channels = []
    for index in range(4):
        level = float(np.median(array[index][array[index] > 0]))
        tissue = np.zeros(LARGEST_BRAIN_CODE + 100, np.float32)
        for code, brightness in _TISSUES.items():
            tissue[code] = brightness[index]
        tissue[1 : LARGEST_BRAIN_CODE + 1] = _TISSUES[CEREBROSPINAL_FLUID][index]
        outside = ndimage.gaussian_filter(tissue[codes], 0.5) * texture * BRAIN_LEVEL
        channels.append(np.where(brain, array[index] / level * BRAIN_LEVEL, outside).astype(np.float32))
    return MadeHead(Volume(np.stack(channels), affine), brain, array[4].astype(np.uint8))


def _fitted_map(head: Volume, grid: Volume, brain: np.ndarray) -> np.ndarray:
    """(X, Y, Z) codes on the grid, the map's brain scaled to the box of the case's."""
    codes = head.array[0].astype(np.int16)
    own = (codes > 0) & (codes <= LARGEST_BRAIN_CODE) & (codes != CEREBROSPINAL_FLUID) & (codes != 16)
    theirs, ours = foreground_box(own), foreground_box(brain)
    scale = np.array(theirs.shape) / np.array(ours.shape)
    offset = np.array(theirs.start) - scale * np.array(ours.start)
    return ndimage.affine_transform(
        codes, np.diag(scale), offset, output_shape=grid.spatial_shape, order=0, mode="constant"
    )


def _smooth(random: np.random.Generator, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """Smooth noise of standard deviation 1, drawn coarsely."""
    step = max(1, int(sigma))
    small = random.standard_normal([n // step + 2 for n in shape]).astype(np.float32)
    small = ndimage.gaussian_filter(small, sigma / step)
    wide = ndimage.zoom(small, step, order=1)[tuple(slice(0, n) for n in shape)]
    return wide / float(wide.std())


def _motion(scan: Scan, head: MadeHead) -> np.ndarray:
    """(4, 4) RAS mm -> RAS mm: a turn about the middle of the brain, then a shift."""
    index = np.argwhere(head.brain[::4, ::4, ::4]).mean(axis=0) * 4
    center = head.volume.affine[:3, :3] @ index + head.volume.affine[:3, 3]
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("xyz", scan.rotation_deg, degrees=True).as_matrix()
    motion[:3, 3] = center - motion[:3, :3] @ center + np.array(scan.shift_mm)
    return motion


def _scanned(
    head: Volume, index: int, scan: Scan, motion: np.ndarray, random: np.random.Generator, noise: float, bias: float
) -> Volume:
    affine, shape = _grid(head, scan)
    way = np.linalg.inv(head.affine) @ np.linalg.inv(motion) @ affine
    steps = max(1, round(scan.spacing[2]))
    profile = np.zeros(shape, np.float32)
    for step in (np.arange(steps) + 0.5) / steps - 0.5:
        offset = way[:3, 3] + way[:3, 2] * step
        profile += ndimage.affine_transform(
            head.array[index], way[:3, :3], offset, output_shape=shape, order=1, mode="constant"
        )
    image = profile / steps * (1 + bias * np.clip(_smooth(random, shape, 40.0), -2, 2) / 2)
    sigma = noise * BRAIN_LEVEL
    real, imaginary = (random.standard_normal((2, *shape)) * sigma).astype(np.float32)
    return Volume(np.hypot(image + real, imaginary)[None].astype(np.float32), affine)


def _grid(head: Volume, scan: Scan) -> tuple[np.ndarray, tuple[int, int, int]]:
    """A field of view that holds the head, in the wanted axes and voxel sizes."""
    turned = reorient(Volume(head.array[:1], head.affine), tuple(scan.axes))  # type: ignore[arg-type]
    scale = np.array(scan.spacing) / turned.spacing
    shape = tuple(int(np.ceil(n / s)) for n, s in zip(turned.spatial_shape, scale))
    affine = turned.affine.copy()
    affine[:3, :3] = turned.affine[:3, :3] * scale
    affine[:3, 3] += turned.affine[:3, :3] @ ((scale - 1) / 2)
    return affine, shape  # type: ignore[return-value]
