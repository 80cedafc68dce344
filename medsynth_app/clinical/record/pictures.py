"""Pictures of cross-checks as files: a folder per cross-check, each file whole or not there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from medsynth_app.errors import NotFoundError
from medsynth_app.files import whole_file

PICTURE_NAMES = ("mask", "regions", "registration")


class PictureStore:
    """Keeps the PNG files of cross-checks.

    Args:
        folder: made at the first picture.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, identifier: str, pictures: Mapping[str, bytes]) -> None:
        """Keep the pictures of a cross-check.

        Args:
            identifier: of the cross-check.
            pictures: name -> PNG file.
        """
        folder = self._of(identifier)
        for name, content in pictures.items():
            with whole_file(folder / f"{name}.png") as beside:
                beside.write_bytes(content)

    def load(self, identifier: str) -> dict[str, bytes]:
        """Name -> PNG file; empty where none are kept."""
        folder = self._of(identifier)
        return {n: (folder / f"{n}.png").read_bytes() for n in PICTURE_NAMES if (folder / f"{n}.png").is_file()}

    def picture(self, identifier: str, name: str) -> bytes:
        """One PNG file.

        Raises:
            NotFoundError: it is not kept.
        """
        found = self.load(identifier)
        if name not in found:
            raise NotFoundError(
                f"picture: there is no such picture of this cross-check, there are {', '.join(found) or 'none'}",
                code="unknown_picture",
            )
        return found[name]

    def delete(self, identifier: str) -> None:
        """Delete the pictures of a cross-check."""
        shutil.rmtree(self._of(identifier), ignore_errors=True)

    def _of(self, identifier: str) -> Path:
        try:
            # an identifier comes from a URL: only a UUID names a folder
            return self._folder / str(UUID(identifier))
        except ValueError:
            raise NotFoundError(
                "cross_check: there is none with that identifier", code="unknown_cross_check"
            ) from None
