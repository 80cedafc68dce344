"""What the routes need and do not make themselves. The application that mounts them puts its own in place:

    server.dependency_overrides[get_clinic] = lambda: clinic
    server.dependency_overrides[get_studies] = lambda: studies
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from medsynth_app.api.uploads import VOLUME_ENDINGS, UploadLimits, received
from medsynth_app.audit import AuditTrail
from medsynth_app.clinical.clinic import Clinic
from medsynth_app.errors import (
    ForbiddenError,
    MalformedRequestError,
    OverloadedError,
    TooLargeError,
    UnsupportedKindError,
)
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.json_values import parse_json
from medsynth_app.request_context import NOBODY, acting_user

LARGEST_JSON_BYTES = 1 << 20


class Studies(Protocol):
    """Cases and their labels: the part of a datastore that the cross-check needs."""

    def case(self, name: str) -> CaseFiles:
        """The files of a case; NotFoundError where there is none."""
        ...

    def label_tags(self, name: str) -> tuple[str, ...]:
        """Tags of the labels that a case has."""
        ...

    def label_file(self, name: str, tag: str) -> Path:
        """A label; NotFoundError where there is none of that tag."""
        ...

    def save_label(self, name: str, labels: np.ndarray, affine: np.ndarray, tag: str, info: dict[str, Any]) -> None:
        """Keep a label map (X, Y, Z) under a tag of its own."""
        ...


def get_left_out() -> Mapping[str, str]:
    """What lies in the studies folder and is not used: its name below the folder -> why. Nothing without a server."""
    return {}


def get_clinic() -> Clinic:
    """The clinic that the application runs.

    Raises:
        OverloadedError: it runs none.
    """
    raise OverloadedError("the clinic is not set up on this server", code="clinic_unavailable")


def get_studies() -> Studies | None:
    """The application's cases; None where it has none."""
    return None


def get_upload_limits() -> UploadLimits:
    """How large uploads may be; the application's own limits where it has any."""
    return UploadLimits()


def get_readiness() -> Mapping[str, bool]:
    """What the application needs to work, and whether it has it; nothing where nobody says."""
    return {}


def get_audit() -> AuditTrail | None:
    """Where the application notes changes; None where it does not."""
    return None


def acting_as(named: str) -> str:
    """The user a request acts for: the one who logged in, where there is a login.

    Args:
        named: the name that the request itself holds.

    Raises:
        ForbiddenError: it names somebody else.
    """
    user = acting_user.get()
    if user == NOBODY:
        return named
    if named not in ("", user):
        raise ForbiddenError(f"user: {named[:60]!r} is not who is logged in; allowed: {user!r} or nothing")
    return user


@dataclass(frozen=True)
class Received:
    """A request's body, read but not checked.

    Attributes:
        values: JSON values, or those of the form field ``params``.
        files: uploads by field name.
    """

    values: Any
    files: dict[str, UploadFile] = field(default_factory=dict)


async def receive_body(request: Request) -> Received:
    """JSON, FHIR JSON or a multipart form with ``params`` and files; waiting for bytes is all that happens here.

    Raises:
        MalformedRequestError: not JSON.
        UnsupportedKindError: another kind of body.
        TooLargeError: more JSON than any form needs.
    """
    kind = request.headers.get("content-type", "application/json").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _receive_form(request)
    if kind and not kind.endswith("json"):
        raise UnsupportedKindError(
            f"content-type: {kind[:60]!r} received; allowed: application/json, application/fhir+json, "
            "multipart/form-data"
        )
    content = await request.body()
    if len(content) > LARGEST_JSON_BYTES:
        raise TooLargeError(f"body: {len(content)} bytes; allowed: up to {LARGEST_JSON_BYTES}")
    return Received(await run_in_threadpool(_json, content, "body"))


Body = Annotated[Received, Depends(receive_body)]


async def _receive_form(request: Request) -> Received:
    try:
        form = await request.form(max_files=4, max_fields=10)
    except HTTPException:
        raise MalformedRequestError("body: the multipart form cannot be read") from None
    params = form.get("params", "{}")
    if not isinstance(params, str):
        raise MalformedRequestError("params: must be a text field with a JSON object, not a file")
    files = {name: part for name, part in form.items() if isinstance(part, UploadFile)}
    return Received(await run_in_threadpool(_json, params.encode(), "params"), files)


def receive_files(body: Body, limits: Annotated[UploadLimits, Depends(get_upload_limits)]) -> Iterator[dict[str, Path]]:
    """The files of a request as temporary files, before anything else is looked at; removed after the answer.

    Raises:
        UnsupportedKindError, TooLargeError: as ``received``.
    """
    with ExitStack() as uploads:
        yield {
            name: uploads.enter_context(received(upload, limits, name[:40], VOLUME_ENDINGS))
            for name, upload in body.files.items()
        }


def _json(content: bytes, name: str) -> Any:  # noqa: ANN401 - untrusted
    return parse_json(content or b"{}", name, constants=False)


ClinicHere = Annotated[Clinic, Depends(get_clinic)]
StudiesHere = Annotated[Studies | None, Depends(get_studies)]
Files = Annotated[Mapping[str, Path], Depends(receive_files)]
