"""Every error leaves the server as ``{"detail": "...", "code": "..."}``, without a path of the server in it."""

from __future__ import annotations

import errno
import logging
import re
import reprlib
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from medsynth_app.errors import MedSynthError, OverloadedError, StaleError, StorageFullError

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5
STORAGE_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PATH = re.compile(r"(?<![\w.])/(?:[\w.@+-]+/)+[\w.@+-]*")


def add_error_handlers(server: FastAPI) -> None:
    """Register the handlers below on an application."""
    server.add_exception_handler(MedSynthError, answer_deliberate)
    server.add_exception_handler(RequestValidationError, answer_validation)
    server.add_exception_handler(HTTPException, answer_http)
    server.add_exception_handler(OSError, answer_os_error)
    server.add_exception_handler(Exception, answer_unexpected)


def error_response(status: int, detail: str, code: str, retry_after: int | None = None) -> JSONResponse:
    """The contract's error body; where it pays to come again, the answer says after how many seconds."""
    seconds = retry_after or (RETRY_AFTER_SECONDS if status in (429, 503) else None)
    headers = {"Retry-After": str(seconds)} if seconds else None
    return JSONResponse({"detail": without_paths(detail), "code": code}, status, headers)


def without_paths(text: str) -> str:
    """The text with every absolute file path replaced by its last part."""
    return _PATH.sub(lambda match: match.group().rstrip("/").rsplit("/", 1)[-1], text)


def answer_deliberate(request: Request, error: Exception) -> JSONResponse:
    """Errors that MedSynth raises on purpose carry status, message and code."""
    assert isinstance(error, MedSynthError)  # noqa: S101 - registered for this class only
    if isinstance(error, OverloadedError):
        logger.warning("overloaded: %s", error.code)
    return error_response(error.status, error.message, error.code, error.retry_after)


def answer_validation(request: Request, error: Exception) -> JSONResponse:
    """Wrong query, form or body values: the first few are named."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    parts = []
    malformed = False
    for entry in error.errors()[:5]:
        place = ".".join(str(part) for part in entry["loc"][1:]) or str(entry["loc"][0])
        malformed |= entry["type"] == "json_invalid"
        parts.append(f"{place}: {entry['msg']}, got {_shown(entry.get('input'))!r}")
    return error_response(
        400 if malformed else 422, "; ".join(parts), "malformed" if malformed else "invalid_value"
    )


def _shown(value: object) -> str:
    """The beginning of a value, however large it is."""
    return (value if isinstance(value, str) else reprlib.repr(value))[:60]


def answer_os_error(request: Request, error: Exception) -> JSONResponse:
    """The disk is full, or a file went away while it was needed; every other one is a defect."""
    assert isinstance(error, OSError)  # noqa: S101
    if error.errno in STORAGE_FULL:
        logger.error("the disk takes no more", exc_info=error)
        return answer_deliberate(request, StorageFullError("storage: the server's disk is full; nothing was kept"))
    if isinstance(error, FileNotFoundError):
        logger.error("a file is gone", exc_info=error)
        return answer_deliberate(
            request, StaleError("a file that this needs was removed meanwhile; ask for the list again", code="gone")
        )
    return answer_unexpected(request, error)


def answer_http(request: Request, error: Exception) -> JSONResponse:
    """HTTP errors of MONAI Label's and Starlette's own code."""
    assert isinstance(error, HTTPException)  # noqa: S101
    if isinstance(error.__cause__, OSError) and error.__cause__.errno in STORAGE_FULL:
        return answer_os_error(request, error.__cause__)  # while the body was being received
    if isinstance(error.__cause__, MedSynthError):
        return answer_deliberate(request, error.__cause__)  # FastAPI wraps what the body's parser raised
    try:
        code = HTTPStatus(error.status_code).name.lower()
    except ValueError:
        code = "error"
    response = error_response(error.status_code, str(error.detail), code)
    response.headers.update(error.headers or {})
    return response


def answer_unexpected(request: Request, error: Exception) -> JSONResponse:
    """A defect: the log has the traceback, the client an identifier-free sentence."""
    # no path here: names of cases are part of it, the line of the request has the route
    logger.error("unexpected %s", type(error).__name__, exc_info=error)
    return error_response(500, "the server failed unexpectedly; its log has the reason", "internal_error")
