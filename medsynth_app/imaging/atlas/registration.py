"""Patient head -> MNI atlas: an affine registration that knows when it failed.

Mattes mutual information (Mattes 2003, IEEE TMI 22:120) with the tumour masked out of the metric (Brett 2001,
NeuroImage 14:486). A single start fails on tilted heads, so several poses are refined at 4 mm and the best
goes on at 2 mm; images in BraTS geometry also start from a fixed affine. A symmetric template cannot see a
left-right flip: sides come from the header alone, and a header that tells none leaves the side unknown.

Other mistakes in the axes show: a head that fits as well when turned by a quarter or a half is refused.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import binary_fill_holes, distance_transform_edt
from scipy.ndimage import label as connected_components

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.atlas import Atlas, atlas_brain
from medsynth_app.imaging.atlas.header_trust import is_brats_geometry, side_is_known
from medsynth_app.imaging.atlas.template import load_t1_template
from medsynth_app.imaging.geometry import foreground_box, reorient
from medsynth_app.imaging.itk_images import (
    CenteredTransform,
    affine_about,
    affine_from_itk,
    as_affine,
    centroid_lps,
    composed,
    field_from_itk,
    from_itk,
    matrix_of,
    shrunk,
    similarity_about,
    to_itk,
    volume_ml,
)
from medsynth_app.imaging.volume import Volume

BRATS_TO_MNI = np.array(
    [
        [1.0474, 0.0205, -0.0071, 122.64],
        [-0.0397, 0.9962, 0.2522, -148.51],
        [0.0001, -0.2772, 1.0666, -40.36],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
"""RAS mm of SRI24 space -> RAS mm of MNI space: the median affine of 22 BraTS cases, whose own affines differ
from it by some millimetres; a start, not an answer."""

LARGEST_SPACING_MM = 6.0
BRAIN_MARGIN_MM = 12.0
"""The metric sees the brain's box grown by this much: its edge carries the scale."""


@dataclass(frozen=True)
class QualityGates:
    """When a registration is not trusted.

    The numbers were set between right images and deliberately flipped or swapped ones. They belong to 32
    bins, 4 and 2 mm and a T1-like head; another ``RegistrationConfiguration`` may need others.

    Attributes:
        least_upright_margin: the head must fit by this much mutual information (nats, coarse level) better as
            its header says than turned by a quarter or a half; catches flipped and swapped axes.
        least_mutual_information: a lower mutual information (nats) fails.
        least_brain_dice: a lower Dice overlap of the patient's brain and the template's fails.
        determinant_range: the affine's change of volume, patient to MNI, must lie inside.
        largest_mask_outside: a larger share of the tumour mask outside the atlas fails.
        mask_tolerance_mm: only what lies farther outside than this counts as outside: an affine is 4 to 5 mm
            off at a tumour, and a tumour under the skull's vault pushes the brain's edge outwards. (Of 24 real
            masks up to 6 % lie beyond the atlas' edge, up to 0.6 % beyond 4 mm.)
        brain_volume_range_ml: the foreground must lie inside; more is a head with its skull, less a fragment.
    """

    least_upright_margin: float = 0.05
    least_mutual_information: float = 0.50
    least_brain_dice: float = 0.90
    determinant_range: tuple[float, float] = (0.9, 1.7)
    largest_mask_outside: float = 0.05
    mask_tolerance_mm: float = 4.0
    brain_volume_range_ml: tuple[float, float] = (600.0, 2400.0)


