"""Files that appear whole or not at all: written beside their place, then renamed."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PART_BYTES = 1 << 20


@contextmanager
def whole_file(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A path to write to; what was written takes the place of ``path`` when the block ends well.

    Args:
        path: the target; its folder is made.
        durable: flush file and folder to the disk first, for what was acknowledged and must survive a power cut.

    Yields:
        A path in the same folder with the same ending, hidden until it is renamed. Removed if the block raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.parent / f".{os.getpid()}-{secrets.token_hex(4)}.{path.name}"
    try:
        yield beside
        if durable:
            _flush(beside)
        os.replace(beside, path)
        if durable:
            _flush(path.parent)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``path`` when the block ends well.

    Raises:
        OSError: ``path`` exists already and is not empty.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.parent / f".{os.getpid()}-{secrets.token_hex(4)}.{path.name}"
    beside.mkdir()
    try:
        yield beside
        os.rename(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def file_digest(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file, read in parts (``hashlib.file_digest`` came with Python 3.11)."""
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while part := file.read(PART_BYTES):
            digest.update(part)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
