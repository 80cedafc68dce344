"""The errors MedSynth raises on purpose: each carries a message for the caller and an HTTP status.

A message names the field, the value received and what is allowed. It never holds a path of the server.
"""

from __future__ import annotations


class MedSynthError(Exception):
    """Base of all deliberate errors.

    Attributes:
        message: what was wrong, the value, what is allowed.
        code: stable machine-readable word.
        status: HTTP status that the server answers.
        retry_after: seconds after which it pays to try again, where that is known.
    """

    status = 500
    code = "internal_error"
    retry_after: int | None = None

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class MalformedRequestError(MedSynthError):
    """The request cannot be read at all (400)."""

    status = 400
    code = "malformed"


class ForbiddenError(MedSynthError):
    """The caller is known and may not do this (403)."""

    status = 403
    code = "forbidden"


class NotFoundError(MedSynthError):
    """A model, case, label or strategy of that name does not exist (404)."""

    status = 404
    code = "not_found"


class StaleError(MedSynthError):
    """The thing changed since the caller looked at it (409)."""

    status = 409
    code = "stale"


class TooLargeError(MedSynthError):
    """An upload is larger than the server accepts (413)."""

    status = 413
    code = "too_large"


class UnsupportedKindError(MedSynthError):
    """The file is not of a kind this task takes (415)."""

    status = 415
    code = "unsupported_kind"


class InvalidValueError(MedSynthError):
    """A value is understood but not allowed (422)."""

    status = 422
    code = "invalid_value"


class TrainingDivergedError(InvalidValueError):
    """A training went where no gradient is finite; its last checkpoint stays (422)."""

    code = "training_diverged"


class BusyError(MedSynthError):
    """The server works on something that excludes this (429)."""

    status = 429
    code = "busy"


class OverloadedError(MedSynthError):
    """Too much is waiting already (503)."""

    status = 503
    code = "overloaded"


class StorageFullError(MedSynthError):
    """The server's disk takes no more; nothing of the request was kept (507)."""

    status = 507
    code = "storage_full"