@dataclass(frozen=True)
class RegistrationConfiguration:
    """How a head is brought to the atlas.

    Attributes:
        pitches_deg: head tilts (about the left-right axis) tried as starts.
        yaws_deg: head turns (about the vertical axis) tried as starts.
        coarse_spacing_mm: voxel size of the stage that chooses between starts.
        fine_spacing_mm: voxel size of the last stage.
        screen_iterations: optimiser steps of each start before the less promising ones are dropped.
        screened_starts: how many upright starts go on, and how many of those with wrong axes.
        coarse_iterations: most optimiser steps of each of those.
        fine_iterations: most optimiser steps of the last stage.
        coarse_samples: share of the voxels the metric looks at when choosing a start.
        fine_samples: share of the voxels the metric looks at in the last stage.
        tumor_margin_mm: the tumour, grown by this much, does not enter the metric.
        bins: histogram bins of the mutual information.
        deformable: whether demons follow the affine: a better region table for some seconds more.
        demons_iterations: steps of the demons.
        demons_smoothing_mm: standard deviation of the demons' field smoothing.
        seed: seed of the metric's sampling; the same seed gives the same result but for rounding.
        threads: starts that run at the same time; the result does not depend on it.
        time_limit_seconds: wall time after which the search is broken off; an image in BraTS geometry is then laid
            by the fixed affine alone, any other is not assessable.
        gates: when the result is not trusted.
    """

    pitches_deg: tuple[float, ...] = (0.0, 17.0, -17.0, 34.0, -34.0)
    yaws_deg: tuple[float, ...] = (20.0, -20.0)
    coarse_spacing_mm: float = 4.0
    fine_spacing_mm: float = 2.0
    screen_iterations: int = 12
    screened_starts: int = 3
    coarse_iterations: int = 40
    fine_iterations: int = 60
    coarse_samples: float = 0.2
    fine_samples: float = 0.1
    tumor_margin_mm: float = 4.0
    bins: int = 32
    deformable: bool = False
    demons_iterations: int = 30
    demons_smoothing_mm: float = 4.0
    seed: int = 20090401
    threads: int = 2
    time_limit_seconds: float = 120.0
    gates: QualityGates = field(default_factory=QualityGates)

    def __post_init__(self) -> None:
        if not 0 < self.coarse_samples <= 1 or not 0 < self.fine_samples <= 1:
            raise InvalidValueError("coarse_samples and fine_samples must lie in (0, 1]")
        if self.threads < 1 or self.bins < 8:
            raise InvalidValueError(f"threads must be >= 1 and bins >= 8, got {self.threads} and {self.bins}")


@dataclass(frozen=True)
class GateResult:
    """One quality check of a registration.

    Attributes:
        name: stable word, for example ``mutual_information``.
        value: what was measured.
        allowed: what is allowed, in words.
        passed: whether the value is allowed.
        meaning: what a failure means, for the person who reads the report.
    """

    name: str
    value: float
    allowed: str
    passed: bool
    meaning: str

    @property
    def sentence(self) -> str:
        """Value, limit and meaning on one line."""
        return f"{self.name} is {self.value:.3g}, allowed is {self.allowed}: {self.meaning}"


