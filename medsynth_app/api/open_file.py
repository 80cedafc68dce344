"""A stored file as an answer, opened when the answer is made: deleting or replacing it meanwhile changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from starlette.responses import StreamingResponse

from medsynth_app.errors import NotFoundError

CHUNK_BYTES = 1 << 20


class OpenFileResponse(StreamingResponse):
    """Starlette's ``FileResponse`` looks for its path a second time when it is sent and fails if it is gone.

    Args:
        path: the file.
        name: of the file where the client stores it; None lets a browser show it in place.
        media_type: its kind.
        headers: further ones.

    Raises:
        NotFoundError: there is no such file any more.
    """

    def __init__(
        self, path: Path, name: str | None, media_type: str, headers: dict[str, str] | None = None
    ) -> None:
        try:
            file = open(path, "rb")  # noqa: SIM115 - closed by _chunks
        except FileNotFoundError as error:
            raise NotFoundError("the file was removed meanwhile") from error
        super().__init__(_chunks(file), media_type=media_type, headers=headers)
        self.headers["content-length"] = str(os.fstat(file.fileno()).st_size)
        if name is not None:
            self.headers["content-disposition"] = f'attachment; filename="{name}"'


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
