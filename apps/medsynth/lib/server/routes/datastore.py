"""``/datastore``: cases and labels up and down, with checked names, kinds, grids and values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, File, Form, Query, UploadFile
from fastapi.responses import FileResponse
from monailabel.endpoints.datastore import ResultType
from starlette.background import BackgroundTask
from starlette.responses import Response

from lib.datastore import FINAL, KEY_VERSION, KEY_WARNINGS, CaseDatastore, check_tag
from lib.inference import parse_params
from lib.memorisation_gate import ALLOW_KEY, check_override, is_flagged, note_override
from lib.server.dataset_archive import write_archive
from lib.server.routes.activelearning import annotator_of
from lib.settings import Settings
from medsynth_app.api.open_file import OpenFileResponse
from medsynth_app.api.uploads import received
from medsynth_app.errors import InvalidValueError, NotFoundError
from medsynth_app.files import file_digest
from medsynth_app.imaging.studies.cases import image_stem

SERVER_INFO_KEYS = (
    "synthetic", "strategy", "origin", "path", "name", "ts", "notice", "labels", "author", "version", "warnings",
    "review",
)  # fmt: skip
"""What only the server writes into what is stored about a case or label."""

LARGEST_INFO = 1 << 16
"""Characters of JSON that are kept beside a case or label; the index holds all of them in memory."""


def build_router(
    datastore: CaseDatastore, settings: Settings, on_save_label: Callable[[str, str], object]
) -> APIRouter:
    """The routes, bound to a datastore.

    Args:
        datastore: where cases and labels are.
        settings: limits.
        on_save_label: called with image and label id when a client has submitted a final label.
    """
    router = APIRouter(prefix="/datastore", tags=["Datastore"])

    @router.get("/", summary="Counts, the whole index, or the labelled cases with paths below the studies folder")
    def index(output: ResultType | None = None) -> Any:
        if output is ResultType.all:
            return datastore.json()
        return datastore.datalist(full_path=False) if output is ResultType.train else datastore.status()

    @router.get("/dataset", summary="Download the labelled cases as a ZIP archive")
    def dataset(limit_cases: int | None = Query(None, ge=1)) -> FileResponse:
        path = write_archive(datastore, limit_cases)
        return FileResponse(
            path, media_type="application/zip", filename="dataset.zip",
            background=BackgroundTask(path.unlink, missing_ok=True),
        )  # fmt: skip

    @router.put("/", include_in_schema=False)
    @router.put("/image", summary="Upload a volume as a new case")
    def add_image(
        image: str | None = None, params: str = Form("{}"), file: UploadFile = File(...)
    ) -> dict[str, str]:
        info = _client_info(params)
        name = image or image_stem(Path(file.filename or "upload").name)
        with received(file, settings.upload_limits) as path:
            return {"image": _add(datastore, name, path, info)}

    @router.delete("/", include_in_schema=False)
    @router.delete("/image", summary="Remove a case and its labels")
    def remove_image(id: str) -> dict[str, str]:
        datastore.remove_image(id)
        return {}

    @router.get("/image", summary="Download one sequence of a case, FLAIR unless modality says otherwise")
    def download_image(image: str, modality: str | None = None) -> OpenFileResponse:
        return _file(datastore.display_file(image, modality), image)

    @router.head("/image", summary="Check that a case exists")
    def check_image(image: str, check_sum: str | None = None, modality: str | None = None) -> Response:
        path = datastore.display_file(image, modality)
        if check_sum and not _matches(path, check_sum):
            raise NotFoundError("check_sum: the stored image differs")
        return Response()

    @router.get("/image/info", summary="What is stored about a case")
    def image_info(image: str) -> dict[str, Any]:
        return datastore.get_image_info(image)

    @router.put("/image/info", summary="Add to what is stored about a case")
    def update_image_info(image: str, info: str = Form("{}")) -> None:
        datastore.update_image_info(image, _client_info(info))

    @router.put("/label", summary="Submit a label")
    def save_label(
        image: str, params: str = Form("{}"), tag: str = FINAL, label: UploadFile = File(...)
    ) -> dict[str, Any]:
        info = _client_info(params)
        info["author"] = annotator_of(info)
        with received(label, settings.upload_limits, "label") as path:
            label_id = datastore.save_label(image, str(path), tag or FINAL, info)
        answer: dict[str, Any] = {"image": image, "label": label_id}
        warnings = datastore.get_label_info(image, tag or FINAL).get(KEY_WARNINGS)
        if warnings:
            answer["warnings"] = warnings
        if (tag or FINAL) == FINAL:
            on_save_label(image, label_id)
            answer["version"] = datastore.get_label_info(image, FINAL).get(KEY_VERSION)
        return answer

    @router.delete("/label", summary="Remove a label")
    def remove_label(id: str, tag: str) -> dict[str, str]:
        datastore.remove_label(id, tag)
        return {}

    @router.get("/label", summary="Download a label; of a final one any version")
    def download_label(label: str, tag: str = FINAL, version: int | None = Query(None, ge=1)) -> OpenFileResponse:
        if version is None:
            return _file(datastore.label_file(label, tag), label)
        if tag != FINAL:
            raise InvalidValueError(f"version: only {FINAL} labels have versions, the tag is {check_tag(tag)!r}")
        return _file(datastore.label_version_file(label, version), label)

    @router.get("/label/versions", summary="Who submitted which final label of a case when")
    def label_versions(label: str) -> list[dict[str, Any]]:
        return [version.shown() for version in datastore.label_versions(label)]

    @router.head("/label", summary="Check that a label exists")
    def check_label(image: str, tag: str = FINAL) -> Response:
        datastore.label_file(image, tag)
        return Response()

    @router.get("/label/info", summary="What is stored about a label")
    def label_info(label: str, tag: str) -> dict[str, Any]:
        datastore.label_file(label, tag)
        return datastore.get_label_info(label, tag)

    @router.put("/label/info", summary="Add to what is stored about a label")
    def update_label_info(label: str, tag: str, info: str = Form("{}")) -> None:
        datastore.update_label_info(label, tag, _client_info(info))

    @router.put("/updatelabelinfo", include_in_schema=False)
    def update_label_info_form(label: str, tag: str, params: str = Form("{}")) -> None:
        datastore.update_label_info(label, tag, _client_info(params))

    return router


def _add(datastore: CaseDatastore, name: str, path: Path, info: dict[str, Any]) -> str:
    """Store an uploaded image; one that the memorisation audit flagged needs a reviewer's word, which is noted."""
    allowed = info.pop(ALLOW_KEY, False) is True
    flagged = is_flagged(path)
    if flagged:
        check_override(allowed, "says that it lies too near to a training image;")
    stored = datastore.add_image(name, str(path), info)
    if flagged:
        note_override(datastore, stored, "uploaded")
    return stored


def _client_info(text: str) -> dict[str, Any]:
    if len(text) > LARGEST_INFO:
        raise InvalidValueError(f"params, info: {len(text)} characters are more than the {LARGEST_INFO} that are kept")
    return {key: value for key, value in parse_params(text).items() if key not in SERVER_INFO_KEYS}


def _file(path: Path, case: str) -> OpenFileResponse:
    ending = path.name[len(image_stem(path.name)) :]
    return OpenFileResponse(path, f"{case}{ending}", "application/octet-stream")


def _matches(path: Path, check_sum: str) -> bool:
    """``ALGORITHM:DIGEST`` or a bare SHA-256 digest, as MONAI Label's clients send it."""
    algorithm, _, digest = check_sum.rpartition(":")
    name = (algorithm or "SHA256").lower()
    if name not in ("sha256", "sha512", "md5"):
        raise InvalidValueError(f"check_sum: algorithm {name[:20]!r} must be SHA256, SHA512 or MD5")
    return file_digest(path, name) == digest