@dataclass(frozen=True)
class Registration:
    """Where a patient's voxels lie in the atlas, and whether that may be believed.

    Attributes:
        matrix: (4, 4) patient RAS mm -> MNI RAS mm.
        displacement: (3, X, Y, Z) RAS mm added to a patient point before ``matrix``, or None (affine only).
        patient_affine: (4, 4) voxel -> RAS mm of the patient's image.
        patient_shape: (X, Y, Z) of the patient's image.
        start: which start won, for example ``pitch 17`` or ``brats``.
        gates: every quality check with its value.
        side_known: whether the header tells left from right.
        seconds: wall time.
        timed_out: whether the search was broken off and the fixed affine of BraTS taken instead.
    """

    matrix: np.ndarray
    displacement: Volume | None
    patient_affine: np.ndarray
    patient_shape: tuple[int, int, int]
    start: str
    gates: tuple[GateResult, ...]
    side_known: bool
    seconds: float
    timed_out: bool = False

    @property
    def assessable(self) -> bool:
        """Whether every gate passed. An unknown side does not fail a gate: it is marginalised and said."""
        return all(gate.passed for gate in self.gates)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not assessable, one sentence a failed gate."""
        return tuple(gate.sentence for gate in self.gates if not gate.passed)

    def labels_on_patient_grid(self, atlas: Atlas) -> np.ndarray:
        """The atlas drawn on the patient: (X, Y, Z) int16 labels, nearest neighbour, 0 outside the brain."""
        return self._on_patient_grid(atlas.labels, atlas.affine, sitk.sitkNearestNeighbor)

    def template_on_patient_grid(self) -> np.ndarray:
        """The T1 template drawn on the patient: (X, Y, Z) float32 in [0, 1], 0 outside the brain."""
        template = load_t1_template()
        return self._on_patient_grid(template.array[0], template.affine, sitk.sitkLinear)

    def to_mni(self, points: np.ndarray) -> np.ndarray:
        """Patient points (N, 3) RAS mm -> MNI points (N, 3) RAS mm by the affine alone."""
        return points @ self.matrix[:3, :3].T + self.matrix[:3, 3]

    def _on_patient_grid(self, array: np.ndarray, affine: np.ndarray, interpolator: int) -> np.ndarray:
        grid = to_itk(np.zeros(self.patient_shape, np.uint8), self.patient_affine)
        transform = composed(self.matrix, self.displacement)
        moved = sitk.Resample(to_itk(array, affine), grid, transform, interpolator, 0.0)
        return from_itk(moved)


def register_to_atlas(
    volume: Volume,
    tumor_mask: np.ndarray | None = None,
    configuration: RegistrationConfiguration = RegistrationConfiguration(),
) -> Registration:
    """Register a skull-stripped, T1-like head to the MNI template.

    Args:
        volume: (1, X, Y, Z), any orientation, background of one value (zero as a rule).
        tumor_mask: (X, Y, Z), non-zero in the tumour; it is left out of the metric.
        configuration: how, and when the result is not trusted.

    Returns:
        The registration. It may be not assessable: ask ``assessable`` and ``reasons`` before using it.

    Raises:
        InvalidValueError: several channels, a mask of another shape, voxels above 6 mm, an empty image; no answer
            within the time limit (code ``registration_timeout``).
    """
    started = time.perf_counter()
    _check_input(volume, tumor_mask)
    head = _prepare_head(volume, tumor_mask, configuration)
    template = _template_levels(configuration.fine_spacing_mm, configuration.coarse_spacing_mm)
    starts = _starts(head, template, volume, configuration)
    clock = _Clock(started, configuration.time_limit_seconds)
    try:
        fit = _fit_affine(head, template, starts, configuration, clock)
    except TimeoutError:
        fit = _fixed_fit(head, template, starts, configuration, clock)
    deformable = configuration.deformable and not clock.is_over
    displacement = _demons(head, template, fit.best, configuration) if deformable else None
    gates = _check_quality(head, template, fit, volume, tumor_mask, displacement, configuration)
    return Registration(
        matrix=matrix_of(fit.best.transform),
        displacement=displacement,
        patient_affine=volume.affine,
        patient_shape=volume.spatial_shape,
        start=fit.best.start,
        gates=gates,
        side_known=side_is_known(volume),
        seconds=time.perf_counter() - started,
        timed_out=fit.is_fixed,
    )


# ------------------------------------------------------------------------------- images for the metric


@dataclass(frozen=True)
class _Levels:
    """An image at the fine and the coarse voxel size, with what describes its brain."""

    fine: sitk.Image  # float, 0..1
    coarse: sitk.Image
    center: np.ndarray  # centroid of the brain, LPS mm
    brain_ml: float


@dataclass(frozen=True)
class _Head(_Levels):
    fine_mask: sitk.Image  # uint8, 1 where the metric looks
    coarse_mask: sitk.Image
    brain: np.ndarray  # filled brain on the fine grid, (X, Y, Z)


@dataclass(frozen=True)
class _Candidate:
    start: str
    transform: CenteredTransform
    metric: float  # negative mutual information: lower is better


def _check_input(volume: Volume, tumor_mask: np.ndarray | None) -> None:
    if volume.array.shape[0] != 1:
        raise InvalidValueError(f"volume: must have one channel, has {volume.array.shape[0]}")
    if volume.spacing.max() > LARGEST_SPACING_MM:
        raise InvalidValueError(
            f"volume: its voxels are {volume.spacing.max():.1f} mm thick, allowed are {LARGEST_SPACING_MM:g}",
            code="voxels_too_thick",
        )
    if tumor_mask is not None and tumor_mask.shape != volume.spatial_shape:
        raise InvalidValueError(
            f"tumor_mask: shape {tumor_mask.shape} differs from the image {volume.spatial_shape}",
            code="shape_mismatch",
        )


def _prepare_head(
    volume: Volume, tumor_mask: np.ndarray | None, configuration: RegistrationConfiguration
) -> _Head:
    tumor = np.zeros(volume.spatial_shape, bool) if tumor_mask is None else np.asarray(tumor_mask) != 0
    both = _cropped(reorient(Volume(np.stack([volume.array[0].astype(np.float32), tumor]), volume.affine)))
    inside = both.array[0] != 0
    layers = (_scaled(both.array[0], inside), inside.astype(np.float32), both.array[1])
    fine, inside_share, tumor_share = (
        shrunk(to_itk(layer, both.affine), configuration.fine_spacing_mm) for layer in layers
    )
    brain = _largest_piece(from_itk(inside_share) > 0.5)
    fine_mask = _metric_mask(fine, from_itk(tumor_share) > 0, configuration.tumor_margin_mm)
    coarse = shrunk(fine, configuration.coarse_spacing_mm)
    return _Head(
        fine=fine,
        coarse=coarse,
        center=centroid_lps(fine, brain),
        brain_ml=volume_ml(fine, brain),
        fine_mask=fine_mask,
        coarse_mask=sitk.Resample(fine_mask, coarse, sitk.Transform(), sitk.sitkNearestNeighbor),
        brain=brain,
    )


def _cropped(image_and_tumor: Volume) -> Volume:
    """The box of the head with a margin, its background (the commonest value on the faces) moved to 0.

    Raises:
        InvalidValueError: every voxel is background.
    """
    image = image_and_tumor.array[0]
    faces = np.concatenate([image.take(i, axis).ravel() for axis in range(3) for i in (0, -1)])
    values, counts = np.unique(faces, return_counts=True)
    background = values[counts.argmax()]
    head = image != background
    if not head.any():
        raise InvalidValueError("volume: is empty, every voxel has the same value", code="empty_image")
    box = foreground_box(head, int(np.ceil(BRAIN_MARGIN_MM / image_and_tumor.spacing.min())))
    affine = image_and_tumor.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array(box.start)
    x, y, z = box.slices
    array = image_and_tumor.array[:, x, y, z].copy()
    array[0] -= background
    return Volume(array, affine)


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    """The largest connected piece with its holes filled; an empty mask stays empty."""
    pieces, number = connected_components(mask)
    if number == 0:
        return mask
    return binary_fill_holes(pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax()))


def _scaled(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Brain intensities between their 0.5th and 99.5th percentile to [0.02, 1], background 0."""
    low, high = np.percentile(image[brain], (0.5, 99.5))
    scaled = 0.02 + 0.98 * np.clip((image - low) / max(float(high - low), 1e-6), 0, 1)
    return np.where(brain, scaled, 0).astype(np.float32)


