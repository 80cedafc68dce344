"""How bright a tumour is in a host's own scan, and what of the host shows through.

Brightness is measured from the median of the host's healthy brain in its standard deviations, so that scanners of any
gain agree. The levels are means and standard deviations between patients over 27 real cases (BraTS 2018, 2020 and 2021,
at 2 mm, voxels that are mostly one class), measured by ``learned.transforms.observe``; label 1 is split into dead and
solid tumour about its mean, which is a choice of this module.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from medsynth_app.synthesis.anatomy.icbm_brain import Anatomy
from medsynth_app.synthesis.anatomy.random_fields import stream
from medsynth_app.synthesis.tumor.composition import UPTAKE_MEAN, Composition, compose
from medsynth_app.synthesis.tumor.growth import Tumor
from medsynth_app.synthesis.tumor.host.head import MODALITIES, HostBrain, HostHead
from medsynth_app.synthesis.tumor.images import RESLICING_BLUR_VOXELS
from medsynth_app.synthesis.tumor.learned.transforms import CLASSES
from medsynth_app.synthesis.tumor.request import TumorCaseRequest
from medsynth_app.synthesis.tumor.signal import Tissue
from medsynth_app.vocabulary import Modality

REACH_MM = 5.0
"""Farther from the tumour's label no voxel changes."""


@dataclass(frozen=True)
class Level:
    """A tissue's brightness in FLAIR, T1, T1ce, T2.

    Attributes:
        mean: (4,) over patients.
        deviation: (4,) between patients; the sign says which sequences go up and down together.
        texture: (4,) inside one tumour.
    """

    mean: tuple[float, float, float, float]
    deviation: tuple[float, float, float, float]
    texture: tuple[float, float, float, float]


LEVELS: dict[Tissue, Level] = {
    Tissue.EDEMA: Level((2.46, 0.02, -0.10, 1.28), (1.08, -0.34, -0.45, 0.70), (0.45, -0.20, -0.20, 0.35)),
    Tissue.SOLID_TUMOR: Level((2.90, -0.40, -0.35, 1.95), (1.10, -0.45, -0.45, 0.80), (0.55, -0.25, -0.25, 0.50)),
    Tissue.NECROSIS: Level((2.10, -1.05, -1.05, 3.00), (1.35, -0.59, -0.59, 1.06), (0.65, -0.30, -0.30, 0.60)),
    Tissue.ENHANCING_TUMOR: Level((2.71, -0.12, 1.78, 1.71), (1.20, -0.45, -0.45, 0.82), (0.55, -0.25, -0.30, 0.45)),
}
WITHOUT_AGENT = -0.10
"""T1ce of enhancing tumour that no contrast agent reaches."""
CLASS_OF = {
    Tissue.EDEMA: "edema", Tissue.SOLID_TUMOR: "necrotic_core", Tissue.NECROSIS: "necrotic_core",
    Tissue.ENHANCING_TUMOR: "enhancing_tumor",
}  # fmt: skip
LIKE_ITS_OWN = 0.3
"""How much a new tumour looks like the one that the host has, where it has one: same patient, same scanner."""
FARTHEST = 0.5
"""No patient is farther from the mean, in deviations: oedema stays brighter than white matter on FLAIR."""
SHARED = 0.7
"""Part of a patient's deviation that all tissues share."""


def paint(request: TumorCaseRequest, head: HostHead, brain: HostBrain, tumor: Tumor) -> np.ndarray:
    """The host's images with the tumour, (4, X, Y, Z) float32, axes L, P, S; the host's values elsewhere.

    Args:
        request: strength of contrast, oedema and variation, and the seed.
        head, brain: the host.
        tumor: on the brain box.
    """
    images = head.upright.array.astype(np.float32)
    box = brain.grid.box
    spacing = brain.grid.spacing_mm
    white, grey, fluid = brain.shares
    healthy_tissue = Anatomy(white, grey, fluid, brain.room)
    composition = compose(healthy_tissue, tumor, request.seed, spacing, request.edema_density)
    near = distance_transform_edt(tumor.label == 0)[composition.brain] * spacing < REACH_MM
    levels = {tissue: _level_of(request, tissue, brain.class_means) for tissue in LEVELS}
    parts = {tissue: composition.shares[tissue] * near for tissue in LEVELS}
    covered = np.sum(list(parts.values()), axis=0)
    healthy = head.brain & (head.upright_label == 0)
    for number, modality in enumerate(MODALITIES):
        middle, spread = _scale_of(images[number][healthy])
        wanted = _tumor_values(request, composition, parts, levels, number)
        part = images[number][box.slices]
        values = part[composition.brain]
        mixed = values * (1 - covered) + middle * covered + spread * wanted
        mixed += covered * _grain(request, modality, part, brain)[composition.brain]
        # A scanner's values are whole numbers above 0 in the brain where the host's are.
        mixed = np.maximum(mixed, values.min())
        part[composition.brain] = np.where(covered > 0, _as_stored(mixed, values), values)
    return images


