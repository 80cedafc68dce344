"""A library of random gliomas on the atlas: what the score compares a mask with.

Sites follow the lobe frequencies of Larjavaara 2007 (Neuro-Oncology 9:319): frontal 40, temporal 29, parietal
14, occipital 3, deep and other 14 %; how the last is split is this project's assumption. A lesion grows from
its seed in order of a distance that is stretched along random axes, roughened by smooth noise, and measured
around the falx and the tentorium (through the corpus callosum or the midbrain), until it has its volume.
Every lesion is entered twice, the second time mirrored, so that the library prefers no side: mirroring a mask
together with its symptoms then cannot change a score.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.array_cache import default_cache_folder, keep_arrays, read_arrays
from medsynth_app.imaging.atlas.atlas import Atlas
from medsynth_app.imaging.atlas.brain_regions import Lobe, Side, SidedRegion

LIBRARY_VERSION = "1"
"""Raise this when the recipe below changes: it is part of the library's version and of its cache's name."""

SHIPPED_FOLDER = Path(__file__).parent / "libraries"
"""Holds the library of the default recipe, so that nobody's first cross-check waits for it. The file is named after
the version: after a change of atlas or recipe it is not found, and the library is built."""

EDEMA_WEIGHT = 0.4
"""How much a voxel of oedema without core counts in an occupancy."""

LOBE_PRIOR: dict[Lobe, float] = {
    Lobe.FRONTAL: 0.40,
    Lobe.TEMPORAL: 0.29,
    Lobe.PARIETAL: 0.14,
    Lobe.OCCIPITAL: 0.03,
    Lobe.INSULAR: 0.03,
    Lobe.LIMBIC: 0.02,
    Lobe.DEEP: 0.05,
    Lobe.CORPUS_CALLOSUM: 0.01,
    Lobe.BRAINSTEM: 0.015,
    Lobe.CEREBELLUM: 0.015,
}

_CALLOSAL_CROSSINGS_MM = ((0, 26, 8), (0, 0, 26), (0, -36, 18), (0, -14, 2))
_TENTORIAL_NOTCH_MM = (0, -26, -12)
_NOISE_FIELDS = 8
_NOISE_WIDTH_MM = 12.0


@dataclass(frozen=True)
class LibraryConfiguration:
    """How the library is drawn.

    Attributes:
        count: lesions in the library; half are drawn, half are their mirror images.
        seed: where the random numbers start.
        median_ml: median whole volume (core and oedema) of a lesion.
        log_volume_deviation: standard deviation of the natural logarithm of that volume.
        smallest_ml: smallest whole volume.
        largest_ml: largest whole volume.
        roughness: standard deviation of the relative noise on the distance from the seed.
        stretch: standard deviation of the natural logarithm of each axis's stretch.
        reach_mm: width (standard deviation) over which a lesion works beyond its edge.
    """

    count: int = 1500
    seed: int = 20070
    median_ml: float = 35.0
    log_volume_deviation: float = 1.1
    smallest_ml: float = 0.5
    largest_ml: float = 260.0
    roughness: float = 0.25
    stretch: float = 0.25
    reach_mm: float = 4.0


@dataclass(frozen=True)
class LesionLibrary:
    """Occupancies of random lesions.

    Attributes:
        occupancy: (lesions, sites) float32, 0..1, weighted (core + 0.4 oedema-only).
        effective_ml: (lesions,) float32, the same weighting summed over all sites, in ml.
        site_ml: (sites,) volume of each site in ml.
        proximity: (sites, sites), rows sum to 1; how much of what happens in the column's site reaches the
            row's, because lesions press, swell and are registered a few mm off.
        sites: order of every site axis.
        version: hash of atlas and recipe.
    """

    occupancy: np.ndarray
    effective_ml: np.ndarray
    site_ml: np.ndarray
    proximity: np.ndarray
    sites: tuple[SidedRegion, ...]
    version: str

    def __post_init__(self) -> None:
        expected = (len(self.effective_ml), len(self.sites))
        shapes = (self.occupancy.shape, self.site_ml.shape, self.proximity.shape)
        if shapes != (expected, expected[1:], (expected[1], expected[1])):
            raise InvalidValueError(
                f"lesion library: shapes {shapes} of occupancy, site volumes and proximity do not fit "
                f"{expected[0]} lesions and {expected[1]} sites"
            )


def occupancy_vector(
    occupancy: Mapping[tuple[str, Side], tuple[float, float]], sites: Sequence[SidedRegion]
) -> np.ndarray:
    """The score's occupancy ``core + 0.4 * oedema`` of every site, (sites,) float64.

    Args:
        occupancy: (region code, side) -> (core, oedema) as fractions of the region's volume, as
            `site_report.region_occupancy` gives them; what is absent is 0.
        sites: order of the result.

    Raises:
        InvalidValueError: an unknown region, or a fraction outside 0..1 (NaN included).
    """
    known = {site.key for site in sites}
    for key, fractions in occupancy.items():
        if key not in known:
            raise InvalidValueError(f"occupancy: {key!r} is not a site of the atlas", code="unknown_region")
        if not all(0.0 <= fraction <= 1.0 + 1e-6 for fraction in fractions):
            raise InvalidValueError(f"occupancy of {key!r} is {fractions}; allowed: 0 to 1")
    pairs = np.array([occupancy.get(site.key, (0.0, 0.0)) for site in sites], dtype=np.float64)
    return np.clip(pairs[:, 0] + EDEMA_WEIGHT * pairs[:, 1], 0.0, 1.0)


def mirror_order(sites: Sequence[SidedRegion]) -> np.ndarray:
    """Index array: ``occupancy[..., mirror_order(sites)]`` is the occupancy of the mirrored lesion."""
    index = {site.key: position for position, site in enumerate(sites)}
    return np.array([index[site.region.code, site.side.mirrored] for site in sites])


def load_lesion_library(
    atlas: Atlas,
    configuration: LibraryConfiguration = LibraryConfiguration(),
    cache_folder: Path | None = None,
) -> LesionLibrary:
    """The library: the shipped one where it is of this atlas and recipe, else from the cache or built anew (20 s).

    Args:
        atlas: where the lesions are laid.
        configuration: how they are drawn.
        cache_folder: where a library that was built is kept; by default the atlas's own cache folder.
    """
    version = library_version(atlas, configuration)
    name = f"lesion_library_{version}.npz"
    kept = (default_cache_folder() if cache_folder is None else cache_folder) / name
    count, sites = configuration.count, len(atlas.regions)
    shapes = {"occupancy": (count, sites), "effective_ml": (count,), "proximity": (sites, sites)}
    stored = read_arrays(SHIPPED_FOLDER / name, shapes) or read_arrays(kept, shapes)
    if stored is None:
        library = build_lesion_library(atlas, configuration)
        keep_arrays(kept, {name: getattr(library, name) for name in shapes})
        return library
    return LesionLibrary(
        stored["occupancy"],
        stored["effective_ml"],
        site_volumes_ml(atlas),
        stored["proximity"],
        atlas.regions,
        version,
    )


def library_version(atlas: Atlas, configuration: LibraryConfiguration) -> str:
    """Hash of everything that decides the library's content."""
    text = f"{LIBRARY_VERSION}|{atlas.version}|{sorted(asdict(configuration).items())}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build_lesion_library(
    atlas: Atlas, configuration: LibraryConfiguration = LibraryConfiguration()
) -> LesionLibrary:
    """Draw the library. The same atlas and configuration give the same library.

    Raises:
        InvalidValueError: ``count`` is odd or below 2.
    """
    if configuration.count < 2 or configuration.count % 2:
        raise InvalidValueError(f"count of lesions is {configuration.count}; allowed: even numbers from 2 on")
    drawn = np.stack(list(_draw_occupancies(atlas, configuration)))
    occupancy = np.concatenate([drawn, drawn[:, mirror_order(atlas.regions)]]).astype(np.float32)
    site_ml = site_volumes_ml(atlas)
    # a lesion and its mirror image weigh the same, although the atlas is not perfectly symmetric
    effective = (drawn @ site_ml).astype(np.float32)
    return LesionLibrary(
        occupancy,
        np.concatenate([effective, effective]),
        site_ml,
        site_proximity(atlas, configuration.reach_mm),
        atlas.regions,
        library_version(atlas, configuration),
    )


