"""A stored file is sent whole, or said to be gone before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.responses import Response

from medsynth_app.api.open_file import CHUNK_BYTES, OpenFileResponse
from medsynth_app.errors import NotFoundError

CONTENT = b"abc" * CHUNK_BYTES


@pytest.mark.parametrize("change", ["removed", "replaced", "left"])
def test_the_bytes_are_those_of_the_moment_it_was_opened(tmp_path: Path, change: str) -> None:
    path = tmp_path / "x.nii.gz"
    path.write_bytes(CONTENT)
    server = FastAPI()

    @server.get("/", response_model=None)
    def download() -> Response:
        response = OpenFileResponse(path, "case.nii.gz", "application/octet-stream")
        if change != "left":
            path.unlink()
        if change == "replaced":
            path.write_bytes(b"longer than before " * CHUNK_BYTES)
        return response

    answer = TestClient(server).get("/")
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["content-disposition"] == 'attachment; filename="case.nii.gz"'


def test_a_file_that_is_gone_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="removed meanwhile"):
        OpenFileResponse(tmp_path / "x.nii.gz", None, "application/octet-stream")
