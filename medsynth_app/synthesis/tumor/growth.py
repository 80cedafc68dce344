"""Growth of a glioma: cell density, mass effect, and the label map that follows from both.

Cell density c follows the Fisher-Kolmogorov equation (Swanson 2000, Harpold 2007)

    dc/dt = div(D grad c) + rho c (1 - c),    no flux into fluid or out of the brain,

with D = 0.65 mm^2/day in white and 0.13 in grey matter and rho = 0.012/day. The solid core grows as a lump
around the seed point and pushes the brain aside by a diffeomorphism. Labels are level sets, cut so that each
class has exactly the volume asked for; where the levels lie is a modelling choice of this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.geometry import Box, foreground_box
from medsynth_app.synthesis.anatomy.diffeomorphism import integrate, inward_velocity
from medsynth_app.synthesis.anatomy.icbm_brain import Grid
from medsynth_app.synthesis.anatomy.random_fields import smooth_noise, stream, upsample
from medsynth_app.synthesis.tumor.request import TumorCaseRequest
from medsynth_app.vocabulary import TumorLabel

DIFFUSION_WHITE_MM2_PER_DAY = 0.65
DIFFUSION_GREY_MM2_PER_DAY = 0.13
PROLIFERATION_PER_DAY = 0.012
DETECTION_DENSITY = 0.16
"""Cell density at the visible edge on T2-weighted images (Swanson 2008: 16 % there, 80 % at the core)."""
GROWTH_SPACING_MM = 3.0
MOST_STEPS = 500


class Ground(Protocol):
    """A head that a tumour grows in: drawn (``IndividualBrain``) or real (``HostBrain``)."""

    @property
    def grid(self) -> Grid:
        """The grid of the case."""
        ...

    @property
    def coarse_shape(self) -> tuple[int, ...]:
        """(x, y, z) of the coarse grid on which deformations of the brain box live."""
        ...

    @property
    def coarse_spacing_mm(self) -> np.ndarray:
        """(3,) its voxel size."""
        ...

    def maps(self, shape: tuple[int, ...], displacement_mm: np.ndarray | None = None) -> np.ndarray:
        """White matter, grey matter and brain, (3, X, Y, Z) float32, sampled over the brain box."""
        ...


@dataclass(frozen=True)
class Tumor:
    """A tumour on the brain box of a grid.

    Attributes:
        label: (X, Y, Z) uint8, values of ``TumorLabel``, 0 elsewhere.
        necrosis: (X, Y, Z) bool, the part of label 1 that is dead; the rest of label 1 is solid tumour.
        density: (X, Y, Z) float32, 0..1: how much of an oedema voxel is altered, high near the core.
        displacement_mm: (3, x, y, z) float32 on the brain's coarse grid: tissue seen at p was at p + u(p)
            before the tumour pushed it.
        seed_point_mm: RAS mm of the place where it started.
    """

    label: np.ndarray
    necrosis: np.ndarray
    density: np.ndarray
    displacement_mm: np.ndarray
    seed_point_mm: tuple[float, float, float]


def mass_effect(
    request: TumorCaseRequest, brain: Ground, point_mm: tuple[float, float, float]
) -> np.ndarray:
    """Displacement (3, x, y, z) float32 in mm on the coarse grid that undoes the push of the requested core.

    Args:
        request: gives the core's volume and the strength.
        brain: the head.
        point_mm: RAS mm of the core's centre.
    """
    core_ml = request.volume_ml * (1.0 - request.profile.edema_extent)
    return _push(brain, _box_mm(brain, point_mm), core_ml, request)


def grow_tumor(
    request: TumorCaseRequest,
    brain: Ground,
    point_mm: tuple[float, float, float],
    displacement_mm: np.ndarray,
    maps: np.ndarray,
) -> Tumor:
    """A tumour of the requested volume and make-up in one person's brain.

    Args:
        request: what to grow.
        brain: the head.
        point_mm: RAS mm of its origin.
        displacement_mm: as ``mass_effect`` gives it.
        maps: white matter, grey matter and brain after the push, (3, X, Y, Z) on the brain box.

    Raises:
        InvalidValueError: the brain has no room for the volume at this place.
    """
    spacing = brain.grid.spacing_mm
    centre = _box_mm(brain, point_mm)
    white, grey, inside = maps[0], maps[1], maps[2] > 0.5
    invasion = _invasion(brain, centre, request, displacement_mm)
    # Vasogenic oedema spreads along white matter and spares the cortex (digitations).
    invasion *= np.float32(0.12) + np.float32(0.88) * white
    core_ml = request.volume_ml * (1.0 - request.profile.edema_extent)
    core = _core(brain, centre, core_ml, request, inside)
    whole = _whole_tumor(invasion, core, inside & (white + grey > 0.3), request, spacing)
    label, necrosis = _labels(whole, core, request, spacing)
    return Tumor(label, necrosis, edema_density(label, spacing), displacement_mm, point_mm)


def _box_mm(brain: Ground, point_mm: tuple[float, float, float]) -> np.ndarray:
    """Millimetres along the box axes, (3,), of a point in RAS mm."""
    voxel = np.linalg.inv(brain.grid.box_affine) @ np.array([*point_mm, 1.0])
    return voxel[:3] * brain.grid.spacing_mm


def _push(
    brain: Ground, centre: np.ndarray, core_ml: float, request: TumorCaseRequest
) -> np.ndarray:
    """Displacement (3, x, y, z) in mm, on the coarse grid, that undoes the core's mass effect."""
    shape = brain.coarse_shape
    if request.mass_effect == 0.0 or core_ml <= 0.0:
        return np.zeros((3, *shape), dtype=np.float32)
    radius = _radius_mm(core_ml)
    spacing = brain.coarse_spacing_mm
    lines = np.ogrid[tuple(slice(0, n) for n in shape)]
    distance = np.sqrt(sum((line * s - c) ** 2 for line, s, c in zip(lines, spacing, centre)))
    # Soft over one coarse voxel, so that small cores push too.
    mass = np.clip((radius - distance) / float(spacing.mean()) + 0.5, 0.0, 1.0).astype(np.float32)
    inside = brain.maps(shape)[2]
    push_mm = request.mass_effect * min(0.45 * radius, 10.0)
    velocity = inward_velocity(mass, inside, float(spacing.mean()), push_mm)
    return integrate(velocity, spacing)


