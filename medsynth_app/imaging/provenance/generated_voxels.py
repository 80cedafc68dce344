"""A table of everything that was generated on this machine, by its voxels: it knows an image without any header."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.imaging.provenance.voxel_digest import voxel_digest

logger = logging.getLogger(__name__)

FILE_VARIABLE = "MEDSYNTH_GENERATED"
"""Names another file for the table."""
SECONDS_TO_WAIT = 10.0
_SCHEMA = """CREATE TABLE IF NOT EXISTS generated (
    digest TEXT PRIMARY KEY, generator TEXT NOT NULL, version TEXT NOT NULL, seed TEXT NOT NULL, seconds REAL NOT NULL
) WITHOUT ROWID"""


class GeneratedVoxels:
    """The table. Opened for each use; several processes may.

    Args:
        path: SQLite file; made with the first image.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def remember(self, images: Iterable[np.ndarray], mark: SyntheticMark) -> None:
        """Note images that were generated. A table that cannot be written costs the note: the header has its mark.

        Args:
            images: (X, Y, Z) each, (H, W), or (H, W, 3) uint8.
            mark: where they come from.
        """
        found = sorted({digest for digest in map(voxel_digest, images) if digest})
        rows = [(digest, mark.generator, mark.version, str(mark.seed), time.time()) for digest in found]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as connection, connection:
                connection.execute(_SCHEMA)
                connection.executemany("INSERT OR IGNORE INTO generated VALUES (?, ?, ?, ?, ?)", rows)
        except (OSError, sqlite3.Error) as error:
            logger.warning("what was generated is not noted by its voxels: %s", type(error).__name__)

    def find(self, digests: Iterable[str]) -> SyntheticMark | None:
        """Where the first known one of some images comes from; None where none is known."""
        if not self.path.is_file():
            return None
        question = "SELECT generator, version, seed FROM generated WHERE digest = ?"
        try:
            with self._open() as connection:
                for digest in digests:
                    row = connection.execute(question, (digest,)).fetchone()
                    if row is not None:
                        return SyntheticMark(str(row[0]), str(row[1]), int(row[2]))
        except (OSError, sqlite3.Error, ValueError) as error:
            logger.error("the table of what was generated cannot be read: %s", type(error).__name__)
        return None

    def is_empty(self) -> bool:
        """Whether nothing was ever noted: then no image needs to be read for it."""
        return not self.path.is_file()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=SECONDS_TO_WAIT)) as connection:
            yield connection


def generated_here() -> GeneratedVoxels:
    """This user's table: ``$MEDSYNTH_GENERATED``, else ``generated.db`` in ``$XDG_DATA_HOME/medsynth``
    (``~/.local/share/medsynth``); apart from the caches, which may be emptied."""
    named = os.environ.get(FILE_VARIABLE)
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return GeneratedVoxels(Path(named) if named else data / "medsynth" / "generated.db")
