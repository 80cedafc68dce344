"""What every voxel is made of: healthy tissue, vessels, tumour, with partial volume at the borders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from medsynth_app.imaging.geometry import Box, foreground_box
from medsynth_app.synthesis.anatomy.icbm_brain import Anatomy, brain_edge
from medsynth_app.synthesis.anatomy.random_fields import smooth_noise, stream
from medsynth_app.synthesis.tumor.growth import Tumor
from medsynth_app.synthesis.tumor.signal import Tissue
from medsynth_app.vocabulary import TumorLabel

EDEMA_EDGE_MM = 0.9
CORE_EDGE_MM = 0.55
VESSEL_SPACING_MM = 9.0
SINUS_HALF_WIDTH_MM = 4.0
UPTAKE_MEAN, UPTAKE_DEVIATION, UPTAKE_LIMITS = 0.9, 0.25, (0.25, 1.4)


@dataclass(frozen=True)
class Composition:
    """What the N voxels inside the brain are made of, in the order of ``array[brain]``.

    Attributes:
        shares: share of each tissue, (N,) float32; they add up to 1.
        texture: (N,) float32, about standard normal: relative water content inside a tissue.
        uptake: (N,) float32: contrast agent that reaches enhancing tumour, 1 being the usual amount.
        brain: (X, Y, Z) bool on the brain box.
    """

    shares: dict[Tissue, np.ndarray]
    texture: np.ndarray
    uptake: np.ndarray
    brain: np.ndarray


def compose(
    anatomy: Anatomy, tumor: Tumor, seed: int, spacing_mm: float, edema_density: float = 0.92
) -> Composition:
    """Lay vessels and tumour into the brain.

    Args:
        anatomy: the brain as it lies after the push.
        tumor: on the same box.
        seed: the request's seed.
        spacing_mm: voxel size.
        edema_density: share of oedema in a voxel next to the core.
    """
    brain = anatomy.brain
    fluid = anatomy.fluid[brain]
    shares = {
        Tissue.WHITE_MATTER: anatomy.white_matter[brain],
        Tissue.GREY_MATTER: anatomy.grey_matter[brain],
        Tissue.CEREBROSPINAL_FLUID: fluid,
    }
    _replace(shares, Tissue.VESSEL, _vessels(anatomy, seed, spacing_mm)[brain])
    box = foreground_box(tumor.label > 0, margin=int(np.ceil(4.0 / spacing_mm)))
    edema = _soft(np.float32(edema_density) * tumor.density, box, EDEMA_EDGE_MM / spacing_mm)[brain]
    # Fluid keeps its place beside oedema: sulci stay dark on FLAIR.
    _replace(shares, Tissue.EDEMA, edema * (np.float32(1.0) - np.float32(0.8) * fluid))
    for tissue, where in _core_parts(tumor).items():
        _replace(shares, tissue, _soft(where, box, CORE_EDGE_MM / spacing_mm)[brain])
    texture, uptake = _heterogeneity(brain, seed, spacing_mm)
    return Composition(shares, texture, uptake, brain)


def _core_parts(tumor: Tumor) -> dict[Tissue, np.ndarray]:
    core = tumor.label == TumorLabel.NECROTIC_CORE
    return {
        Tissue.SOLID_TUMOR: core & ~tumor.necrosis,
        Tissue.NECROSIS: tumor.necrosis,
        Tissue.ENHANCING_TUMOR: tumor.label == TumorLabel.ENHANCING_TUMOR,
    }


def _soft(where: np.ndarray, box: Box, sigma: float) -> np.ndarray:
    """A map blurred inside a box that holds all of it, (X, Y, Z) float32."""
    result = np.zeros(where.shape, dtype=np.float32)
    result[box.slices] = gaussian_filter(where[box.slices].astype(np.float32), sigma)
    return result


def _replace(shares: dict[Tissue, np.ndarray], tissue: Tissue, share: np.ndarray) -> None:
    """Give a tissue its share of every voxel; what was there keeps its proportions in the rest."""
    changed = np.flatnonzero(share)
    new = share[changed]
    for other in shares.values():
        other[changed] *= np.float32(1.0) - new
    shares[tissue] = share


def _heterogeneity(brain: np.ndarray, seed: int, spacing_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Texture and uptake of the brain's voxels, both (N,) float32."""
    generator = stream(seed, "texture")
    shape = brain.shape
    texture = np.float32(0.85) * smooth_noise(generator, shape, 7.0, spacing_mm)[brain]
    texture += np.float32(0.45) * smooth_noise(generator, shape, 2.5, spacing_mm)[brain]
    uptake = np.float32(UPTAKE_DEVIATION) * smooth_noise(generator, shape, 4.0, spacing_mm)[brain]
    uptake += np.float32(UPTAKE_MEAN)
    return np.clip(texture, -2.0, 2.0, out=texture), np.clip(uptake, *UPTAKE_LIMITS, out=uptake)


def _vessels(anatomy: Anatomy, seed: int, spacing_mm: float) -> np.ndarray:
    """Share of blood vessels (X, Y, Z) float32: thin tubes in the sulci and on the surface.

    Two smooth noises vanish together along curves; a tube around such curves looks like a winding vessel.
    """
    generator = stream(seed, "vessels")
    shape = anatomy.brain.shape
    first = smooth_noise(generator, shape, VESSEL_SPACING_MM, spacing_mm)
    second = smooth_noise(generator, shape, VESSEL_SPACING_MM, spacing_mm)
    tube = np.clip(np.float32(1.0) - (first * first + second * second) / np.float32(0.07), 0.0, 1.0)
    edge = brain_edge(anatomy.brain, spacing_mm)
    near_surface = gaussian_filter(anatomy.brain.astype(np.float32), 8.0 / spacing_mm) < np.float32(0.9)
    outside = np.maximum(anatomy.fluid * near_surface, edge)
    vessels = tube * np.clip((outside - np.float32(0.2)) / np.float32(0.5), 0.0, 1.0)
    sinus = edge > generator.uniform(0.75, 1.0)
    sinus &= _near_midline(anatomy.brain, SINUS_HALF_WIDTH_MM / spacing_mm)
    return (np.float32(0.9) * np.maximum(vessels, sinus) * anatomy.brain).astype(np.float32)


def _near_midline(brain: np.ndarray, half_width: float) -> np.ndarray:
    """Voxels of the posterior half close to the plane between the hemispheres, where the sagittal sinus runs.

    Args:
        brain: (X, Y, Z) bool, voxel axes L, P, S.
        half_width: in voxels.
    """
    x, y = (np.flatnonzero(brain.any(axis=other)) for other in ((1, 2), (0, 2)))
    left_right = np.abs(np.arange(brain.shape[0]) - (x[0] + x[-1]) / 2.0) < half_width
    posterior = np.arange(brain.shape[1]) > (y[0] + y[-1]) / 2.0
    return left_right[:, None, None] & posterior[None, :, None]
