"""Prepared studies kept by what they were made of, so that the next click is quick. Bounded: the oldest go first."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from medsynth_app.files import whole_folder
from medsynth_app.imaging.array_cache import default_cache_folder
from medsynth_app.preparation.prepared import PreparedStudy, load_prepared, store_prepared

LARGEST_BYTES = 4 * 1024**3
FOLDER = "prepared"


def user_cache() -> Path:
    """Where commands and the library keep prepared studies."""
    return default_cache_folder() / FOLDER


class PreparedCache:
    """A folder of prepared studies by key.

    Args:
        root: the folder; made when something is kept. A cache that cannot be written costs time, not the answer.
        largest_bytes: what it may hold.
    """

    def __init__(self, root: Path, largest_bytes: int = LARGEST_BYTES) -> None:
        self.root = root
        self.largest_bytes = largest_bytes

    def get(self, key: str) -> PreparedStudy | None:
        """What was kept under a key, or None."""
        folder = self.root / key
        found = load_prepared(folder)
        if found is not None:
            try:
                os.utime(folder)
            except OSError:
                return found
        return found

    def keep(self, key: str, study: PreparedStudy) -> None:
        """Keep a study, and drop the ones that were not asked for longest where there is too much."""
        try:
            target = self.root / key
            if target.exists():
                shutil.rmtree(target, ignore_errors=True)
            with whole_folder(target) as beside:
                store_prepared(study, beside)
            self._shrink()
        except OSError:
            return

    def _shrink(self) -> None:
        entries = sorted(
            (e for e in self.root.iterdir() if e.is_dir() and not e.name.startswith(".")),
            key=lambda e: e.stat().st_mtime, reverse=True,
        )  # fmt: skip
        total = 0
        for index, entry in enumerate(entries):
            total += sum(file.stat().st_size for file in entry.iterdir())
            if total > self.largest_bytes and index > 0:
                shutil.rmtree(entry, ignore_errors=True)