def _metric_mask(fine: sitk.Image, tumor: np.ndarray, margin_mm: float) -> sitk.Image:
    """The field of view without the grown tumour. (A mask drawn at the brain's edge would lose the scale.)"""
    keep = np.ones(tumor.shape, np.uint8)
    if tumor.any():
        keep[distance_transform_edt(~tumor, sampling=fine.GetSpacing()) <= margin_mm] = 0
    return to_itk(keep, affine_from_itk(fine))


@lru_cache(maxsize=2)
def _template_levels(fine_mm: float, coarse_mm: float) -> _Levels:
    template = load_t1_template()
    full = to_itk(template.array[0], template.affine)
    fine = shrunk(full, fine_mm)
    brain = from_itk(fine) > TEMPLATE_EDGE
    return _Levels(fine, shrunk(full, coarse_mm), centroid_lps(fine, brain), volume_ml(fine, brain))


TEMPLATE_EDGE = 0.05
"""Above this the (averaged, in [0, 1]) template counts as brain."""


# -------------------------------------------------------------------------------------- starts and stages


BRATS = "brats"
"""Name of the start from the fixed affine."""


def _starts(
    head: _Head, template: _Levels, volume: Volume, configuration: RegistrationConfiguration
) -> list[_Candidate]:
    """Centroid on centroid, scaled to the template's volume, in every pose; and the fixed affine of BraTS."""
    poses = [(f"pitch {angle:g}", _rotation(0, angle)) for angle in configuration.pitches_deg]
    poses += [(f"yaw {angle:g}", _rotation(2, angle)) for angle in configuration.yaws_deg]
    starts = [_start(name, rotation, head, template) for name, rotation in poses]
    if is_brats_geometry(volume):
        starts.append(_Candidate(BRATS, affine_about(BRATS_TO_MNI, head.center), 0.0))
    return starts


def _turned_starts(head: _Head, template: _Levels) -> list[_Candidate]:
    """Poses that no head is scanned in: where one of them fits as well, the header's axes are wrong.

    The template is its own mirror image, so these turns stand for flips and swaps of axes as well: a flip
    along y looks like half a turn about z, along z like half a turn about y, a swap of x and y like a quarter
    about z, of x and z like a quarter about y, of y and z like a half about y and a quarter about x.
    """
    half_y, half_z = _rotation(1, 180), _rotation(2, 180)
    turns = [
        ("x 180", _rotation(0, 180)),
        ("x 90", _rotation(0, 90)),
        ("x -90", _rotation(0, -90)),
        ("y 90", _rotation(1, 90)),
        ("z 90", _rotation(2, 90)),
        ("y 180 x 90", _rotation(0, 90) @ half_y),
    ]
    for pitch in (0.0, 17.0, -17.0):
        turns.append((f"y 180 x {pitch:g}", _rotation(0, pitch) @ half_y))
        turns.append((f"z 180 x {pitch:g}", _rotation(0, pitch) @ half_z))
    return [_start(name, rotation, head, template) for name, rotation in turns]


