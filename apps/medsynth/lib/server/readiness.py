"""What the server needs to work: asked by load balancers through ``/medsynth/api/health/ready``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medsynth_app.errors import MedSynthError

if TYPE_CHECKING:
    from main import MedSynthApp

LEAST_FREE_BYTES = 256 << 20


def readiness(app: MedSynthApp) -> Mapping[str, bool]:
    """Names of what is needed, and whether it is there; no path of the server."""
    folders = [Path(app.settings.model_folder)]
    if not app.studies.startswith(("http://", "https://")):
        folders.append(Path(app.studies))
    return {
        "database": _database_answers(app),
        "folders_writable": all(os.access(_existing(folder), os.W_OK) for folder in folders),
        "disk_space": all(shutil.disk_usage(_existing(f)).free >= LEAST_FREE_BYTES for f in folders),
        "models": all(task.is_valid() for task in app.infers().values()),
    }


def _existing(folder: Path) -> Path:
    """The folder, or what it will be made in."""
    return folder if folder.exists() else _existing(folder.parent)


def _database_answers(app: MedSynthApp) -> bool:
    try:
        app.clinic.clinic().repository.knowledge_version()
    except MedSynthError:
        return False
    return True
