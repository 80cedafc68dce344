"""Arrays that took time to build, kept in a file for the next run. A cache that fails costs time, not the answer."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medsynth_app.files import whole_file


def default_cache_folder() -> Path:
    """``$XDG_CACHE_HOME/medsynth`` or ``~/.cache/medsynth``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "medsynth"


def read_arrays(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray] | None:
    """The arrays kept in a file, or None if there is none or it cannot be used.

    Args:
        path: ``.npz``.
        shapes: name -> shape of what is wanted; anything else in the file is of another recipe.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in shapes}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    return arrays if all(arrays[name].shape == shape for name, shape in shapes.items()) else None


def keep_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays as one whole file, if the folder can be written at all.

    Args:
        path: ``.npz``.
        arrays: name -> array.
    """
    try:
        with whole_file(path) as beside:
            np.savez_compressed(beside, **arrays)  # type: ignore[arg-type]
    except OSError:
        return
