"""``PUT /model/{model}``: new weights are read and checked before they replace anything."""

from __future__ import annotations

import hashlib
import os
import shutil

from fastapi import APIRouter, File, UploadFile

from lib.settings import Settings
from medsynth_app.api.uploads import received
from medsynth_app.audit import AuditTrail
from medsynth_app.errors import NotFoundError, UnsupportedKindError
from medsynth_app.files import whole_file
from medsynth_app.segmentation.current_network import CurrentNetwork
from medsynth_app.segmentation.weights import load_weights


def build_router(networks: dict[str, CurrentNetwork], settings: Settings, audit: AuditTrail) -> APIRouter:
    """The routes, bound to the networks by model name."""
    router = APIRouter(prefix="/model", tags=["Model"])

    @router.put("/{model}", summary="Replace a model's weights (.safetensors)")
    def update_model(model: str, file: UploadFile = File(...)) -> dict[str, object]:
        target = _published_path(networks, model)
        if not (file.filename or "").lower().endswith(".safetensors"):
            raise UnsupportedKindError("file: weights must be a .safetensors file")
        with received(file, settings.upload_limits) as path:
            load_weights(path)
            checksum = hashlib.sha256(path.read_bytes()).hexdigest()
            with whole_file(target, durable=True) as beside:
                shutil.copyfile(path, beside)
        audit.record("model.replaced", model=model, sha256=checksum)
        return {"checksum": f"SHA256:{checksum}", "modified_time": int(target.stat().st_mtime)}

    @router.delete("/{model}", summary="Go back to the shipped weights; the published ones are kept aside")
    def delete_model(model: str) -> dict[str, object]:
        target = _published_path(networks, model)
        if not target.is_file():
            raise NotFoundError(f"model: no published weights of {model!r}")
        os.replace(target, target.with_suffix(".deleted"))
        audit.record("model.removed", model=model)
        return {}

    return router


def _published_path(networks: dict[str, CurrentNetwork], model: str):  # noqa: ANN202
    if model not in networks:
        raise NotFoundError(f"model: there is no {model[:60]!r}, known are {', '.join(networks)}")
    return networks[model].paths[0]