def _scale_of(values: np.ndarray) -> tuple[float, float]:
    """Median, and standard deviation between the first and the last per cent."""
    low, high = np.percentile(values, (1, 99))
    return float(np.median(values)), float(np.clip(values, low, high).std())


def _level_of(request: TumorCaseRequest, tissue: Tissue, own_means: np.ndarray) -> np.ndarray:
    """(4,) mean of a tissue in this patient, in the healthy brain's deviations."""
    level = LEVELS[tissue]
    usual = np.array(level.mean)
    # The parts of label 1 differ from their common mean as they do in other patients.
    common = np.mean([LEVELS[each].mean for each in LEVELS if CLASS_OF[each] == CLASS_OF[tissue]], axis=0)
    own = own_means[CLASSES.index(CLASS_OF[tissue])] + usual - common
    is_known = np.isfinite(own)
    mean = np.where(is_known, LIKE_ITS_OWN * np.nan_to_num(own) + (1 - LIKE_ITS_OWN) * usual, usual)
    spread = np.array(level.deviation) * np.where(is_known, 1 - LIKE_ITS_OWN, 1.0)
    return mean + request.tissue_variation * _deviation(request.seed, tissue) * spread


def _tumor_values(
    request: TumorCaseRequest, composition: Composition, parts: dict[Tissue, np.ndarray],
    levels: dict[Tissue, np.ndarray], number: int,
) -> np.ndarray:  # fmt: skip
    """Shares times levels, (N,) float32, in the healthy brain's deviations."""
    values = np.zeros_like(composition.texture)
    for tissue, share in parts.items():
        value = levels[tissue][number] + LEVELS[tissue].texture[number] * composition.texture
        if tissue is Tissue.ENHANCING_TUMOR and MODALITIES[number] == Modality.T1CE.value:
            uptake = float(request.contrast_agent) * request.contrast_uptake * composition.uptake / UPTAKE_MEAN
            value = WITHOUT_AGENT + uptake * (value - WITHOUT_AGENT)
        values += share * value.astype(np.float32)
    return values


def _deviation(seed: int, tissue: Tissue) -> float:
    """How far this patient's tissue is from the mean, in deviations."""
    shared = float(stream(seed, "water").standard_normal())
    own = float(stream(seed, f"water {tissue.value}").standard_normal())
    return float(np.clip(SHARED * shared + np.sqrt(1 - SHARED**2) * own, -FARTHEST, FARTHEST))


def _grain(request: TumorCaseRequest, modality: str, part: np.ndarray, brain: HostBrain) -> np.ndarray:
    """Noise as fine and as strong as the host's in its white matter, (X, Y, Z) float32."""
    noise = stream(request.seed, f"scanner {modality}").standard_normal(part.shape, dtype=np.float32)
    noise = gaussian_filter(noise, RESLICING_BLUR_VOXELS)
    white = brain.shares[0] > 0.9
    if not white.any():
        return np.zeros_like(noise)
    fine = (part - gaussian_filter(part, 1.0))[white]
    strength = 1.4826 * float(np.median(np.abs(fine - np.median(fine))))
    return noise * np.float32(strength / max(float(noise.std()), 1e-6))


def _as_stored(values: np.ndarray, host: np.ndarray) -> np.ndarray:
    """Whole numbers where the host's are; never 0, which is the background."""
    if not np.array_equal(host, np.rint(host)):
        return np.where(values == 0, np.float32(1e-6), values)
    whole = np.rint(values)
    return np.where(whole == 0, np.float32(1 if host.min() >= 0 else -1), whole)
