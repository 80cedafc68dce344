"""The stored index, read so that a broken entry costs itself only."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from monailabel.datastore.local import ImageLabelModel, LocalDatastoreModel

from medsynth_app.json_values import mended

logger = logging.getLogger(__name__)


def read_index(content: bytes) -> LocalDatastoreModel:
    """The index of a file.

    Values that no answer can hold are replaced (see ``mended``); an entry that is none is left out, and made anew from
    the folder like that of a new case.

    Raises:
        ValueError: the file as a whole is no index.
    """
    try:
        stored = json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(stored, dict) or not isinstance(stored.get("objects", {}), dict):
        raise ValueError("no index")
    objects = {name: _entry(entry) for name, entry in mended(stored.get("objects", {})).items()}
    broken = [name for name, entry in objects.items() if entry is None]
    if broken:
        logger.error("%d entries of the index are broken and made anew from the folder", len(broken))
    kept = {name: entry for name, entry in objects.items() if entry is not None}
    head = {key: mended(value) for key, value in stored.items() if key != "objects"}
    return LocalDatastoreModel.model_validate({**head, "objects": {}}).model_copy(update={"objects": kept})


def _entry(stored: Mapping[str, Any] | None) -> ImageLabelModel | None:
    try:
        return ImageLabelModel.model_validate(stored)
    except ValueError:
        return None