def _radius_mm(volume_ml: float) -> float:
    return float((volume_ml * 1000.0 * 0.75 / np.pi) ** (1 / 3))


def _invasion(
    brain: Ground, centre: np.ndarray, request: TumorCaseRequest, displacement: np.ndarray
) -> np.ndarray:
    """Cell density (X, Y, Z) float32 on the brain box after growth to the requested size and the push."""
    extent = np.array([n - 1 for n in brain.grid.box.shape]) * brain.grid.spacing_mm
    shape = tuple(int(n) for n in np.round(extent / GROWTH_SPACING_MM) + 1)
    spacing = extent / (np.array(shape) - 1)
    white, grey, _ = brain.maps(shape)
    diffusion = DIFFUSION_WHITE_MM2_PER_DAY * white + DIFFUSION_GREY_MM2_PER_DAY * grey
    diffusion[white + grey < 0.4] = 0.0
    density = np.zeros(shape, dtype=np.float32)
    seed = [int(round(c / s)) for c, s in zip(centre, spacing)]
    density[tuple(slice(max(0, s - 1), s + 2) for s in seed)] = 0.6
    # Growth far beyond the wanted size is of no interest: only a cube around the origin is computed.
    reach = int((2.5 * _radius_mm(request.volume_ml) + 25.0) / GROWTH_SPACING_MM)
    near = tuple(slice(max(0, s - reach), s + reach + 1) for s in seed)
    density[near] = _fisher_kolmogorov(density[near], diffusion[near], spacing, request.volume_ml)
    moved = _deform(density, brain, displacement, spacing)
    detail = smooth_noise(stream(request.seed, "invasion"), moved.shape, 9.0, brain.grid.spacing_mm)
    moved *= np.float32(1.0) + np.float32(0.15) * np.clip(detail, -2.0, 2.0)
    return moved


