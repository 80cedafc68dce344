"""One server a folder: a second process would answer from an index of its own and lose the first one's changes."""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from lib.datastore import OWN_FOLDER
from medsynth_app.errors import BusyError

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 3.0
"""A server that is being restarted may need a moment to go."""
_LEFT_BEHIND = re.compile(r"\.(?:\d+-[0-9a-f]{8}|[0-9a-f]{32})\..+")
"""Names that files have before they are whole (see ``medsynth_app.files``): a killed server leaves them."""
_DEEP_FOLDERS = ("versions", "labels", "display")
"""Folders of our own with folders in them; the copies of DICOM series are left out, they are many."""


def hold_folder(root: Path) -> FileLock:
    """Claim a folder for this process, for as long as the answer is kept; the system frees it, however it ends.

    Args:
        root: studies folder, or the cache of a DICOMweb server's studies.

    Raises:
        BusyError: another server has it; the message tells its process number.
    """
    own = root / OWN_FOLDER
    own.mkdir(parents=True, exist_ok=True)
    note = own / "server.pid"
    lock = FileLock(own / "server.lock", timeout=PATIENCE_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        holder = note.read_text(encoding="utf-8")[:20].strip() if note.is_file() else "unknown"
        raise BusyError(
            f"studies: another server (process {holder}) works on {root.name!r}; stop it, or use another folder"
        ) from None
    note.write_text(f"{os.getpid()}\n", encoding="utf-8")
    _sweep(root)
    return lock


def _sweep(root: Path) -> None:
    """Remove half-written files and cases of a server that was killed; nobody was told that they are there."""
    own = root / OWN_FOLDER
    shallow = [root, own, *(f for f in (root / "labels").glob("*") if f.is_dir())]
    found = [path for folder in shallow for path in folder.glob(".*")]
    found += [path for name in _DEEP_FOLDERS for path in (own / name).rglob(".*")]
    for path in found:
        if _LEFT_BEHIND.fullmatch(path.name):
            logger.warning("something half-written by an earlier run is removed")
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
