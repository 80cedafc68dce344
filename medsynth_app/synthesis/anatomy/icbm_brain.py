"""A healthy individual brain: tissue maps of the ICBM template, warped and given folds of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from medsynth_app.imaging.atlas.template import BRATS_AFFINE, BRATS_SHAPE, TEMPLATE_TO_BRATS, load_template
from medsynth_app.imaging.geometry import Box
from medsynth_app.synthesis.anatomy.diffeomorphism import integrate, random_velocity, upsample_field
from medsynth_app.synthesis.anatomy.random_fields import smooth_noise, stream

COARSE_SPACING_MM = 4.0
BRAIN_BOX_MM = ((38, 30, 0), (200, 226, 150))
"""Part of the BraTS grid, in voxels of 1 mm, that holds every brain this module makes."""
INDIVIDUAL_WARP = ((45.0, 3.5), (18.0, 1.4), (9.0, 0.7))
"""Scales and standard deviations in mm of the difference between an individual and the average brain."""


@dataclass(frozen=True)
class Grid:
    """The voxel grid of a case and the box of it that is worked on.

    Attributes:
        affine: (4, 4), voxel -> RAS mm of the whole grid.
        shape: (X, Y, Z) of the whole grid.
        box: where the brain lies.
        spacing_mm: size of the cubic voxels.
    """

    affine: np.ndarray
    shape: tuple[int, int, int]
    box: Box
    spacing_mm: float

    @property
    def box_affine(self) -> np.ndarray:
        """(4, 4), voxel of the box -> RAS mm."""
        affine = self.affine.copy()
        affine[:3, 3] = (self.affine @ np.array([*self.box.start, 1.0]))[:3]
        return affine

    def paste(self, array: np.ndarray) -> np.ndarray:
        """An array (X, Y, Z) of the box on the whole grid, 0 around it."""
        full = np.zeros(self.shape, dtype=array.dtype)
        full[self.box.slices] = array
        return full


@dataclass(frozen=True)
class Anatomy:
    """Tissue of a healthy head on the brain box of a grid; shares add up to 1 inside the brain.

    Attributes:
        white_matter: (X, Y, Z) float32, share 0..1.
        grey_matter: (X, Y, Z) float32, share 0..1.
        fluid: (X, Y, Z) float32, share of cerebrospinal fluid 0..1.
        brain: (X, Y, Z) bool, inside of the brain extraction.
    """

    white_matter: np.ndarray
    grey_matter: np.ndarray
    fluid: np.ndarray
    brain: np.ndarray


def brats_grid(spacing_mm: float = 1.0) -> Grid:
    """The BraTS grid (LPS voxel order) at any voxel size, with the same outer faces."""
    shape = tuple(int(round(n / spacing_mm)) for n in BRATS_SHAPE)
    affine = BRATS_AFFINE.copy()
    affine[:3, :3] *= spacing_mm
    affine[:3, 3] += BRATS_AFFINE[:3, :3] @ np.full(3, (spacing_mm - 1.0) / 2.0)
    start = tuple(int(np.floor(n / spacing_mm)) for n in BRAIN_BOX_MM[0])
    stop = tuple(min(int(np.ceil(n / spacing_mm)), s) for n, s in zip(BRAIN_BOX_MM[1], shape))
    return Grid(affine, shape, Box(start, stop), spacing_mm)  # type: ignore[arg-type]


class IndividualBrain:
    """One person's brain, drawn from a seed, to be sampled at any deformation of space.

    Attributes:
        grid: the grid of the case.
        coarse_shape: (x, y, z) of the coarse grid on which deformations of the box live.
        coarse_spacing_mm: (3,) its voxel size.
    """

    def __init__(self, seed: int, grid: Grid) -> None:
        self.grid = grid
        self._seed = seed
        extent = np.array([n - 1 for n in grid.box.shape]) * grid.spacing_mm
        self.coarse_shape = tuple(int(n) for n in np.round(extent / COARSE_SPACING_MM) + 1)
        self.coarse_spacing_mm = extent / (np.array(self.coarse_shape) - 1)
        generator = stream(seed, "anatomy")
        # Heads differ in length, width and height by some per cent; the axes here are R, A, S.
        self._head_size = 1.0 + 0.03 * generator.uniform(-1.0, 1.0, size=3)
        self._warp_mm = integrate(
            random_velocity(generator, self.coarse_shape, COARSE_SPACING_MM, INDIVIDUAL_WARP),
            self.coarse_spacing_mm,
        )

    def maps(self, shape: tuple[int, ...], displacement_mm: np.ndarray | None = None) -> np.ndarray:
        """White matter, grey matter and brain, sampled without refinement.

        Args:
            shape: (X, Y, Z) samples spread over the brain box, corner on corner.
            displacement_mm: (3, x, y, z) on the coarse grid, mm along the box axes: every sample is taken at
                p + u(p) of the healthy head; None for the healthy head itself.

        Returns:
            (3, X, Y, Z) float32, 0..1; white and grey matter are 0 outside the brain.
        """
        template = load_template()
        places = self._template_places(shape, displacement_mm)
        result = np.zeros((3, *shape), dtype=np.float32)
        result[2] = _sample_halves(template.brain, places)
        inside = result[2] > 0.5
        inner_places = places[:, inside]
        with ThreadPoolExecutor(2) as pool:
            tissues = (template.white_matter, template.grey_matter)
            for target, part in zip(result, pool.map(lambda tissue: _sample(tissue, inner_places), tissues)):
                target[inside] = part
        return result

    def _template_places(
        self, shape: tuple[int, ...], displacement_mm: np.ndarray | None
    ) -> np.ndarray:
        """Template voxel (3, X, Y, Z) float32 under each sample."""
        warp = self._warp_mm if displacement_mm is None else _compose(
            displacement_mm, self._warp_mm, self.coarse_spacing_mm
        )
        places = upsample_field(warp, shape)
        spacing = self.grid.spacing_mm
        box_size = [n - 1 for n in self.grid.box.shape]
        for axis in range(3):
            line = np.linspace(0.0, box_size[axis] * spacing, shape[axis]).astype(np.float32)
            places[axis] += line.reshape([-1 if a == axis else 1 for a in range(3)])
        # Millimetres along the box axes -> template voxels: diagonal, as both grids have parallel axes.
        index_map = self._box_mm_to_template()
        for axis in range(3):
            places[axis] *= np.float32(index_map[axis, axis])
            places[axis] += np.float32(index_map[axis, 3])
        return places

    def _box_mm_to_template(self) -> np.ndarray:
        """(4, 4): millimetres along the box axes -> template voxel, with this head's size."""
        box_mm_to_world = self.grid.box_affine @ np.diag([*[1.0 / self.grid.spacing_mm] * 3, 1.0])
        head = TEMPLATE_TO_BRATS @ np.diag([*self._head_size, 1.0])
        return np.linalg.inv(load_template().affine) @ np.linalg.inv(head) @ box_mm_to_world

    def anatomy(self, maps: np.ndarray) -> Anatomy:
        """Tissue shares with the individual's own folds.

        Args:
            maps: (3, X, Y, Z) of the brain box, as ``maps`` samples them. Not changed.
        """
        white, grey, brain = maps
        inside = brain > 0.5
        folds = _folds(stream(self._seed, "folds"), self.grid.box.shape, self.grid.spacing_mm)
        shares = np.zeros((3, *inside.shape), dtype=np.float32)
        shares[:, inside] = _individualise(white[inside], grey[inside], folds[inside])
        _mix_cerebellar_folia(shares, _cerebellum(self.grid))
        return Anatomy(shares[0], shares[1], shares[2], inside)


