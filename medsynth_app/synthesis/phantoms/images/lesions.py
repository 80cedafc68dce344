"""Where a lesion lies and how a picture with it is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.phantoms.images.fields import Place
from medsynth_app.synthesis.phantoms.images.request import MODALITIES, ImageRequest

TRIES = 400


@dataclass(frozen=True)
class Painting:
    """A painted picture.

    Attributes:
        picture: (H, W) grey or (H, W, 3) colour, 0..1.
        lesion: (H, W) share of diseased tissue 0..1; None where all is healthy.
    """

    picture: np.ndarray
    lesion: np.ndarray | None


def place_lesion(request: ImageRequest, generator: np.random.Generator, host: np.ndarray) -> Place:
    """Middle of the lesion: as asked, else by chance and away from the host's border, the same at any severity.

    Args:
        request: with a focal pathology.
        generator: source of chance.
        host: (H, W) bool, where it may lie.

    Raises:
        InvalidValueError: the place asked for is outside of the host.
    """
    size = host.shape[0]
    if request.position is not None:
        column, row = (min(int(share * size), size - 1) for share in request.position)
        if not host[row, column]:
            organ = MODALITIES[request.modality].pathologies[request.pathology].host
            x, y = request.position
            raise InvalidValueError(f"lesion_position: {x:g}, {y:g} lies outside of the {organ} of this picture")
        return request.position
    depth = distance_transform_edt(np.pad(host, 1))[1:-1, 1:-1] / size
    tries = generator.random((TRIES, 2))
    depths = depth[(tries[:, 1] * size).astype(int), (tries[:, 0] * size).astype(int)]
    # The depth that the severest lesion wants: a course of severities stays in one place.
    largest = max(request.lesion_size, MODALITIES[request.modality].pathologies[request.pathology].sizes[1])
    deep = np.flatnonzero(depths >= min(0.55 * largest, 0.6 * float(depth.max())))
    x, y = tries[deep[0] if deep.size else int(depths.argmax())]
    return float(x), float(y)
