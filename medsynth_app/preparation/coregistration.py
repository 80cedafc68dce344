"""Rigid co-registration of the series of one study: where a point of the reference lies in another series.

Mattes mutual information (Mattes 2003, IEEE TMI 22:120), coarse to fine. The other series, thick slices as a rule,
is the fixed image: its own voxels are the samples, and only the fine reference has to be interpolated. The metric
looks at the reference's brain and a rim around it, where it is known: the jaw and the neck move on their own.

Starts: the position that the headers tell, the heads' centres laid over each other, and both turned about each axis.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial.transform import Rotation

from medsynth_app.cancellation import stop_if_cancelled
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.itk_images import to_itk
from medsynth_app.imaging.volume import Volume

RIM_VOXEL_MM = 3.0
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])  # RAS mm <-> LPS mm


@dataclass(frozen=True)
class CoregistrationConfiguration:
    """How two series are laid over each other.

    Attributes:
        levels_mm: voxel sizes of the levels, coarse to fine; axes that are coarser already stay.
        samples: how many voxels the metric looks at, a level.
        iterations: most optimiser steps, a level.
        turns_deg: turns about each axis tried beside the starts.
        screening_iterations: optimiser steps of every start before the less promising ones are dropped.
        refined_starts: how many starts go on.
        descents: most descents of the finer levels, each with fresh steps.
        settled_gain: nats; a descent that gains less is the last one.
        bins: of the histogram.
        brain_rim_mm: what is seen around the brain.
        least_gain: nats by which a new position must be better than a shared frame of reference to be taken.
        seed: of the sampling.
    """

    levels_mm: tuple[float, ...] = (5.0, 3.0, 2.0)
    samples: tuple[int, ...] = (12_000, 25_000, 50_000)
    iterations: tuple[int, ...] = (150, 100, 50)
    turns_deg: tuple[float, ...] = (-15.0, 15.0)
    screening_iterations: int = 25
    refined_starts: int = 4
    descents: int = 6
    settled_gain: float = 0.002
    bins: int = 32
    brain_rim_mm: float = 10.0
    least_gain: float = 0.005
    seed: int = 20030122


@dataclass(frozen=True)
class Coregistration:
    """Where the reference lies in another series.

    Attributes:
        matrix: (4, 4) RAS mm of the reference -> RAS mm of the series.
        start: which start won; ``header`` where the position that the headers tell was kept.
        information: mutual information (nats) at the end, on the finest level.
        header_information: the same where the headers lay the series.
        moved_information: the best one after a shift of 15 mm: a right position is a peak.
    """

    matrix: np.ndarray
    start: str
    information: float
    header_information: float
    moved_information: float = field(default=0.0)

    @property
    def rotation_deg(self) -> float:
        """Angle of the turn."""
        return float(np.degrees(Rotation.from_matrix(self.matrix[:3, :3]).magnitude()))

    def shift_mm(self, point: np.ndarray) -> float:
        """How far a point (3,) RAS mm of the reference moves."""
        return float(np.linalg.norm(self.matrix[:3, :3] @ point + self.matrix[:3, 3] - point))


class Reference:
    """The image that the series of a study are laid over, at every level; made once for all of them.

    Args:
        image: (1, X, Y, Z), the finest series.
        brain: (1, x, y, z), > 0.5 in its brain; None = all but the background counts.
        configuration: how the series are laid over it.

    Raises:
        InvalidValueError: the image is empty.
    """

    def __init__(
        self,
        image: Volume,
        brain: Volume | None = None,
        configuration: CoregistrationConfiguration = CoregistrationConfiguration(),
    ) -> None:
        self.configuration = configuration
        if brain is not None:
            image = _around(image, brain, configuration.brain_rim_mm + 5)
        self.levels = [_shrunk(_image(image), size) for size in configuration.levels_mm]
        rim = None if brain is None else _rim(brain, configuration.brain_rim_mm)
        self.masks = [None if rim is None else _nearest(rim, level) for level in self.levels]
        self.center = _center(_foreground(self.levels[0]) if brain is None else _inside(brain))


def coregister(reference: Reference, series: Volume, *, shared_frame: bool = False) -> Coregistration:
    """Lay the reference over a series.

    Args:
        reference: the finer image.
        series: (1, X, Y, Z), any grid.
        shared_frame: both have one DICOM frame of reference: the headers' position is kept unless another is better.

    Raises:
        InvalidValueError: the image is empty.
        WorkCancelledError: inside of ``cancelled_by``, once its signal is set.
    """
    configuration = reference.configuration
    levels = [_Level(reference, series, index) for index in range(len(reference.levels))]
    header = _transform(np.eye(4), levels[0].center)
    starts = _starts(levels[0], reference.center, shared_frame, configuration)
    name, best = _best_start(levels, starts, configuration)
    for level in levels[1:]:
        best = level.settled(best)
    finest = levels[-1]
    found, told = -finest.metric(best), -finest.metric(header)
    if shared_frame and found - told < configuration.least_gain:
        name, best, found = "header", header, told
    # ITK maps fixed points (the series) to moving ones (the reference); callers go the other way.
    matrix = np.linalg.inv(_matrix(best))
    return Coregistration(matrix, name, found, told, levels[0].best_moved(best))


def _best_start(
    levels: list[_Level], starts: list[tuple[str, sitk.Euler3DTransform]], configuration: CoregistrationConfiguration
) -> tuple[str, sitk.Euler3DTransform]:
    """All starts a few steps, the better ones to the end, the best of them by the next level's metric.

    A start is not judged where it lies: 15 degrees beside the right turn all look alike (measured).
    """
    coarse, judge = levels[0], levels[min(1, len(levels) - 1)]
    tried = [(name, coarse.refined(start, configuration.screening_iterations)) for name, start in starts]
    tried.sort(key=lambda s: coarse.metric(s[1]))
    refined = [(name, coarse.refined(start)) for name, start in tried[: configuration.refined_starts]]
    return min(refined, key=lambda s: judge.metric(s[1]))


class _Level:
    """Both images at one voxel size."""

    def __init__(self, reference: Reference, series: Volume, index: int) -> None:
        self.configuration = reference.configuration
        self.index = index
        self.size_mm = self.configuration.levels_mm[index]
        self.fixed = _shrunk(_image(series), self.size_mm)
        self.fixed_mask = _foreground(self.fixed)
        self.moving, self.moving_mask = reference.levels[index], reference.masks[index]
        self.center = _center(self.fixed_mask)
        self.inside = int(np.count_nonzero(sitk.GetArrayViewFromImage(self.fixed_mask)))

    def metric(self, transform: sitk.Euler3DTransform) -> float:
        """Negative mutual information; 0 where the images do not overlap."""
        method = self._method()
        method.SetInitialTransform(transform, inPlace=False)
        try:
            return float(method.MetricEvaluate(self.fixed, self.moving))
        except RuntimeError:
            return 0.0

    def refined(self, start: sitk.Euler3DTransform, iterations: int | None = None) -> sitk.Euler3DTransform:
        """The start, improved until it gets no better; the start itself where ITK gives up."""
        stop_if_cancelled()
        method = self._method()
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=self.size_mm, minStep=self.size_mm / 100, relaxationFactor=0.6,
            numberOfIterations=iterations or self.configuration.iterations[self.index],
            gradientMagnitudeTolerance=1e-6,
        )  # fmt: skip
        method.SetOptimizerScalesFromPhysicalShift()
        transform = sitk.Euler3DTransform(start)
        method.SetInitialTransform(transform, inPlace=True)
        try:
            method.Execute(self.fixed, self.moving)
        except RuntimeError:
            return start
        return transform

    def settled(self, start: sitk.Euler3DTransform) -> sitk.Euler3DTransform:
        """Refined again with fresh steps until nothing is gained: one descent stops a millimetre beside (measured)."""
        best, value = start, self.metric(start)
        for _ in range(self.configuration.descents):
            found = self.refined(best)
            reached = self.metric(found)
            if reached > value - self.configuration.settled_gain:
                return found if reached < value else best
            best, value = found, reached
        return best

    def best_moved(self, transform: sitk.Euler3DTransform) -> float:
        """The best mutual information after shifts of 15 mm along each axis."""
        found = []
        for axis, sign in itertools.product(range(3), (-15.0, 15.0)):
            moved = sitk.Euler3DTransform(transform)
            shift = np.array(transform.GetTranslation())
            shift[axis] += sign
            moved.SetTranslation(shift.tolist())
            found.append(-self.metric(moved))
        return max(found)

    def _method(self) -> sitk.ImageRegistrationMethod:
        method = sitk.ImageRegistrationMethod()
        # One thread each, several series at once: the same answer every time, but for rounding.
        method.SetNumberOfThreads(1)
        method.SetMetricAsMattesMutualInformation(self.configuration.bins)
        # Gradients at the samples only: filtering whole images for them takes most of the time.
        method.MetricUseFixedImageGradientFilterOff()
        method.MetricUseMovingImageGradientFilterOff()
        share = self.configuration.samples[self.index] / max(1, self.inside)
        if share < 1:
            method.SetMetricSamplingStrategy(method.RANDOM)
            method.SetMetricSamplingPercentage(share, self.configuration.seed)
        method.SetMetricFixedMask(self.fixed_mask)
        if self.moving_mask is not None:
            method.SetMetricMovingMask(self.moving_mask)
        method.SetInterpolator(sitk.sitkLinear)
        return method


def _starts(
    level: _Level, reference_center: np.ndarray, shared_frame: bool, configuration: CoregistrationConfiguration
) -> list[tuple[str, sitk.Euler3DTransform]]:
    """Names and transforms; with a shared frame of reference the headers are near enough."""
    centres = np.eye(4)
    centres[:3, 3] = reference_center - level.center
    starts = []
    for name, base in {"header": np.eye(4), "centres": centres}.items():
        starts.append((name, _transform(base, level.center)))
        for axis, degrees in itertools.product("xyz", () if shared_frame else configuration.turns_deg):
            starts.append((f"{name}, {degrees:g} degrees about {axis}", _turned(base, degrees, axis, level.center)))
    return starts


def _turned(base: np.ndarray, degrees: float, axis: str, center: np.ndarray) -> sitk.Euler3DTransform:
    """Base after a turn about the centre (LPS mm)."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    turn[:3, 3] = center - turn[:3, :3] @ center
    return _transform(base @ turn, center)


