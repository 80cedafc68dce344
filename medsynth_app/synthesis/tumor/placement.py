"""Where a tumour starts: a point in the white matter of the requested part of the brain."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.atlas import load_atlas
from medsynth_app.imaging.atlas.brain_regions import Side as AtlasSide
from medsynth_app.imaging.atlas.brain_regions import region_named
from medsynth_app.imaging.atlas.template import TEMPLATE_TO_BRATS
from medsynth_app.synthesis.anatomy.icbm_brain import IndividualBrain
from medsynth_app.synthesis.anatomy.random_fields import stream
from medsynth_app.synthesis.tumor.request import LARGEST_VOLUME_ML, Side, TumorCaseRequest, TumorSite

SITE_CENTRE_MNI_MM: dict[TumorSite, tuple[float, float, float]] = {
    TumorSite.FRONTAL: (26.0, 34.0, 20.0),
    TumorSite.PARIETAL: (28.0, -46.0, 40.0),
    TumorSite.TEMPORAL: (46.0, -20.0, -14.0),
    TumorSite.OCCIPITAL: (24.0, -78.0, 10.0),
    TumorSite.INSULAR: (36.0, 4.0, 2.0),
    TumorSite.DEEP_GREY: (20.0, -10.0, 8.0),
    TumorSite.CORPUS_CALLOSUM: (12.0, 22.0, 14.0),
    TumorSite.CEREBELLAR: (24.0, -60.0, -36.0),
    TumorSite.BRAINSTEM: (4.0, -28.0, -34.0),
}
"""Centre of each site on the right; the left is its mirror image."""

SITE_SPREAD_MM: dict[TumorSite, float] = {
    TumorSite.DEEP_GREY: 3.0,
    TumorSite.CORPUS_CALLOSUM: 3.0,
    TumorSite.BRAINSTEM: 2.0,
    TumorSite.INSULAR: 4.0,
    TumorSite.CEREBELLAR: 5.0,
}
DEFAULT_SPREAD_MM = 8.0
SAMPLE_SPACING_MM = 2.0
SNAP_MM = 14.0


def seed_point(request: TumorCaseRequest, brain: IndividualBrain) -> tuple[float, float, float]:
    """RAS mm of the tumour's origin: the requested point, or one the seed draws inside site and side.

    Raises:
        InvalidValueError: the requested point lies outside this person's brain.
    """
    if request.seed_point_mm is not None:
        _check_inside(request.seed_point_mm, brain)
        return request.seed_point_mm
    wanted, side = wanted_mni_mm(request, stream(request.seed, "placement"))
    world = (TEMPLATE_TO_BRATS @ np.array([*wanted, 1.0]))[:3]
    return _nearest_white_matter(world, brain, side)


def wanted_mni_mm(request: TumorCaseRequest, generator: np.random.Generator) -> tuple[np.ndarray, Side]:
    """A point (3,) in MNI RAS mm inside site and side of the request, and the side; what is open is drawn."""
    site = request.site or _random_site(generator, request.volume_ml)
    side = request.side or (Side.LEFT if generator.uniform() < 0.5 else Side.RIGHT)
    if not isinstance(site, TumorSite):
        return _point_of_region(site, side, generator), side
    centre = np.array(SITE_CENTRE_MNI_MM[site])
    if side is Side.LEFT:
        centre[0] = -centre[0]
    spread = SITE_SPREAD_MM.get(site, DEFAULT_SPREAD_MM)
    wanted = centre + generator.uniform(-spread, spread, size=3)
    wanted[0] = np.copysign(max(abs(wanted[0]), 3.0), centre[0])
    return wanted, side


def _point_of_region(code: str, side: Side, generator: np.random.Generator) -> np.ndarray:
    """A point (3,) in MNI RAS mm of an atlas region, one of the half of its voxels that lie deepest in it."""
    atlas = load_atlas()
    place = AtlasSide(side.value) if region_named(code).two_sided else AtlasSide.MIDLINE
    mask = atlas.mask(code, place)
    voxels = np.argwhere(mask)
    depth = distance_transform_edt(mask)[mask]
    deep = voxels[depth >= np.median(depth)]
    chosen = deep[int(generator.integers(len(deep)))]
    return (atlas.affine @ np.array([*chosen, 1.0]))[:3]


def _random_site(generator: np.random.Generator, volume_ml: float) -> TumorSite:
    fitting = [site for site in TumorSite if volume_ml <= LARGEST_VOLUME_ML.get(site, np.inf)]
    return fitting[int(generator.integers(len(fitting)))]


def _sampled_maps(brain: IndividualBrain) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """White matter and brain on a 2 mm grid, and the RAS mm of its voxels (3, x, y, z)."""
    size = brain.grid.box.shape
    extent = np.array([n - 1 for n in size]) * brain.grid.spacing_mm
    shape = tuple(int(n) for n in np.round(extent / SAMPLE_SPACING_MM) + 1)
    white, _, inside = brain.maps(shape)
    lines = [np.linspace(0.0, n - 1.0, m) for n, m in zip(size, shape)]
    index = np.stack(np.meshgrid(*lines, indexing="ij"))
    affine = brain.grid.box_affine
    world = np.stack([affine[a, a] * index[a] + affine[a, 3] for a in range(3)])
    return white, inside, world


def _check_inside(point_mm: tuple[float, float, float], brain: IndividualBrain) -> None:
    _, inside, world = _sampled_maps(brain)
    distance = sum((world[a] - point_mm[a]) ** 2 for a in range(3))
    nearest = np.unravel_index(int(np.argmin(distance)), distance.shape)
    if inside[nearest] <= 0.5 or distance[nearest] > (2.0 * SAMPLE_SPACING_MM) ** 2:
        low = [float(world[a][inside > 0.5].min()) for a in range(3)]
        high = [float(world[a][inside > 0.5].max()) for a in range(3)]
        raise InvalidValueError(
            f"seed_point_mm: {point_mm} lies outside the brain, which spans "
            f"{' x '.join(f'{a:.0f}..{b:.0f}' for a, b in zip(low, high))} mm (R, A, S)"
        )


def _nearest_white_matter(
    world_mm: np.ndarray, brain: IndividualBrain, side: Side
) -> tuple[float, float, float]:
    """The white-matter point of the right side that is closest; the place itself where none is near."""
    white, _, world = _sampled_maps(brain)
    middle = TEMPLATE_TO_BRATS[0, 3]
    on_side = world[0] > middle if side is Side.RIGHT else world[0] < middle
    distance = sum((world[a] - world_mm[a]) ** 2 for a in range(3))
    distance = np.where((white > 0.7) & on_side, distance, np.inf)
    nearest = np.unravel_index(int(np.argmin(distance)), distance.shape)
    if distance[nearest] > SNAP_MM**2:
        return (float(world_mm[0]), float(world_mm[1]), float(world_mm[2]))
    return (float(world[0][nearest]), float(world[1][nearest]), float(world[2][nearest]))
