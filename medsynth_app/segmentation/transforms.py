"""What happens to a case before the network and to its answer afterwards: once, for training and inference.

before: to RAS axes -> cubic 1 mm voxels -> crop around the brain -> z-score each sequence -> (C, X, Y, Z) float32
after:  labels -> paste into the full grid -> back to the axes and voxels of the image that came in
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from medsynth_app.cancellation import stop_if_cancelled
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.background import Background, without_background
from medsynth_app.imaging.geometry import (
    Box,
    foreground_box,
    isotropic_grid,
    reorient,
    resample,
    undo_reorient,
)
from medsynth_app.imaging.plausible_grid import check_head_volume
from medsynth_app.imaging.skull import find_skull
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import TumorLabel

WORKING_SPACING_MM = 1.0
SPACING_TOLERANCE_MM = 0.02
Z_SCORE_LIMITS = (-5.0, 8.0)
"""Normalised intensities are cut here: vessels and artefacts beyond it carry no tumour information."""
SMALLEST_SIDE = 16
GRID_STEP = 16
"""Boxes start, and inputs end, at multiples of it. The networks halve their grid up to four times; with boxes that
start anywhere, a voxel's answer would change with where its box happens to start. The deepest level may round down
once more, which costs no accuracy when measured."""


@dataclass(frozen=True)
class PreparedCase:
    """A case as the networks see it, and the way back.

    Attributes:
        image: (C, X, Y, Z) float32, z-scored inside the brain, 0 outside; axes R, A, S; 1 mm voxels.
        box: where ``image`` lies in the working grid.
        working: affine and shape of the working grid (RAS axes, 1 mm).
        source_affine: affine of the image that came in.
        source_shape: (X, Y, Z) of the image that came in.
        doubts: what about the image may make the answer wrong, as sentences.
    """

    image: np.ndarray
    box: Box
    working: tuple[np.ndarray, tuple[int, int, int]]
    source_affine: np.ndarray
    source_shape: tuple[int, int, int]
    doubts: tuple[str, ...] = ()

    @property
    def working_voxel_ml(self) -> float:
        """Volume of a voxel of ``image``."""
        return abs(float(np.linalg.det(self.working[0][:3, :3]))) / 1000


def prepare(volume: Volume) -> PreparedCase:
    """Bring a case of any orientation and voxel size to what the networks were trained on.

    Args:
        volume: (C, X, Y, Z), skull-stripped; its background may be any constant, or noise that stays far below the
            brain (``without_background``).

    Raises:
        InvalidValueError: the image is empty, constant, too small to hold a brain, or has its skull.
        WorkCancelledError: inside of ``cancelled_by``, once its signal is set.
    """
    isotropic_grid(volume, WORKING_SPACING_MM)  # too large? then nothing else is worth its time
    cleared, backgrounds = without_background(volume)
    if cleared is not volume and not cleared.array.any():
        raise InvalidValueError("the image shows nothing: every sequence is constant, not only inside the brain")
    stop_if_cancelled()
    doubts = _checked_head(volume, backgrounds)
    canonical = to_working_grid(cleared, order=1)
    brain = canonical.array[0] != 0
    for channel in canonical.array[1:]:
        brain |= channel != 0
    tight = foreground_box(brain)
    if min(tight.shape) < SMALLEST_SIDE:
        raise InvalidValueError(
            f"the brain spans {tight.shape} mm, at least {SMALLEST_SIDE} mm along each axis are needed"
        )
    box = tight.aligned(GRID_STEP, brain.shape)
    channels = [channel[box.slices] for channel in canonical.array]
    if not any(map(_varies, channels)):
        raise InvalidValueError("the image shows nothing: every sequence is constant inside the brain")
    image = np.stack([z_score(channel) for channel in channels])
    working = (canonical.affine, canonical.spatial_shape)
    return PreparedCase(image, box, working, volume.affine, volume.spatial_shape, doubts)


def _checked_head(volume: Volume, backgrounds: tuple[Background, ...]) -> tuple[str, ...]:
    """Doubts about what the image shows.

    Raises:
        InvalidValueError: it is a head with its skull, or larger than any head.
    """
    evidence = find_skull(volume, backgrounds)
    check_head_volume(evidence.volume_ml, volume.spacing, "image")
    if evidence.has_skull:
        raise InvalidValueError(
            f"image: shows a head with its skull, a skull-stripped brain is needed: {' and '.join(evidence.signs)}",
            code="skull_present",
        )
    doubts = []
    if evidence.is_doubtful:
        doubts.append(f"the image may still show the skull: {evidence.signs[0]}")
    if not all(background.found for background in backgrounds):
        doubts.append(
            "no background was found around the brain (the image may be cut out of tissue, or not skull-stripped): "
            "all voxels that are not 0 were taken for brain"
        )
    return tuple(doubts)


def _varies(channel: np.ndarray) -> bool:
    values = channel[channel != 0]
    return values.size > 0 and bool(values.min() < values.max())


def to_working_grid(volume: Volume, *, order: int) -> Volume:
    """RAS axes and 1 mm voxels; flips and permutations only where the spacing is 1 mm already.

    Args:
        volume: (C, X, Y, Z).
        order: 0 for labels, 1 for images.
    """
    canonical = reorient(volume)
    if np.abs(canonical.spacing - WORKING_SPACING_MM).max() <= SPACING_TOLERANCE_MM:
        return canonical
    affine, shape = isotropic_grid(canonical, WORKING_SPACING_MM)
    return resample(canonical, affine, shape, order=order)


def z_score(channel: np.ndarray) -> np.ndarray:
    """(value - mean) / standard deviation over the voxels that are not 0; those stay 0.

    Args:
        channel: (X, Y, Z). One that is 0 everywhere (a missing sequence) stays so.
    """
    channel = channel.astype(np.float32)
    inside = channel != 0
    values = channel[inside]
    if values.size == 0:
        return channel
    deviation = float(values.std())
    scaled = (channel - float(values.mean())) / max(deviation, 1e-6)
    np.clip(scaled, *Z_SCORE_LIMITS, out=scaled)
    scaled *= inside
    return scaled


def prepared_label(label: np.ndarray, prepared: PreparedCase, volume: Volume) -> np.ndarray:
    """A label map on the source grid -> (X, Y, Z) uint8 on the grid of ``prepared.image``."""
    working = to_working_grid(Volume(label[None], volume.affine), order=0)
    return np.ascontiguousarray(working.array[0][prepared.box.slices])


def restore_labels(labels: np.ndarray, prepared: PreparedCase) -> np.ndarray:
    """Labels of the brain box -> labels on the grid of the image that came in.

    Args:
        labels: (X, Y, Z) uint8 of ``prepared.image``.

    Returns:
        (X, Y, Z) uint8 of the source grid.
    """
    affine, shape = prepared.working
    full = np.zeros(shape, dtype=np.uint8)
    full[prepared.box.slices] = labels
    working = Volume(full[None], affine)
    target = Volume(np.empty((1, *prepared.source_shape), dtype=np.uint8), prepared.source_affine)
    canonical = reorient(target)
    if canonical.spatial_shape != shape or not np.allclose(canonical.affine, affine):
        working = resample(working, canonical.affine, canonical.spatial_shape, order=0)
    return np.ascontiguousarray(undo_reorient(working, prepared.source_affine).array[0])


@dataclass(frozen=True)
class CleaningConfiguration:
    """What is removed from the network's answer.

    Attributes:
        largest_component_only: keep only the largest connected tumour.
        minimum_component_ml: connected tumours smaller than this are removed, except the largest.
        minimum_enhancing_ml: if all enhancing tumour together is smaller, it becomes necrotic core
            (tumours without enhancement get no false one; the usual BraTS rule).
        minimum_uptake: enhancing foci that took up less contrast agent become necrotic core; in standard deviations of
            healthy tissue, see ``without_unproven_enhancement``; 0 = not tested.
        vessel_uptake: enhancing foci at the tumour's border that are as bright as that are vessels and removed; in the
            same unit; 0 = not tested.
    """

    largest_component_only: bool = False
    minimum_component_ml: float = 0.1
    minimum_enhancing_ml: float = 0.2
    minimum_uptake: float = 0.8
    vessel_uptake: float = 5.0

    def __post_init__(self) -> None:
        for field in ("minimum_component_ml", "minimum_enhancing_ml"):
            if not 0.0 <= getattr(self, field) <= 1000.0:
                raise InvalidValueError(f"{field}: {getattr(self, field)} must be between 0 and 1000 ml")
        for field in ("minimum_uptake", "vessel_uptake"):
            if not 0.0 <= getattr(self, field) <= 100.0:
                raise InvalidValueError(f"{field}: {getattr(self, field)} must be between 0 and 100")


def clean_labels(labels: np.ndarray, voxel_ml: float, configuration: CleaningConfiguration) -> np.ndarray:
    """Remove specks from a label map.

    Args:
        labels: (X, Y, Z) uint8, values 0..3. Not changed.
        voxel_ml: volume of a voxel in ml.
        configuration: what to remove.
    """
    result = labels.copy()
    components, count = ndimage.label(labels > 0, structure=np.ones((3, 3, 3)))
    if count > 1:
        sizes = np.bincount(components.ravel())[1:]
        keep = sizes * voxel_ml >= configuration.minimum_component_ml
        if configuration.largest_component_only:
            keep[:] = False
        keep[int(sizes.argmax())] = True
        result[~np.r_[True, keep][components]] = 0
    enhancing = result == TumorLabel.ENHANCING_TUMOR
    if 0 < enhancing.sum() * voxel_ml < configuration.minimum_enhancing_ml:
        result[enhancing] = TumorLabel.NECROTIC_CORE
    return result
