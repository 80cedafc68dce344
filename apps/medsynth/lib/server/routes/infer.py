"""``POST /infer/{model}``: same protocol as MONAI Label's, off the event loop, bounded, with checked input."""

from __future__ import annotations

import json
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import FileResponse, JSONResponse, Response
from requests_toolbelt import MultipartEncoder
from starlette.background import BackgroundTask

from lib.dicom_datastore import DicomCaseDatastore
from lib.inference import parse_params
from lib.server.queue import InferenceQueue
from lib.server.uploads import received
from lib.settings import Settings
from medsynth_app.errors import InvalidValueError, MalformedRequestError

OCTET_STREAM = "application/octet-stream"


class Output(str, Enum):
    """What the client wants back."""

    image = "image"
    json = "json"
    all = "all"
    dicom_seg = "dicom_seg"


class InferringApp(Protocol):
    """What this route needs of the application."""

    settings: Settings

    def infer(self, request: dict[str, Any], datastore: Any = None) -> dict[str, Any]: ...

    def datastore(self) -> Any: ...

    def requires_image(self, model: str) -> bool: ...


def build_router(app: InferringApp) -> APIRouter:
    """The route, bound to an application."""
    router = APIRouter(prefix="/infer", tags=["Infer"])
    settings = app.settings
    queue = InferenceQueue(
        settings.inference_slots, settings.inference_queue, settings.inference_timeout_seconds
    )

    @router.post("/{model}", summary="Run inference of a model on a case or an uploaded image")
    def infer(
        model: str,
        image: str = "",
        session_id: str = "",
        params: str = Form("{}"),
        file: UploadFile | None = File(None),
        label: UploadFile | None = File(None),
        output: Output | None = None,
    ) -> Response:
        if session_id:
            raise InvalidValueError("session_id: sessions are not offered; upload the image as a case")
        request: dict[str, Any] = {"model": model, "image": image, "params": parse_params(params)}
        if not image and file is None and app.requires_image(model):
            raise MalformedRequestError("image: name a case (?image=...) or upload a file")
        with ExitStack() as uploads:
            if file is not None:
                request["upload"] = uploads.enter_context(received(file, settings.maximum_upload_mb))
            if label is not None:
                request["label"] = uploads.enter_context(received(label, settings.maximum_upload_mb, "label"))
            if output is Output.dicom_seg:
                _check_dicom_request(app, request)
            with queue.slot():
                result = app.infer(request)
        return _respond(app, request, result, output)

    return router


def _respond(
    app: InferringApp, request: dict[str, Any], result: dict[str, Any], output: Output | None
) -> Response:
    path, facts = result["file"], result["params"]
    if output is Output.json or not path:
        if path:
            Path(path).unlink(missing_ok=True)
        return JSONResponse(facts)
    if output is Output.dicom_seg:
        return _dicom_segmentation(app, request, path)
    if output is Output.image:
        return FileResponse(
            path,
            media_type=OCTET_STREAM,
            filename=Path(path).name,
            background=BackgroundTask(Path(path).unlink, missing_ok=True),
        )
    content = Path(path).read_bytes()
    Path(path).unlink(missing_ok=True)
    parts = MultipartEncoder(
        {
            "params": (None, json.dumps(facts, allow_nan=False), "application/json"),
            "image": (Path(path).name, content, OCTET_STREAM),
        }
    )
    return Response(parts.to_string(), media_type=parts.content_type)


def _check_dicom_request(app: InferringApp, request: dict[str, Any]) -> None:
    """Before the inference, not after it."""
    if not isinstance(app.datastore(), DicomCaseDatastore):
        raise InvalidValueError("output: dicom_seg needs a DICOMweb server as studies")
    if request.get("upload"):
        raise InvalidValueError("file: dicom_seg needs a series of the DICOMweb server (?image=...)")
    request["params"]["result_extension"] = ".nii.gz"


def _dicom_segmentation(app: InferringApp, request: dict[str, Any], path: str) -> Response:
    try:
        written = app.datastore().segmentation_object(request["image"], Path(path))
    finally:
        Path(path).unlink(missing_ok=True)
    return FileResponse(
        written, media_type="application/dicom", filename=written.name,
        background=BackgroundTask(written.unlink, missing_ok=True),
    )  # fmt: skip