def _sample(part: np.ndarray, places: np.ndarray) -> np.ndarray:
    return map_coordinates(part, places, order=1, mode="constant")


def _sample_halves(part: np.ndarray, places: np.ndarray) -> np.ndarray:
    """As ``_sample``, with each half of the first axis in a thread of its own."""
    middle = places.shape[1] // 2
    with ThreadPoolExecutor(2) as pool:
        halves = pool.map(lambda half: _sample(part, half), (places[:, :middle], places[:, middle:]))
        return np.concatenate(list(halves))


def _compose(first: np.ndarray, second: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Displacement of moving by ``first`` and then by ``second``, all (3, x, y, z) in mm."""
    places = np.indices(first.shape[1:], dtype=np.float32)
    places += first / np.asarray(spacing_mm, dtype=np.float32).reshape(3, 1, 1, 1)
    moved = [map_coordinates(component, places, order=1, mode="nearest") for component in second]
    return first + np.stack(moved)


def _folds(
    generator: np.random.Generator, shape: tuple[int, ...], spacing_mm: float
) -> np.ndarray:
    """Noise at the scale of cortical folds, (X, Y, Z) float32: high in sulci, low in gyri."""
    fold = smooth_noise(generator, shape, 5.0, spacing_mm)
    fold += np.float32(0.6) * smooth_noise(generator, shape, 3.0, spacing_mm)
    return np.clip(fold, -2.0, 2.0, out=fold)


def _individualise(white: np.ndarray, grey: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Turn blurred population averages into one person's tissue.

    The average of 152 brains is uncertain where people differ (the folds of the cortex). Noise at the scale
    of a fold decides there, and a power sharpens the decision: p_i <- (p_i m_i)^3 / sum_j (p_j m_j)^3. Fluid
    weighs more inside the grey ribbon, where averaging has closed the sulci.

    Args:
        white: (N,) float32, average share of white matter.
        grey: (N,) float32, average share of grey matter.
        fold: (N,) float32, as ``_folds`` makes it.

    Returns:
        (3, N) float32: shares of white matter, grey matter and fluid that add up to 1.
    """
    fluid = np.clip(np.float32(1.0) - white - grey, 0.0, 1.0)
    fluid *= np.float32(1.4) + np.float32(2.0) * grey + np.float32(0.8) * fold
    shares = np.stack([white * (np.float32(1.0) - np.float32(0.16) * fold), grey, fluid])
    np.clip(shares, 0.0, None, out=shares)
    shares = shares * shares * shares
    shares[2][shares.max(axis=0) < np.float32(1e-3)] = 1.0
    return shares / (shares[0] + shares[1] + shares[2])


def _cerebellum(grid: Grid) -> np.ndarray:
    """1 in the cerebellum of the average head, 0 above and in front of it, (X, Y, Z) float32 on the box.

    The tentorium is taken as a roof that falls off to both sides; soft over 6 mm, as heads differ.
    """
    to_template = np.linalg.inv(TEMPLATE_TO_BRATS) @ grid.box_affine
    index = np.ogrid[tuple(slice(0, n) for n in grid.box.shape)]
    x, y, z = (to_template[a, a] * line + to_template[a, 3] for a, line in enumerate(index))
    below_roof = np.clip((-14.0 - 0.2 * np.abs(x) - z) / 6.0, 0.0, 1.0)
    behind = np.clip((-38.0 - y) / 6.0, 0.0, 1.0)
    return (below_roof * behind).astype(np.float32)


def _mix_cerebellar_folia(shares: np.ndarray, cerebellum: np.ndarray) -> None:
    """Put white matter and fluid into the cerebellar cortex, in place.

    Its folia are thinner than a voxel; the average brain shows them as solid grey matter, which would be
    brighter on FLAIR than any real cerebellum.

    Args:
        shares: (3, X, Y, Z), white matter, grey matter, fluid.
        cerebellum: (X, Y, Z), 0..1.
    """
    moved = shares[1] * (np.float32(0.35) * cerebellum)
    shares[1] -= moved
    shares[0] += np.float32(0.75) * moved
    shares[2] += np.float32(0.25) * moved


def brain_edge(brain: np.ndarray, spacing_mm: float) -> np.ndarray:
    """How near the surface of the brain a voxel is: 0 deep inside, 1 at the surface; (X, Y, Z) float32."""
    blurred = gaussian_filter(brain.astype(np.float32), 3.0 / spacing_mm)
    return np.clip(2.0 - 2.0 * blurred, 0.0, 1.0).astype(np.float32)
