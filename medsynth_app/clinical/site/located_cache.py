"""Masks that were laid on the atlas already, by content: the same image and mask are registered once.

The key is a hash of image, mask, both grids and everything that decides the result; a name or a time never counts, so
a changed mask is never served with the place of the old one. Only registrations that passed every gate are kept.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

import numpy as np

from medsynth_app.imaging.volume import Volume

Value = TypeVar("Value")
MOST_KEPT = 4
"""Entries kept in memory; one of a BraTS case holds about 60 MB."""


def content_key(volume: Volume, labels: np.ndarray, *settings: object) -> str:
    """Hash of an image (1, X, Y, Z), its mask (X, Y, Z), their grid and the settings that decide a result."""
    digest = hashlib.blake2b(digest_size=20)
    for array in (volume.array, volume.affine, labels):
        whole = np.ascontiguousarray(array)
        digest.update(f"{whole.dtype}{whole.shape}".encode())
        digest.update(whole.data if whole.size else b"")
    digest.update(repr(settings).encode())
    return digest.hexdigest()


class ContentCache(Generic[Value]):
    """The last few results by key; safe between threads.

    Args:
        most: entries kept, the longest unused one leaves first.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[str, Value] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> Value | None:
        """What was kept under a key, None where nothing is."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()

    def keep(self, key: str, value: Value) -> None:
        """Keep a result."""
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
