"""The real case that takes a tumour: from what the caller names to its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medsynth_app.errors import InvalidValueError, MedSynthError
from medsynth_app.imaging.volume import Volume
from medsynth_app.preparation.finding import find_studies
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS, CurrentNetwork
from medsynth_app.segmentation.inference import segment
from medsynth_app.synthesis.generator import Host

HOST = "host"


def with_host(conditions: Mapping[str, Any]) -> tuple[dict[str, Any], Host | None]:
    """The conditions with the host's name where they told its folder, and the host; None where they name none.

    Raises:
        NotFoundError: nothing is there.
        InvalidValueError: not one prepared case.
    """
    told = conditions.get(HOST)
    if told in (None, ""):
        return dict(conditions), None
    try:
        found = find_studies(Path(str(told)))
    except MedSynthError as error:
        raise type(error)(f"host: {error.message}", code=error.code) from error
    if len(found.studies) != 1 or found.studies[0].case is None:
        raise InvalidValueError(
            f"host: {Path(str(told)).name!r} must be the folder of one case, four sequences on one grid and the brain "
            "alone, as medsynth prepare makes it"
        )
    files = found.studies[0].case
    return {**conditions, HOST: files.name}, Host(files, tumor_finder(CurrentNetwork([SHIPPED_WEIGHTS])))


def tumor_finder(current: CurrentNetwork) -> Callable[[Volume], np.ndarray]:
    """What labels a host that nobody has labelled: the network that is served."""

    def find_tumor(volume: Volume) -> np.ndarray:
        network, configuration, _ = current.get()
        return segment(volume, network, modalities=configuration.modalities).labels

    return find_tumor
