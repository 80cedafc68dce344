"""The labelled cases of a datastore as one ZIP archive."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from pathlib import Path

from lib.datastore import CaseDatastore
from medsynth_app.errors import MedSynthError, NotFoundError


def write_archive(datastore: CaseDatastore, limit: int | None = None) -> Path:
    """A temporary ZIP file: ``image/FILE`` for every sequence, ``label/CASE.nii.gz``, ``metadata.json``.

    Args:
        datastore: where the cases are.
        limit: largest number of cases.

    Raises:
        NotFoundError: no case has a final label.
    """
    names = datastore.get_labeled_images()[:limit]
    if not names:
        raise NotFoundError("dataset: no case has a final label yet")
    handle, name = tempfile.mkstemp(suffix=".zip", prefix="medsynth-")
    os.close(handle)
    path = Path(name)
    try:
        # Images are compressed already: packing them again would only take time.
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for case in names:
                _add_case(archive, datastore, case)
            metadata = {"cases": names, "labels": "0 background, 1 necrotic_core, 2 edema, 3 enhancing_tumor"}
            archive.writestr("metadata.json", json.dumps(metadata))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _add_case(archive: zipfile.ZipFile, datastore: CaseDatastore, name: str) -> None:
    try:
        case = datastore.labelled_case(name)
    except MedSynthError:
        return  # gone or broken since it was listed; the others are still wanted
    images = [case.combined] if case.combined else list(case.sequences.values())
    for image in images:
        archive.write(image, f"image/{image.name}")
    if case.label is not None:
        archive.write(case.label, f"label/{name}.nii.gz")