def _fisher_kolmogorov(
    density: np.ndarray, diffusion: np.ndarray, spacing_mm: np.ndarray, volume_ml: float
) -> np.ndarray:
    """Explicit finite volumes until the detectable volume exceeds the wanted one by a margin.

    Fluxes use the harmonic mean of D at a face, which is 0 at fluid: nothing crosses a sulcus.
    """
    step_days = float(0.9 * spacing_mm.min() ** 2 / (6.0 * DIFFUSION_WHITE_MM2_PER_DAY))
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    faces = []
    for axis in range(3):
        low = np.delete(diffusion, -1, axis=axis)
        high = np.delete(diffusion, 0, axis=axis)
        harmonic = 2.0 * low * high / np.maximum(low + high, 1e-9)
        faces.append((harmonic * (step_days / spacing_mm[axis] ** 2)).astype(np.float32))
    growing = np.float32(step_days * PROLIFERATION_PER_DAY) * (diffusion > 0)
    for _ in range(MOST_STEPS):
        change = growing * density * (np.float32(1.0) - density)
        for axis, face in enumerate(faces):
            flux = face * np.diff(density, axis=axis)
            change[_along(axis, slice(None, -1))] += flux
            change[_along(axis, slice(1, None))] -= flux
        density = density + change
        if float((density > DETECTION_DENSITY).sum()) * voxel_ml > 1.5 * volume_ml:
            break
    return density


def _along(axis: int, part: slice) -> tuple[slice, ...]:
    return tuple(part if a == axis else slice(None) for a in range(3))


def _deform(
    field: np.ndarray, brain: Ground, displacement: np.ndarray, spacing_mm: np.ndarray
) -> np.ndarray:
    """A field of the healthy head, given on a regular grid over the box, as it lies after the push."""
    shape = brain.grid.box.shape
    if not displacement.any():
        return upsample(field, shape)
    places = np.stack([upsample(component, field.shape) for component in displacement])
    places /= spacing_mm.astype(np.float32).reshape(3, 1, 1, 1)
    places += np.indices(field.shape, dtype=np.float32)
    return upsample(map_coordinates(field, places, order=1, mode="nearest"), shape)


def _core(
    brain: Ground,
    centre: np.ndarray,
    core_ml: float,
    request: TumorCaseRequest,
    inside: np.ndarray,
) -> np.ndarray:
    """The solid core (X, Y, Z) bool: a lobulated lump around the seed point of the requested volume."""
    shape, spacing = brain.grid.box.shape, brain.grid.spacing_mm
    radius = _radius_mm(core_ml)
    generator = stream(request.seed, "core")
    stretch = generator.uniform(0.8, 1.25, size=3)
    near = Box(*_cube_around(centre, 2.2 * radius + 6.0, spacing, shape))
    lines = np.ogrid[near.slices]
    squares = [((line * spacing - c) * s) ** 2 for line, c, s in zip(lines, centre, stretch)]
    distance = np.sqrt(squares[0] + squares[1] + squares[2]).astype(np.float32)
    lumps = smooth_noise(generator, near.shape, max(0.8 * radius, 5.0), spacing)
    lumps *= np.float32(0.65)
    lumps += np.float32(0.35) * smooth_noise(generator, near.shape, max(0.3 * radius, 2.5), spacing)
    core = np.zeros(shape, dtype=bool)
    score = np.float32(0.34 * radius) * lumps - distance
    core[near.slices] = _largest_voxels(score, inside[near.slices], core_ml, spacing, "the tumour core")
    return core


