"""``POST /infer/{model}``: same protocol as MONAI Label's, off the event loop, bounded, with checked input."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response
from requests_toolbelt import MultipartEncoder
from starlette.background import BackgroundTask

from lib.dicom_datastore import DicomCaseDatastore
from lib.inference import check_model, parse_params
from lib.settings import Settings
from medsynth_app.api.inference_queue import InferenceQueue, QueueLimits
from medsynth_app.api.metrics import Metrics
from medsynth_app.api.uploads import received
from medsynth_app.errors import InvalidValueError, MalformedRequestError, MedSynthError

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

    def infers(self) -> Mapping[str, Any]: ...

    def requires_image(self, model: str) -> bool: ...


def build_router(app: InferringApp, metrics: Metrics) -> APIRouter:
    """The route, bound to an application."""
    router = APIRouter(prefix="/infer", tags=["Infer"])
    queue = InferenceQueue(_limits(app.settings))
    metrics.watch("medsynth_inferences_running", "Inferences that run now.", lambda: queue.running)
    metrics.watch("medsynth_inferences_waiting", "Inferences that wait now.", lambda: queue.waiting)

    @router.post("/{model}", summary="Run inference of a model on a case or an uploaded image")
    async def infer(
        http: Request,
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
        check_model(app.infers(), model)
        given = await run_in_threadpool(parse_params, params)
        request: dict[str, Any] = {"model": model, "image": image, "params": given}
        if not image and file is None and app.requires_image(model):
            raise MalformedRequestError("image: name a case (?image=...) or upload a file")
        if output is Output.dicom_seg:
            _check_dicom_request(app, request, file is not None)
        work = _Work(app, request, metrics)
        try:
            await run_in_threadpool(work.receive, file, label)
            result = await queue.run(model, work, http.is_disconnected, _discard)
        except MedSynthError as error:
            metrics.inferences.labels(model, error.code).inc()
            raise
        finally:
            await run_in_threadpool(work.forget)
        metrics.inferences.labels(model, "ok").inc()
        return await run_in_threadpool(_respond, app, request, result, output)

    return router


def _limits(settings: Settings) -> QueueLimits:
    return QueueLimits(
        settings.inference_slots, settings.inference_queue, settings.inference_timeout_seconds,
        settings.inference_run_seconds, settings.model_slots,
    )  # fmt: skip


class _Work:
    """One inference with its uploads, which are removed when it has run, or when it is clear that it never will."""

    def __init__(self, app: InferringApp, request: dict[str, Any], metrics: Metrics) -> None:
        self.app, self.request, self.metrics = app, request, metrics
        self._uploads = ExitStack()
        self._begun = False

    def receive(self, file: UploadFile | None, label: UploadFile | None) -> None:
        """Write what came to temporary files."""
        for upload, key, field in ((file, "upload", "file"), (label, "label", "label")):
            if upload is not None:
                path = self._uploads.enter_context(received(upload, self.app.settings.upload_limits, field))
                self.request[key] = path

    def __call__(self) -> dict[str, Any]:
        """Run the model."""
        self._begun = True
        begin = time.perf_counter()
        with self._uploads:
            result = self.app.infer(self.request)
        self.metrics.inference_seconds.labels(self.request["model"]).observe(time.perf_counter() - begin)
        return result

    def forget(self) -> None:
        """Remove the uploads, unless the model has them: then it does when it ends."""
        if not self._begun:
            self._uploads.close()


def _discard(result: dict[str, Any]) -> None:
    if result.get("file"):
        Path(result["file"]).unlink(missing_ok=True)


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


def _check_dicom_request(app: InferringApp, request: dict[str, Any], has_upload: bool) -> None:
    """Before the inference, not after it."""
    if not isinstance(app.datastore(), DicomCaseDatastore):
        raise InvalidValueError("output: dicom_seg needs a DICOMweb server as studies")
    if has_upload:
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