def site_volumes_ml(atlas: Atlas) -> np.ndarray:
    """(sites,) volume of every site of the atlas in ml, float64."""
    return np.array([atlas.volume_ml[site.key] for site in atlas.regions])


def site_proximity(atlas: Atlas, reach_mm: float) -> np.ndarray:
    """How much of what happens in one site reaches another: overlap of sites blurred by ``reach_mm``.

    Falx and tentorium stop it, the midline structures pass it on, and the sides are made symmetric.

    Returns:
        (sites, sites) float64, rows sum to 1.
    """
    inside = atlas.labels > 0
    site = atlas.labels[inside].astype(np.int64) - 1
    voxels = np.maximum(np.bincount(site, minlength=len(atlas.regions)), 1)
    spacing = np.abs(np.diag(atlas.affine)[:3])
    reached = np.zeros((len(atlas.regions), len(atlas.regions)))
    for column, region in enumerate(atlas.regions):
        blurred = gaussian_filter((atlas.labels == region.label).astype(np.float32), reach_mm / spacing)
        reached[:, column] = np.bincount(site, weights=blurred[inside], minlength=len(voxels)) / voxels
    reached[_walled_off(atlas.regions)] = 0.0
    mirror = mirror_order(atlas.regions)
    reached += reached[mirror][:, mirror] + 1e-9 * np.eye(len(voxels))
    return reached / reached.sum(axis=1, keepdims=True)