def _transform(matrix: np.ndarray, center: np.ndarray) -> sitk.Euler3DTransform:
    """(4, 4) LPS mm -> LPS mm, as ITK turns about ``center``."""
    transform = sitk.Euler3DTransform()
    transform.SetCenter(center.tolist())
    transform.SetMatrix(matrix[:3, :3].ravel().tolist(), 1e-6)
    transform.SetTranslation((matrix[:3, :3] @ center + matrix[:3, 3] - center).tolist())
    return transform


def _matrix(transform: sitk.Euler3DTransform) -> np.ndarray:
    """(4, 4) RAS mm -> RAS mm."""
    center = np.array(transform.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
    matrix[:3, 3] = np.array(transform.GetTranslation()) + center - matrix[:3, :3] @ center
    return _FLIP @ matrix @ _FLIP


def _image(volume: Volume) -> sitk.Image:
    return to_itk(volume.array[0].astype(np.float32, copy=False), volume.affine)


def _shrunk(image: sitk.Image, size_mm: float) -> sitk.Image:
    """Averages of blocks of voxels, at most of that size along each axis; never down to a single slice."""
    steps = [
        max(1, min(int(size_mm / s + 0.25), n // 4)) for s, n in zip(image.GetSpacing(), image.GetSize())
    ]
    return sitk.BinShrink(image, steps) if max(steps) > 1 else image


def _foreground(image: sitk.Image) -> sitk.Image:
    """Everything but air, uint8.

    Raises:
        InvalidValueError: the image is empty.
    """
    array = sitk.GetArrayFromImage(image)
    low, high = np.percentile(array, [5, 98])
    mask = array > low + 0.12 * (high - low)
    if not mask.any():
        raise InvalidValueError("co-registration: an image is empty, every voxel has the same value")
    pieces, _ = ndimage.label(mask)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    filled = ndimage.binary_closing(pieces == sizes.argmax(), iterations=2) | (pieces == sizes.argmax())
    # Air right outside the head carries its edge.
    found = sitk.GetImageFromArray(ndimage.binary_dilation(filled).astype(np.uint8))
    found.CopyInformation(image)
    return found


def _around(image: Volume, brain: Volume, margin_mm: float) -> Volume:
    """The box of the image that holds the brain and a margin."""
    places = np.argwhere(brain.array[0] > 0.5)
    if len(places) == 0:
        return image
    low, high = places.min(axis=0), places.max(axis=0)
    corners = np.array([[(low, high)[i >> axis & 1][axis] for axis in range(3)] + [1] for i in range(8)])
    index = corners @ (np.linalg.inv(image.affine) @ brain.affine).T[:, :3]
    margin = margin_mm / image.spacing
    shape = np.array(image.spatial_shape)
    start = np.clip(np.floor(index.min(axis=0) - margin).astype(int), 0, shape - 1)
    stop = np.clip(np.ceil(index.max(axis=0) + margin).astype(int) + 1, start + 1, shape)
    affine = image.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ start
    x, y, z = (slice(a, b) for a, b in zip(start, stop))
    return Volume(image.array[:, x, y, z], affine)


def _inside(brain: Volume) -> sitk.Image:
    return to_itk((brain.array[0] > 0.5).astype(np.uint8), brain.affine)


def _rim(brain: Volume, rim_mm: float) -> sitk.Image:
    """The brain and a rim, uint8, at about 3 mm."""
    mask = _shrunk(sitk.Cast(_inside(brain), sitk.sitkFloat32), RIM_VOXEL_MM)
    padding = [int(np.ceil(rim_mm / s)) for s in mask.GetSpacing()]
    mask = sitk.ConstantPad(mask, padding, padding, 0.0)
    away = sitk.GetArrayFromImage(mask) <= 0.5
    distance = ndimage.distance_transform_edt(away, sampling=mask.GetSpacing()[::-1])
    found = sitk.GetImageFromArray((distance <= rim_mm).astype(np.uint8))
    found.CopyInformation(mask)
    return found


def _nearest(mask: sitk.Image, grid: sitk.Image) -> sitk.Image:
    return sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)


def _center(mask: sitk.Image) -> np.ndarray:
    """Centroid in LPS mm."""
    places = np.argwhere(sitk.GetArrayFromImage(mask).transpose(2, 1, 0))
    return np.array(mask.TransformContinuousIndexToPhysicalPoint(places.mean(axis=0).tolist()))
