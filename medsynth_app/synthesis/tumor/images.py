"""From the tissue of every voxel to FLAIR, T1, T1ce and T2, the way a scanner would see them.

signal of each tissue (``signal.py``) -> partial volume -> shading by the receive coil -> resolution and slice
thickness -> Rician noise (Gudbjartsson 1995) -> gain of the scanner -> brain extraction.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from medsynth_app.synthesis.anatomy.random_fields import smooth_noise, stream
from medsynth_app.synthesis.tumor.composition import Composition
from medsynth_app.synthesis.tumor.request import TumorCaseRequest
from medsynth_app.synthesis.tumor.signal import Relaxation, SequenceParameters, Tissue, relaxation, signal
from medsynth_app.vocabulary import Modality

WHITE_MATTER_LEVEL = 400.0
"""Stored value of mean white matter before the scanner's gain; BraTS files hold values of this size."""
LARGEST_VALUE = 4095.0
"""12-bit images, as MR scanners store them."""
FWHM_TO_SIGMA = 0.4247
RESLICING_BLUR_VOXELS = 0.45
"""Blur of the noise by the interpolation that put the images on a common grid."""
TEXTURE_AMPLITUDE: dict[Tissue, float] = {
    Tissue.WHITE_MATTER: 0.045,
    Tissue.GREY_MATTER: 0.05,
    Tissue.EDEMA: 0.16,
    Tissue.SOLID_TUMOR: 0.15,
    Tissue.NECROSIS: 0.13,
    Tissue.ENHANCING_TUMOR: 0.14,
}
"""Standard deviation of the water content (a factor on T1 and T2) inside a tissue."""
PERSON_AMPLITUDE: dict[Tissue, float] = {
    Tissue.WHITE_MATTER: 0.02,
    Tissue.GREY_MATTER: 0.03,
    Tissue.EDEMA: 0.10,
    Tissue.SOLID_TUMOR: 0.12,
    Tissue.NECROSIS: 0.22,
    Tissue.ENHANCING_TUMOR: 0.10,
}
"""Standard deviation of a tissue's mean water content between persons (necrosis is fluid or cheesy)."""


SMALLEST_WATER = 0.3
"""Relaxation times never fall below this share of the usual ones."""


def render(composition: Composition, request: TumorCaseRequest, modality: Modality) -> np.ndarray:
    """One sequence, (X, Y, Z) int16 on the brain box, 0 outside the brain, at least 1 inside.

    Args:
        composition: tissue of every voxel.
        request: sequence parameters and image quality.
        modality: which of the four sequences; only T1ce sees the contrast agent.
    """
    parameters = request.sequences[modality.value]
    contrast = 1.0 if modality is Modality.T1CE and request.contrast_agent else 0.0
    values = _ideal(composition, parameters, request, contrast)
    white = signal(relaxation(Tissue.WHITE_MATTER, request.field_strength_t), parameters)
    values *= np.float32(1.0 / max(white, 1e-4))
    generator = stream(request.seed, f"scanner {modality.value}")
    gain = generator.uniform(0.7, 1.4) * WHITE_MATTER_LEVEL
    if request.bias_field > 0.0:
        values *= _shading(composition, request, generator)
    image = np.zeros(composition.brain.shape, dtype=np.float32)
    image[composition.brain] = values
    values = _acquire(image, request)[composition.brain]
    if request.noise > 0.0:
        values = _add_noise(values, composition.brain, request.noise, generator)
    levels = np.clip(np.rint(values * np.float32(gain)), 1.0, LARGEST_VALUE)
    stored = np.zeros(composition.brain.shape, dtype=np.int16)
    stored[composition.brain] = levels.astype(np.int16)
    return stored


def _ideal(
    composition: Composition, parameters: SequenceParameters, request: TumorCaseRequest, contrast: float
) -> np.ndarray:
    """Noise-free signal (N,) float32: shares times the tissues' signals, partial volume being linear.

    A tissue's signal varies with its water content and, where the agent leaks, with its uptake; both enter to
    first order around the tissue's mean.
    """
    values = np.zeros(composition.texture.shape, dtype=np.float32)
    for tissue, share in composition.shares.items():
        properties = relaxation(tissue, request.field_strength_t)
        mean_water = _water_of_person(request.seed, tissue, request.tissue_variation)
        level, slope = _level_and_slope(tissue, properties, parameters, contrast, mean_water)
        value = level + slope * composition.texture
        if tissue is Tissue.ENHANCING_TUMOR and contrast > 0.0:
            plain, _ = _level_and_slope(tissue, properties, parameters, 0.0, mean_water)
            value = plain + np.float32(request.contrast_uptake) * composition.uptake * (value - plain)
        values += share * value
    return values