def _start(name: str, rotation: np.ndarray, head: _Head, template: _Levels) -> _Candidate:
    scale = float(np.clip((template.brain_ml / max(head.brain_ml, 1.0)) ** (1 / 3), 0.7, 1.5))
    return _Candidate(name, similarity_about(head.center, template.center, rotation, scale), 0.0)


def _rotation(axis: int, angle_deg: float) -> np.ndarray:
    """(3, 3) rotation about a world axis."""
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    first, second = [a for a in range(3) if a != axis]
    matrix = np.eye(3)
    matrix[first, first], matrix[first, second] = c, -s
    matrix[second, first], matrix[second, second] = s, c
    return matrix


@dataclass(frozen=True)
class _Fit:
    best: _Candidate
    upright_margin: float  # nats by which the upright head fits better than a turned one, coarse level
    is_fixed: bool = False  # the fixed affine of BraTS, because the time was over


@dataclass(frozen=True)
class _Stage:
    fine: bool
    iterations: int
    samples: float


@dataclass(frozen=True)
class _Clock:
    started: float  # as of time.perf_counter
    limit_seconds: float

    @property
    def is_over(self) -> bool:
        return time.perf_counter() - self.started > self.limit_seconds

    def check(self) -> None:
        if self.is_over:
            raise TimeoutError


def _fixed_fit(
    head: _Head,
    template: _Levels,
    starts: list[_Candidate],
    configuration: RegistrationConfiguration,
    clock: _Clock,
) -> _Fit:
    """The fixed affine of BraTS as it stands, compared with the turned starts as they stand.

    Raises:
        InvalidValueError: the image has another geometry.
    """
    fixed = [candidate for candidate in starts if candidate.start == BRATS]
    if not fixed:
        raise InvalidValueError(
            f"volume: the registration found no answer within {clock.limit_seconds:g} seconds",
            code="registration_timeout",
        )
    best = _likeliest(fixed, head, template, configuration)[0]
    turned = _likeliest(_turned_starts(head, template), head, template, configuration)
    return _Fit(best, turned[0].metric - best.metric, is_fixed=True)


def _fit_affine(
    head: _Head,
    template: _Levels,
    starts: list[_Candidate],
    configuration: RegistrationConfiguration,
    clock: _Clock,
) -> _Fit:
    """Screen all starts, refine the promising ones at the coarse level, the finalists at the fine one.

    Raises:
        TimeoutError: the time is over.
    """
    screen = _Stage(False, configuration.screen_iterations, configuration.coarse_samples)
    coarse = _Stage(False, configuration.coarse_iterations, configuration.coarse_samples)
    fine = _Stage(True, configuration.fine_iterations, configuration.fine_samples)
    with ThreadPoolExecutor(configuration.threads) as pool:

        def refine(candidates: list[_Candidate], stage: _Stage) -> list[_Candidate]:
            run = list(pool.map(lambda c: _refine(c, head, template, configuration, stage, clock), candidates))
            clock.check()
            return sorted(run, key=_by_metric)

        kept = configuration.screened_starts
        screened = refine(starts, screen)
        poses = refine([c for c in screened if c.start != BRATS][:kept], coarse)
        turned = refine(_likeliest(_turned_starts(head, template), head, template, configuration), coarse)
        finalists = poses[:1] + [c for c in screened if c.start == BRATS]
        affines = [_Candidate(c.start, as_affine(c.transform), c.metric) for c in finalists]
        best = refine(_without_twins(refine(affines, coarse), head.center), fine)[0]
    return _Fit(best, turned[0].metric - poses[0].metric)


