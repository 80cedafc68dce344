"""One small SQLite file beside the studies: it survives a kill, and several processes may write to it."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

SECONDS_TO_WAIT = 30.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (
    case_checksum TEXT, weights_hash TEXT, features BLOB NOT NULL, uncertainty TEXT NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (case_checksum, weights_hash)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checksums (
    case_name TEXT PRIMARY KEY, signature TEXT NOT NULL, checksum TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases (
    examination TEXT PRIMARY KEY, case_name TEXT NOT NULL, annotator TEXT NOT NULL, since REAL NOT NULL,
    until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS submissions (
    case_name TEXT, version INTEGER, seconds REAL NOT NULL, author TEXT NOT NULL, minutes REAL, agreement TEXT,
    scored INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (case_name, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trainings (
    id INTEGER PRIMARY KEY AUTOINCREMENT, began REAL NOT NULL, ended REAL NOT NULL, labelled INTEGER NOT NULL,
    record TEXT NOT NULL);
"""


class Storage:
    """The tables of active learning. Opened for each use: no connection is shared between threads.

    Args:
        path: the file; made when it is first written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with."""
        with closing(self._open()) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection in one transaction: all of the block is stored, or nothing if it raises."""
        with closing(self._open()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # busy, or no disk: the file itself is sound
            logger.error("%s is broken; it is put aside and begun anew", self.path.name)
            os.replace(self.path, self.path.with_suffix(f".broken-{int(time.time())}"))
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=SECONDS_TO_WAIT, isolation_level=None)
        try:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'trainings'").fetchone():
                connection.executescript(SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection
