"""One inference request: which model, on which case, and where the result goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.infer_v2 import InferTask

from lib.clinical_service import ClinicalService, cross_check_mask, split_intake
from lib.datastore import CaseDatastore, check_tag
from medsynth_app.errors import MalformedRequestError, NotFoundError
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.imaging.studies.studies import Study, open_study
from medsynth_app.json_values import parse_json

VIEWER_KEYS = (
    "client_id", "result_dtype", "restore_label_idx", "label_info", "user", "session", "session_id", "logging",
    "description", "gpus", "multi_gpu", "max_workers", "max_batch_size", "images", "timeout",
)  # fmt: skip
"""Keys that viewers and MONAI Label add by themselves; no option, no warning."""
SERVER_KEYS = (
    "model", "image", "label", "save_label", "label_tag", "device", "bundle_path", "model_filename",
    "tracking_uri", "result_write_to_file", "case", "params", "upload", "started_by", "run",
)  # fmt: skip
"""Keys that only the server sets; what a client sends under them is dropped."""


def parse_params(text: str) -> dict[str, Any]:
    """The form field ``params`` as a mapping.

    Raises:
        MalformedRequestError: not JSON, no JSON object, or one that could not be stored (400).
    """
    params = parse_json(text, "params") if text.strip() else {}
    if not isinstance(params, dict):
        raise MalformedRequestError(
            f'params: must be a JSON object like {{"option": value}}, got {type(params).__name__}'
        )
    return params


def run_inference(
    tasks: Mapping[str, InferTask],
    datastore: Datastore,
    request: Mapping[str, Any],
    clinic: ClinicalService | None = None,
) -> dict[str, Any]:
    """Find the model and the case, run it, store the label where the server asked for it.

    Args:
        tasks: models by name.
        datastore: where the case is.
        request: ``model``; ``image`` (case id) or ``upload`` (file a client sent); ``params`` of the client, or
            options beside the other keys (as MONAI Label's batch inference sends them); ``save_label`` and
            ``label_tag`` from the server only.
        clinic: cross-checks the mask where ``params`` holds ``symptoms``.

    Returns:
        MONAI Label's result: file, label, tag, params.

    Raises:
        NotFoundError: unknown model or case.
        InvalidValueError: as the model's task raises.
    """
    name = str(request.get("model", ""))
    task = tasks[check_model(tasks, name)]
    params = {k: v for k, v in (request.get("params") or request).items() if k not in SERVER_KEYS}
    params, intake = split_intake(params)
    work = {"params": params, "ignored": VIEWER_KEYS, "label": request.get("label"), "datastore": datastore}
    if getattr(task, "requires_image", True):
        work["case"] = find_case(datastore, request)
    else:
        work |= {"image": request.get("image"), "upload": request.get("upload")}
    tag = check_tag(request.get("label_tag") or DefaultLabelTag.ORIGINAL.value)
    path, facts = task(work)
    label = path
    try:
        if request.get("save_label"):
            label = datastore.save_label(str(request["image"]), path, tag, {"model": name, "params": facts})
        if intake is not None and path and "case" in work:
            # after the label is kept: answers of a patient do not belong in the datastore's index
            facts = {**facts, "cross_check": cross_check_mask(clinic, work["case"], Path(path), intake)}
    except BaseException:
        if path:
            Path(path).unlink(missing_ok=True)  # nobody will fetch the result
        raise
    return {"label": label, "tag": tag, "file": path, "params": facts}


def check_model(tasks: Mapping[str, InferTask], name: str) -> str:
    """The name itself, if there is such a model.

    Raises:
        NotFoundError: there is none.
    """
    if name not in tasks:
        raise NotFoundError(
            f"model: there is no {name[:60]!r}, known are {', '.join(tasks)}", code="unknown_model"
        )
    return name


def find_case(datastore: Datastore, request: Mapping[str, Any]) -> CaseFiles:
    """The case of a request, from an upload or from the datastore."""
    if request.get("upload"):
        path = Path(request["upload"])
        # Read once for its own sake: a file that is no image at all must not be called a missing sequence.
        read_volume(path, "file")
        return open_study(Study("upload", path, False))
    if not isinstance(datastore, CaseDatastore):
        raise NotFoundError("image: this datastore holds no cases")
    return datastore.case(str(request.get("image", "")))
