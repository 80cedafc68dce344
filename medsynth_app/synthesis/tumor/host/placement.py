"""Where in a host the tumour starts: a site, an atlas region or a point in MNI space, found by registration."""

from __future__ import annotations

import numpy as np

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.registration import register_to_atlas
from medsynth_app.imaging.volume import Volume
from medsynth_app.synthesis.anatomy.random_fields import stream
from medsynth_app.synthesis.tumor.host.head import MODALITIES, HostBrain, HostHead
from medsynth_app.synthesis.tumor.placement import wanted_mni_mm
from medsynth_app.synthesis.tumor.request import TumorCaseRequest
from medsynth_app.vocabulary import Modality

FARTHEST_MM = 20.0
"""A place that has no free tissue within this is refused."""
LEAST_TISSUE = 0.6


def seed_point_in_host(request: TumorCaseRequest, head: HostHead, brain: HostBrain) -> tuple[float, float, float]:
    """RAS mm, in the host's world, of the tumour's origin.

    Args:
        request: ``seed_point_mm`` is in MNI space; else ``site`` and ``side``, else the seed chooses.
        head, brain: the host.

    Raises:
        InvalidValueError: the host cannot be laid on the atlas, or the place has no free tissue near.
    """
    t1 = MODALITIES.index(Modality.T1.value)
    registration = register_to_atlas(
        Volume(head.volume.array[t1 : t1 + 1], head.volume.affine), head.label if head.label.any() else None
    )
    if not registration.assessable:
        raise InvalidValueError(f"host: {head.name} cannot be laid on the atlas: {registration.reasons[0]}")
    wanted = request.seed_point_mm or wanted_mni_mm(request, stream(request.seed, "placement"))[0]
    world = np.linalg.inv(registration.matrix) @ np.array([*wanted, 1.0])
    return _nearest_tissue(world[:3], brain)


def _nearest_tissue(world_mm: np.ndarray, brain: HostBrain) -> tuple[float, float, float]:
    """The free voxel of brain tissue that is closest, RAS mm."""
    affine = brain.grid.box_affine
    voxels = np.argwhere(brain.shares[0] + brain.shares[1] > LEAST_TISSUE)
    if not len(voxels):
        raise InvalidValueError("host: holds no brain tissue that a tumour could grow in")
    places = voxels @ affine[:3, :3].T + affine[:3, 3]
    distance = np.square(places - world_mm).sum(axis=1)
    nearest = int(distance.argmin())
    if distance[nearest] > FARTHEST_MM**2:
        raise InvalidValueError(
            f"host: the place lies {np.sqrt(distance[nearest]):.0f} mm from free brain tissue of the host, at most "
            f"{FARTHEST_MM:g} mm are allowed; choose another site, side or seed_point_mm"
        )
    return tuple(float(value) for value in places[nearest])  # type: ignore[return-value]
