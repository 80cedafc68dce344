"""``POST /medsynth/api/cases``: what a user opens on the page, as a new case."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fastapi import APIRouter, File, Form, UploadFile

from lib.datastore import CaseDatastore
from lib.opened_cases import Opened, open_dicom, open_files
from lib.settings import Settings
from medsynth_app.api.uploads import VOLUME_ENDINGS, received
from medsynth_app.errors import MalformedRequestError
from medsynth_app.imaging.studies.file_roles import file_role, image_stem

ARCHIVE_ENDINGS = (".tar",)
FIELDS = ("flair", "t1", "t1ce", "t2", "label")


def build_router(datastore: CaseDatastore, settings: Settings) -> APIRouter:
    """The route, bound to a datastore and its limits."""
    router = APIRouter(prefix="/medsynth/api/cases", tags=["Page"])

    @router.post("", summary="Open a case: a file for each sequence, or a DICOM folder as a plain tar file")
    def open_case(
        name: str = Form(""),
        allow_flagged: bool = Form(False),
        flair: UploadFile | None = File(None),
        t1: UploadFile | None = File(None),
        t1ce: UploadFile | None = File(None),
        t2: UploadFile | None = File(None),
        label: UploadFile | None = File(None),
        dicom: UploadFile | None = File(None),
    ) -> dict[str, Any]:
        given = {key: each for key, each in zip(FIELDS, (flair, t1, t1ce, t2, label)) if each is not None}
        limits = settings.upload_limits
        with ExitStack() as uploads:
            paths = {
                key: uploads.enter_context(received(each, limits, key, VOLUME_ENDINGS)) for key, each in given.items()
            }
            if dicom is not None:
                archive = uploads.enter_context(received(dicom, limits, "dicom", ARCHIVE_ENDINGS))
                _check_alone(given)
                chosen = name or image_stem(Path(dicom.filename or "study").name)
                return _shown(open_dicom(datastore, chosen, archive, limits.maximum_volume_mb << 20))
            mask = paths.pop("label", None)
            if not paths:
                raise MalformedRequestError("files: none; expected one of flair, t1, t1ce, t2, or dicom alone")
            first = given[next(iter(paths))].filename or "case"
            chosen = name or file_role(Path(first).name).stem or image_stem(Path(first).name)
            return _shown(open_files(datastore, chosen, paths, mask, allow_flagged=allow_flagged))

    return router


def _check_alone(given: dict[str, UploadFile]) -> None:
    if given:
        raise MalformedRequestError(f"files: dicom comes alone, not with {', '.join(given)}")


def _shown(opened: Opened) -> dict[str, Any]:
    return {"cases": opened.cases, "left_out": opened.left_out}