def _cube_around(
    centre_mm: np.ndarray, half_mm: float, spacing_mm: float, shape: tuple[int, int, int]
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    start = [max(0, int((c - half_mm) / spacing_mm)) for c in centre_mm]
    stop = [min(n, int((c + half_mm) / spacing_mm) + 2) for c, n in zip(centre_mm, shape)]
    return tuple(start), tuple(stop)  # type: ignore[return-value]


def _whole_tumor(
    invasion: np.ndarray, core: np.ndarray, room: np.ndarray, request: TumorCaseRequest, spacing_mm: float
) -> np.ndarray:
    """Core and oedema together (X, Y, Z) bool; oedema follows the density and clings to the core."""
    box = foreground_box(room)
    away = np.zeros(room.shape, dtype=np.float32)
    outside_mm = distance_transform_edt(~core[box.slices]) * spacing_mm
    away[box.slices] = outside_mm.astype(np.float32)
    reach = np.float32(_radius_mm(request.volume_ml))
    score = invasion - np.float32(0.15) * away / reach
    score = gaussian_filter(score, 1.3 / spacing_mm)
    score[core] = np.float32(np.inf)
    return _largest_voxels(score, room | core, request.volume_ml, spacing_mm, "volume_ml")


def _largest_voxels(
    score: np.ndarray, allowed: np.ndarray, volume_ml: float, spacing_mm: float, name: str
) -> np.ndarray:
    """The voxels with the largest score that together fill a volume; ties go to the earlier voxel.

    Raises:
        InvalidValueError: fewer voxels are allowed than the volume needs.
    """
    count = int(round(volume_ml * 1000.0 / spacing_mm**3))
    candidates = np.flatnonzero(allowed & (score > -np.inf))
    if count > candidates.size:
        room_ml = candidates.size * spacing_mm**3 / 1000.0
        raise InvalidValueError(
            f"volume_ml: {name} of {volume_ml:g} ml does not fit at this place, it holds {room_ml:.0f} ml"
        )
    order = np.argsort(-score.ravel()[candidates], kind="stable")
    chosen = np.zeros(score.shape, dtype=bool)
    chosen.ravel()[candidates[order[:count]]] = True
    return chosen


def _labels(
    whole: np.ndarray, core: np.ndarray, request: TumorCaseRequest, spacing_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Label map (X, Y, Z) uint8 and the necrotic part (X, Y, Z) bool of its label 1.

    Necrosis lies deep, enhancing tumour is the shell around it, solid tumour without enhancement its outer
    patches.
    """
    label = np.zeros(whole.shape, dtype=np.uint8)
    necrosis = np.zeros(whole.shape, dtype=bool)
    label[whole] = TumorLabel.EDEMA
    if not core.any():
        return label, necrosis
    profile = request.profile
    box = foreground_box(core, margin=2)
    inner = core[box.slices]
    core_ml = float(inner.sum()) * spacing_mm**3 / 1000.0
    radius = _radius_mm(core_ml)
    generator = stream(request.seed, "necrosis")
    rough = smooth_noise(generator, inner.shape, max(0.35 * radius, 2.5), spacing_mm)
    patches = smooth_noise(generator, inner.shape, max(0.9 * radius, 4.0), spacing_mm)
    depth = (distance_transform_edt(inner) * spacing_mm).astype(np.float32)
    dead = _largest_voxels(
        depth + np.float32(0.13 * radius) * rough + np.float32(0.08 * radius) * patches,
        inner, profile.necrotic_fraction * core_ml, spacing_mm, "necrosis",
    )
    shell = patches + np.float32(0.5) * rough - np.float32(2.0 / max(radius, 1.0)) * depth
    solid_ml = max(0.0, 1.0 - profile.necrotic_fraction - profile.enhancing_fraction) * core_ml
    solid = _largest_voxels(-shell if profile.enhancing_fraction == 0 else shell,
                            inner & ~dead, solid_ml, spacing_mm, "solid tumour")
    part = label[box.slices]
    part[inner] = TumorLabel.ENHANCING_TUMOR
    part[dead | solid] = TumorLabel.NECROTIC_CORE
    necrosis[box.slices] = dead
    return label, necrosis


def edema_density(label: np.ndarray, spacing_mm: float) -> np.ndarray:
    """How altered each oedema voxel is: 1 at the core, falling to about half over 25 mm.

    Args:
        label: (X, Y, Z) uint8, values of ``TumorLabel``.
        spacing_mm: voxel size.

    Returns:
        (X, Y, Z) float32, 0 outside the tumour.
    """
    density = np.zeros(label.shape, dtype=np.float32)
    if not label.any():
        return density
    box = foreground_box(label > 0, margin=2)
    part = label[box.slices]
    core = (part == TumorLabel.NECROTIC_CORE) | (part == TumorLabel.ENHANCING_TUMOR)
    # A tumour that is all oedema is densest where it is deepest.
    inner_mm = distance_transform_edt(part > 0) * spacing_mm
    near_core_mm = distance_transform_edt(~core) * spacing_mm if core.any() else inner_mm.max() - inner_mm
    falling = 1.0 - 0.5 * np.clip(near_core_mm / 25.0, 0.0, 1.0)
    density[box.slices] = (falling * (part > 0)).astype(np.float32)
    return density