def _water_of_person(seed: int, tissue: Tissue, variation: float) -> float:
    """Factor on T1 and T2 of a tissue in this person, the same for all four sequences."""
    amplitude = variation * PERSON_AMPLITUDE.get(tissue, 0.0)
    deviation = stream(seed, f"water {tissue.value}").standard_normal()
    return max(1.0 + amplitude * float(np.clip(deviation, -1.5, 1.5)), SMALLEST_WATER)


def _level_and_slope(
    tissue: Tissue, properties: Relaxation, parameters: SequenceParameters, contrast: float, water: float
) -> tuple[np.float32, np.float32]:
    """Mean signal of a tissue, and its change for one standard deviation of the texture."""
    amplitude = TEXTURE_AMPLITUDE.get(tissue, 0.0)
    level = signal(properties, parameters, contrast=contrast, water=water)
    denser = signal(properties, parameters, contrast=contrast, water=water * (1.0 - amplitude))
    looser = signal(properties, parameters, contrast=contrast, water=water * (1.0 + amplitude))
    return np.float32(level), np.float32((looser - denser) / 2.0)


def _shading(
    composition: Composition, request: TumorCaseRequest, generator: np.random.Generator
) -> np.ndarray:
    """Smooth factor around 1, (N,) float32: the uneven sensitivity of the receive coil."""
    shape = composition.brain.shape
    field = smooth_noise(generator, shape, 90.0, request.spacing_mm)[composition.brain]
    return np.clip(np.float32(1.0) + np.float32(request.bias_field) * field, 0.3, 2.0)


def _acquire(image: np.ndarray, request: TumorCaseRequest) -> np.ndarray:
    """Blur to the acquired resolution; thick slices are averaged along z and resliced linearly."""
    spacing = request.spacing_mm
    in_plane = FWHM_TO_SIGMA * max(request.in_plane_resolution_mm, 0.9) / spacing
    for axis in range(2):
        image = gaussian_filter1d(image, in_plane, axis=axis)
    if request.slice_thickness_mm > spacing:
        return _thick_slices(image, request.slice_thickness_mm / spacing)
    return gaussian_filter1d(image, FWHM_TO_SIGMA * 0.9 / spacing, axis=2)


def _thick_slices(image: np.ndarray, voxels: float) -> np.ndarray:
    """Average of slabs ``voxels`` thick (may be a fraction), linearly interpolated back to every slice.

    Slab averages are differences of the running total, read at the slabs' edges.
    """
    depth = image.shape[2]
    total = np.concatenate(
        [np.zeros((*image.shape[:2], 1)), np.cumsum(image, axis=2, dtype=np.float64)], axis=2
    )
    edges = np.unique(np.minimum(np.arange(int(np.ceil(depth / voxels)) + 1) * voxels, depth))
    low = np.minimum(edges.astype(np.intp), depth - 1)
    below = np.take(total, low, axis=2)
    at_edges = below + (np.take(total, low + 1, axis=2) - below) * (edges - low)
    slabs = (np.diff(at_edges, axis=2) / np.diff(edges)).astype(np.float32)
    centres = (edges[:-1] + edges[1:]) / 2.0 - 0.5
    place = np.interp(np.arange(depth), centres, np.arange(centres.size))
    first = np.minimum(place.astype(np.intp), max(centres.size - 2, 0))
    second = np.minimum(first + 1, centres.size - 1)
    weight = (place - first).astype(np.float32)
    below, above = np.take(slabs, first, axis=2), np.take(slabs, second, axis=2)
    return below + (above - below) * weight


def _add_noise(
    values: np.ndarray, brain: np.ndarray, level: float, generator: np.random.Generator
) -> np.ndarray:
    """Magnitude of the signal (N,) with Gaussian noise of deviation ``level`` in both channels."""
    noise = gaussian_filter(generator.standard_normal(brain.shape, dtype=np.float32), RESLICING_BLUR_VOXELS)
    real = noise[brain]
    real *= np.float32(level / max(float(np.sqrt((real * real).mean(dtype=np.float64))), 1e-6))
    real += values
    imaginary = np.float32(level) * generator.standard_normal(values.shape, dtype=np.float32)
    return np.sqrt(real * real + imaginary * imaginary)
