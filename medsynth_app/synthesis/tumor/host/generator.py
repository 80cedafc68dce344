"""Request and host in, the host's four sequences with a tumour and the label map out."""

from __future__ import annotations

import numpy as np

from medsynth_app.imaging.provenance.same_images import HOST_DIGEST
from medsynth_app.imaging.volume import Volume
from medsynth_app.synthesis.tumor.generator import TumorCase, volumes_ml
from medsynth_app.synthesis.tumor.growth import grow_tumor
from medsynth_app.synthesis.tumor.host.appearance import paint
from medsynth_app.synthesis.tumor.host.head import HostBrain, HostHead
from medsynth_app.synthesis.tumor.host.placement import seed_point_in_host
from medsynth_app.synthesis.tumor.request import TumorCaseRequest


def grow_in_host(request: TumorCaseRequest, head: HostHead) -> TumorCase:
    """Put a tumour into a real head.

    Args:
        request: what to grow; ``seed_point_mm`` is RAS mm in MNI space.
        head: the host.

    Returns:
        The case on the host's own grid: its images, bit by bit the host's farther than 5 mm from the new tumour, and
        the host's label with the new tumour in it. ``volumes_ml`` tells the new tumour alone. The brain is not pushed.

    Raises:
        InvalidValueError: the host cannot be laid on the atlas, or has no room for the tumour at this place.
    """
    brain = HostBrain(head)
    point = seed_point_in_host(request, head, brain)
    unmoved = np.zeros((3, *brain.coarse_shape), dtype=np.float32)
    tumor = grow_tumor(request, brain, point, unmoved, brain.maps(brain.grid.box.shape))
    images = head.as_before(paint(request, head, brain, tumor))
    new = head.as_before(brain.grid.paste(tumor.label)[None])[0]
    conditions = {**request.as_conditions(), HOST_DIGEST: head.digest, "host_label": head.label_origin}
    return TumorCase(
        images=Volume(_as_small(images), head.volume.affine),
        label=np.where(new > 0, new, head.label).astype(np.uint8),
        conditions=conditions,
        seed=request.seed,
        volumes_ml=volumes_ml(tumor.label, brain.grid.spacing_mm),
        seed_point_mm=tumor.seed_point_mm,
    )


def _as_small(images: np.ndarray) -> np.ndarray:
    """int16 where that holds every value exactly, else float32."""
    small = np.clip(images, -32768, 32767).astype(np.int16)
    return small if np.array_equal(small, images) else images