def _walled_off(sites: Sequence[SidedRegion]) -> np.ndarray:
    """(sites, sites) bool: opposite sides of the falx or of the tentorium."""
    below = np.array([site.region.lobe in (Lobe.BRAINSTEM, Lobe.CEREBELLUM) for site in sites])
    return np.array(
        [[a.side is not b.side and Side.MIDLINE not in (a.side, b.side) for b in sites] for a in sites]
    ) | (below[:, None] != below[None, :])


def _draw_occupancies(atlas: Atlas, configuration: LibraryConfiguration) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(configuration.seed)
    ground = _Ground(atlas, generator)
    for _ in range(configuration.count // 2):
        seed = ground.draw_seed(generator)
        whole = max(1, round(_draw_volume_ml(configuration, generator) / ground.voxel_ml))
        near = ground.near(seed, whole)
        order = ground.growth_order(seed, near, generator, configuration)
        yield ground.occupancy(near, order, whole, _draw_core_share(generator))


def _draw_volume_ml(configuration: LibraryConfiguration, generator: np.random.Generator) -> float:
    drawn = configuration.median_ml * np.exp(configuration.log_volume_deviation * generator.normal())
    return float(np.clip(drawn, configuration.smallest_ml, configuration.largest_ml))


def _draw_core_share(generator: np.random.Generator) -> float:
    """Share of the whole tumour that is core; one in four (low grade) has next to no oedema."""
    if generator.random() < 0.25:
        return 1.0
    return float(generator.beta(2.5, 2.5))


class _Ground:
    """The brain voxels that lesions grow in, prepared once per library."""

    def __init__(self, atlas: Atlas, generator: np.random.Generator) -> None:
        inside = np.nonzero(atlas.labels > 0)
        self.site = atlas.labels[inside].astype(np.int64) - 1
        position = np.stack(inside, axis=1) @ atlas.affine[:3, :3].T + atlas.affine[:3, 3]
        self.position_mm = position.astype(np.float32)
        self.voxel_ml = abs(float(np.linalg.det(atlas.affine[:3, :3]))) / 1000.0
        self.site_voxels = np.maximum(np.bincount(self.site, minlength=len(atlas.regions)), 1)
        self.noise = _noise_fields(atlas.labels.shape, inside, generator)
        lobes = [site.region.lobe for site in atlas.regions]
        infratentorial = np.array([lobe in (Lobe.BRAINSTEM, Lobe.CEREBELLUM) for lobe in lobes])
        self.is_below = infratentorial[self.site]
        self.is_right = self.position_mm[:, 0] > 0
        self.members = _voxels_by_lobe(lobes, self.site)

    def draw_seed(self, generator: np.random.Generator) -> int:
        """Index of the voxel from which a lesion grows."""
        lobes = [lobe for lobe in LOBE_PRIOR if len(self.members.get(lobe, ()))]
        chance = np.array([LOBE_PRIOR[lobe] for lobe in lobes])
        lobe = lobes[generator.choice(len(lobes), p=chance / chance.sum())]
        return int(generator.choice(self.members[lobe]))

    def near(self, seed: int, whole: int) -> np.ndarray:
        """Indices of voxels that a lesion of ``whole`` voxels from this seed may reach."""
        ball_mm = (3.0 * whole * self.voxel_ml * 1000.0 / (4.0 * np.pi)) ** (1.0 / 3.0)
        offset = np.abs(self.position_mm - self.position_mm[seed])
        found = np.flatnonzero((offset <= 2.2 * ball_mm + 12.0).all(axis=1))
        # at the brain's edge a lesion has to grow farther inwards
        return found if len(found) > 1.5 * whole else np.arange(len(self.site))

    def growth_order(
        self, seed: int, near: np.ndarray, generator: np.random.Generator, configuration: LibraryConfiguration
    ) -> np.ndarray:
        """Distance (near,) in mm at which growth from the seed reaches each voxel."""
        stretch = np.exp(configuration.stretch * generator.normal(size=3))
        axes = (np.linalg.qr(generator.normal(size=(3, 3)))[0] * stretch).astype(np.float32)
        noise = self.noise[generator.integers(len(self.noise)), near]
        sign = generator.choice([-1.0, 1.0])
        distance = self._distance_mm(seed, near, axes)
        return distance * np.maximum(0.2, 1.0 + configuration.roughness * sign * noise)

    def occupancy(self, near: np.ndarray, order: np.ndarray, whole: int, core_share: float) -> np.ndarray:
        """(sites,) occupancy of a lesion that fills ``whole`` voxels in this order, its first share core."""
        whole = min(whole, len(order))
        core = max(1, round(whole * core_share))
        reached = np.argpartition(order, whole - 1)[:whole]
        weight = np.full(whole, EDEMA_WEIGHT)
        weight[np.argpartition(order[reached], core - 1)[:core]] = 1.0
        filled = np.bincount(self.site[near[reached]], weights=weight, minlength=len(self.site_voxels))
        return filled / self.site_voxels

    def _distance_mm(self, seed: int, near: np.ndarray, axes: np.ndarray) -> np.ndarray:
        start = self.position_mm[seed]
        target = self.position_mm[near]
        distance = np.linalg.norm((target - start) @ axes, axis=1)
        below = self.is_below[near]
        if self.is_below[seed]:
            beyond = ~below
            gates: Sequence[Sequence[float]] = (_TENTORIAL_NOTCH_MM,)
        else:
            distance[below] = self._detour_mm(start, target[below], axes, (_TENTORIAL_NOTCH_MM,))
            beyond = (self.is_right[near] != self.is_right[seed]) & ~below
            gates = _CALLOSAL_CROSSINGS_MM
        distance[beyond] = self._detour_mm(start, target[beyond], axes, gates)
        return distance

    def _detour_mm(
        self, start: np.ndarray, target: np.ndarray, axes: np.ndarray, gates: Sequence[Sequence[float]]
    ) -> np.ndarray:
        ways = [
            np.linalg.norm((gate - start) @ axes) + np.linalg.norm((target - gate) @ axes, axis=1)
            for gate in np.asarray(gates, dtype=np.float32)
        ]
        return np.min(ways, axis=0)


def _voxels_by_lobe(lobes: Sequence[Lobe], site: np.ndarray) -> dict[Lobe, np.ndarray]:
    return {
        lobe: np.flatnonzero(np.isin(site, [index for index, other in enumerate(lobes) if other is lobe]))
        for lobe in set(lobes)
    }


def _noise_fields(
    shape: tuple[int, ...], inside: tuple[np.ndarray, ...], generator: np.random.Generator
) -> np.ndarray:
    fields = []
    for _ in range(_NOISE_FIELDS):
        smooth = gaussian_filter(generator.normal(size=shape), _NOISE_WIDTH_MM / 2.0, mode="wrap")[inside]
        fields.append((smooth - smooth.mean()) / max(float(smooth.std()), 1e-12))
    return np.stack(fields).astype(np.float32)