def _likeliest(
    starts: list[_Candidate], head: _Head, template: _Levels, configuration: RegistrationConfiguration
) -> list[_Candidate]:
    """The starts that fit best as they stand; as many as ``screened_starts``."""

    def measured(candidate: _Candidate) -> _Candidate:
        metric = _measure(head.coarse, template.coarse, candidate.transform, configuration, head.coarse_mask,
                          configuration.coarse_samples)  # fmt: skip
        return _Candidate(candidate.start, candidate.transform, metric)

    return sorted(map(measured, starts), key=_by_metric)[: configuration.screened_starts]


def _by_metric(candidate: _Candidate) -> float:
    return candidate.metric


def _without_twins(candidates: list[_Candidate], center: np.ndarray) -> list[_Candidate]:
    """Without finalists that differ from a better one by less than 3 mm at the brain's edge."""
    probes = center + 70.0 * np.vstack([np.eye(3), -np.eye(3)])
    kept: list[_Candidate] = []
    for candidate in candidates:
        places = _moved(candidate, probes)
        if all(np.linalg.norm(places - _moved(other, probes), axis=1).max() > 3.0 for other in kept):
            kept.append(candidate)
    return kept


def _moved(candidate: _Candidate, points: np.ndarray) -> np.ndarray:
    return np.array([candidate.transform.TransformPoint(point.tolist()) for point in points])


def _refine(
    candidate: _Candidate,
    head: _Head,
    template: _Levels,
    configuration: RegistrationConfiguration,
    stage: _Stage,
    clock: _Clock,
) -> _Candidate:
    """Optimise from one start; the start itself is the answer where the optimiser made it worse, or time is over."""
    if clock.is_over:
        return candidate
    fixed, moving = (head.fine, template.fine) if stage.fine else (head.coarse, template.coarse)
    mask = head.fine_mask if stage.fine else head.coarse_mask
    # Coarse metrics compare with coarse ones, so a candidate's own value serves; a fresh start's is 0.
    before = candidate.metric
    if stage.fine:
        before = _measure(fixed, moving, candidate.transform, configuration, mask, stage.samples)
    moved = type(candidate.transform)(candidate.transform)
    method = _metric(configuration, mask, stage.samples)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0,
        minStep=1e-2,
        numberOfIterations=stage.iterations,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(moved, inPlace=True)
    method.AddCommand(sitk.sitkIterationEvent, lambda: method.StopRegistration() if clock.is_over else None)
    try:
        method.Execute(fixed, moving)
    except RuntimeError:  # ITK: too few samples map inside the template; another start will do
        return _Candidate(candidate.start, candidate.transform, before)
    finally:
        # method and command hold each other where no garbage collector looks
        method.RemoveAllCommands()
    after = _measure(fixed, moving, moved, configuration, mask, stage.samples)
    if after > before:
        return _Candidate(candidate.start, candidate.transform, before)
    return _Candidate(candidate.start, moved, after)


def _metric(
    configuration: RegistrationConfiguration, mask: sitk.Image, samples: float
) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(configuration.bins)
    method.SetMetricFixedMask(mask)
    if samples < 1:
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(samples, configuration.seed)
    method.SetInterpolator(sitk.sitkLinear)
    # One thread each: the starts run side by side instead.
    method.SetNumberOfThreads(1)
    return method


def _measure(
    fixed: sitk.Image,
    moving: sitk.Image,
    transform: sitk.Transform,
    configuration: RegistrationConfiguration,
    mask: sitk.Image,
    samples: float,
) -> float:
    """The negative mutual information (nats) at a transform; 0 where the images do not meet."""
    method = _metric(configuration, mask, samples)
    method.SetInitialTransform(transform)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-2, 1)
    try:
        return float(method.MetricEvaluate(fixed, moving))
    except RuntimeError:
        return 0.0


def _demons(
    head: _Head, template: _Levels, best: _Candidate, configuration: RegistrationConfiguration
) -> Volume:
    """Fast symmetric forces demons (Vercauteren 2009, NeuroImage 45:S61) with the tumour filled by template.

    Returns:
        (3, X, Y, Z) RAS mm on the fine grid, to be added to a patient point before the affine.
    """
    moved = sitk.Resample(template.fine, head.fine, best.transform, sitk.sitkLinear, 0.0)
    moved = sitk.HistogramMatching(moved, head.fine, 128, 15, True)
    keep = sitk.Cast(head.fine_mask, sitk.sitkFloat32)
    filled = head.fine * keep + moved * (1.0 - keep)
    demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfIterations(configuration.demons_iterations)
    demons.SetSmoothDisplacementField(True)
    demons.SetStandardDeviations(configuration.demons_smoothing_mm / configuration.fine_spacing_mm)
    demons.SetNumberOfThreads(configuration.threads)
    return field_from_itk(demons.Execute(filled, moved))


