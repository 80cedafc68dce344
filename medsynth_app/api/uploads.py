"""What clients send as files, whatever the route: written to a folder of its own, removed whatever happens."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import UploadFile

from medsynth_app.errors import TooLargeError, UnsupportedKindError
from medsynth_app.imaging.formats.expanded_size import LARGEST_EXPANDED_BYTES, check_expanded_size
from medsynth_app.imaging.reading import IMAGE_ENDINGS
from medsynth_app.imaging.studies.studies import PICTURE_ENDINGS

VOLUME_ENDINGS = (".seg.nrrd", ".nii.gz", *IMAGE_ENDINGS)
ACCEPTED_ENDINGS = (*VOLUME_ENDINGS, *PICTURE_ENDINGS, ".safetensors")
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class UploadLimits:
    """How large an upload may be.

    Attributes:
        maximum_upload_mb: as it comes.
        maximum_volume_mb: when it is read.
    """

    maximum_upload_mb: int = 1024
    maximum_volume_mb: int = LARGEST_EXPANDED_BYTES >> 20


@contextmanager
def received(
    upload: UploadFile, limits: UploadLimits, field: str = "file", endings: tuple[str, ...] = ACCEPTED_ENDINGS
) -> Iterator[Path]:
    """The upload as a temporary file; only the ending of the client's name is used.

    Args:
        upload: what came.
        limits: how large it may be, as it is and when it is read.
        field: how errors call it.
        endings: which are taken; a longer one before the one that it ends with.

    Raises:
        UnsupportedKindError: unknown ending (415).
        TooLargeError: too many bytes (413).
    """
    ending = accepted_ending(upload.filename or "upload.nii.gz", field, endings)
    folder = Path(tempfile.mkdtemp(prefix="medsynth-"))
    try:
        path = folder / f"upload{ending}"
        _write(upload, path, limits.maximum_upload_mb, field)
        check_expanded_size(path, field, limits.maximum_volume_mb << 20)
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def accepted_ending(file_name: str, field: str, endings: tuple[str, ...] = ACCEPTED_ENDINGS) -> str:
    """The known ending of a file name.

    Raises:
        UnsupportedKindError: there is none.
    """
    lower = file_name.lower()
    for ending in endings:
        if lower.endswith(ending):
            return ending
    raise UnsupportedKindError(
        f"{field}: {file_name[-40:]!r} is of an unknown kind, allowed are {', '.join(endings)}"
    )


def _write(upload: UploadFile, path: Path, maximum_mb: int, field: str) -> None:
    limit = maximum_mb * CHUNK_BYTES
    written = 0
    with open(path, "wb") as target:
        while chunk := upload.file.read(CHUNK_BYTES):
            written += len(chunk)
            if written > limit:
                raise TooLargeError(f"{field}: larger than the allowed {maximum_mb} MB")
            target.write(chunk)
