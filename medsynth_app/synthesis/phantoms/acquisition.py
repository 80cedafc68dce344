"""From the painted body to what a scanner stores: slice profile, resolution, shading, noise, 12-bit levels."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, uniform_filter1d

from medsynth_app.synthesis.anatomy.random_fields import smooth_noise, stream
from medsynth_app.synthesis.phantoms.request import VolumeRequest

CT_NOISE_HU = {"ct_head": 3.2}
OTHER_CT_NOISE_HU = 10.0
"""Standard deviation at 2.5 mm slices; it falls with the square root of their thickness."""
MR_NOISE = 0.022
"""Standard deviation relative to the 99th percentile, at voxels of 5 cubic millimetres."""
MR_LEVEL = 900.0
"""Stored value of the 99th percentile."""
MR_SHADING = 0.12
LARGEST_LEVEL = 4095.0
FWHM_TO_SIGMA = 0.4247
IN_PLANE_FWHM_MM = 1.1


def acquire(image: np.ndarray, request: VolumeRequest, seed: int) -> np.ndarray:
    """What the scanner stores, (X, Y, Z) int16: HU in CT, arbitrary levels from 0 in MR.

    Args:
        image: (X, Y, Z) float32, HU or share of the signal of water.
        request: spacing and slice thickness.
        seed: of the noise.
    """
    seen = _resolved(image, request)
    chance = stream(seed, "scanner")
    if request.kind.modality == "ct":
        sigma = CT_NOISE_HU.get(request.volume_type, OTHER_CT_NOISE_HU) * float(
            np.sqrt(2.5 / request.slice_thickness_mm)
        )
        noise = gaussian_filter(chance.standard_normal(seen.shape, dtype=np.float32), (0.7, 0.7, 0.0))
        noise *= np.float32(sigma / max(float(noise.std(dtype=np.float64)), 1e-6))
        return np.rint(np.clip(seen + noise, -1024.0, 3071.0)).astype(np.int16)
    return _magnitude(seen, request, chance)


def _resolved(image: np.ndarray, request: VolumeRequest) -> np.ndarray:
    for axis in range(2):
        image = gaussian_filter1d(
            image, FWHM_TO_SIGMA * IN_PLANE_FWHM_MM / request.spacing_mm[axis], axis=axis
        )
    voxels = request.slice_thickness_mm / request.spacing_mm[2]
    if voxels <= 1.0:
        return image
    # A box of a fractional number of slices: between the two nearest odd ones.
    low = int((voxels - 1.0) // 2) * 2 + 1
    share = (voxels - low) / 2.0
    thin, thick = (uniform_filter1d(image, size, axis=2, mode="nearest") for size in (low, low + 2))
    return thin + np.float32(share) * (thick - thin)


def _magnitude(seen: np.ndarray, request: VolumeRequest, chance: np.random.Generator) -> np.ndarray:
    """Uneven coil, Rician noise (Gudbjartsson 1995), gain."""
    mean_spacing = float(np.prod(request.spacing_mm)) ** (1 / 3)
    shading = 1.0 + MR_SHADING * smooth_noise(chance, seen.shape, 110.0, mean_spacing)
    top = max(float(np.percentile(seen, 99.0)), 1e-3)
    voxel = request.spacing_mm[0] * request.spacing_mm[1] * request.slice_thickness_mm
    sigma = np.float32(MR_NOISE * top * np.sqrt(5.0 / voxel))
    real = seen * np.clip(shading, 0.4, 1.8) + sigma * chance.standard_normal(seen.shape, dtype=np.float32)
    imaginary = sigma * chance.standard_normal(seen.shape, dtype=np.float32)
    levels = np.sqrt(real * real + imaginary * imaginary) * np.float32(MR_LEVEL / top)
    return np.rint(np.clip(levels, 0.0, LARGEST_LEVEL)).astype(np.int16)