# --------------------------------------------------------------------------------------------- quality


def _check_quality(
    head: _Head,
    template: _Levels,
    fit: _Fit,
    volume: Volume,
    tumor_mask: np.ndarray | None,
    displacement: Volume | None,
    configuration: RegistrationConfiguration,
) -> tuple[GateResult, ...]:
    gates = configuration.gates
    matrix = matrix_of(fit.best.transform)
    metric = _measure(head.fine, template.fine, fit.best.transform, configuration, head.fine_mask, 1.0)
    results = [
        _at_least("upright_margin", fit.upright_margin, gates.least_upright_margin,
                  "the head fits the template better when turned; the header's axes are flipped or swapped"),
        _at_least("mutual_information", -metric, gates.least_mutual_information,
                  "the head does not look like the template"),
        _at_least("brain_dice", _brain_dice(head, template, fit.best.transform), gates.least_brain_dice,
                  "the brain's outline does not fit the template's"),
        _inside("determinant", float(np.linalg.det(matrix[:3, :3])), gates.determinant_range,
                "the head had to be shrunk or blown up beyond what heads differ"),
        _inside("brain_volume_ml", head.brain_ml, gates.brain_volume_range_ml,
                "this is no skull-stripped whole brain; strip the skull first"),
    ]  # fmt: skip
    if tumor_mask is not None and np.any(tumor_mask):
        share = _share_outside(volume, tumor_mask, matrix, displacement, gates.mask_tolerance_mm)
        passed = share <= gates.largest_mask_outside
        allowed = f"at most {gates.largest_mask_outside:g}"
        meaning = f"part of the tumour mask lies more than {gates.mask_tolerance_mm:g} mm outside the atlas' brain"
        results.append(GateResult("mask_outside", share, allowed, passed, meaning))
    return tuple(results)


def _at_least(name: str, value: float, least: float, meaning: str) -> GateResult:
    return GateResult(name, value, f"at least {least:g}", value >= least, meaning)


def _inside(name: str, value: float, limits: tuple[float, float], meaning: str) -> GateResult:
    low, high = limits
    return GateResult(name, value, f"{low:g} to {high:g}", low <= value <= high, meaning)


def _brain_dice(head: _Head, template: _Levels, transform: sitk.Transform) -> float:
    moved = sitk.Resample(template.fine, head.fine, transform, sitk.sitkLinear, 0.0)
    other = from_itk(moved) > TEMPLATE_EDGE
    return float(2 * (other & head.brain).sum() / max(1, other.sum() + head.brain.sum()))


def _share_outside(
    volume: Volume,
    tumor_mask: np.ndarray,
    matrix: np.ndarray,
    displacement: Volume | None,
    tolerance_mm: float,
) -> float:
    """Share of the mask's voxels that lie farther outside the atlas' brain than the tolerance."""
    points = np.argwhere(tumor_mask) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    if displacement is not None:
        points = points + _sampled(displacement, points)
    depth, affine = _depth_outside_mm()
    back = np.linalg.inv(affine) @ matrix
    index = np.rint(points @ back[:3, :3].T + back[:3, 3]).astype(int)
    on_grid = ((index >= 0) & (index < depth.shape)).all(axis=1)
    inside = on_grid.copy()
    inside[on_grid] = depth[tuple(index[on_grid].T)] <= tolerance_mm
    return float(1.0 - inside.mean())


@lru_cache(maxsize=1)
def _depth_outside_mm() -> tuple[np.ndarray, np.ndarray]:
    """Distance in mm of every voxel of the atlas' grid from the template's brain, 0 inside; and the affine."""
    brain, affine = atlas_brain()
    return distance_transform_edt(~brain, sampling=np.abs(np.diag(affine)[:3])).astype(np.float32), affine


def _sampled(field_volume: Volume, points: np.ndarray) -> np.ndarray:
    """The vectors (N, 3) of a field at points (N, 3) RAS mm, nearest voxel."""
    back = np.linalg.inv(field_volume.affine)
    index = np.rint(points @ back[:3, :3].T + back[:3, 3]).astype(int)
    index = np.clip(index, 0, np.array(field_volume.spatial_shape) - 1)
    return field_volume.array[:, index[:, 0], index[:, 1], index[:, 2]].T
