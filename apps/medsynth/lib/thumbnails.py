"""The datastore's cases in small, made once and kept beside the studies."""

from __future__ import annotations

import threading
from pathlib import Path

from lib.datastore import OWN_FOLDER, CaseDatastore
from medsynth_app.imaging.thumbnails import thumbnail_file


class CaseThumbnails:
    """Thumbnails of a datastore.

    Args:
        datastore: where the cases are.
    """

    def __init__(self, datastore: CaseDatastore) -> None:
        self._datastore = datastore
        self._one_at_a_time = threading.Lock()  # a long list must not fill the memory with volumes

    def picture(self, case: str) -> Path:
        """A PNG of the case's display sequence; raises as ``CaseDatastore.case``."""
        source = self._datastore.display_file(case)
        with self._one_at_a_time:
            return thumbnail_file(source, self._datastore.root / OWN_FOLDER / "thumbnails" / f"{case}.png")
