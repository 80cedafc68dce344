"""The clinic inside the server: where it keeps its database, how it sees the datastore, what inference asks of it."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from monailabel.interfaces.datastore import Datastore

from lib.datastore import OWN_FOLDER, CaseDatastore
from lib.settings import Settings
from medsynth_app.api.dependencies import get_clinic, get_left_out, get_studies
from medsynth_app.api.schemas import CrossCheckRequest, checked
from medsynth_app.clinical.clinic import Clinic, ClinicConfiguration
from medsynth_app.clinical.intake.form import parse_intake
from medsynth_app.clinical.record.view import record_view
from medsynth_app.clinical.scoring.cross_check import ConcordanceClass
from medsynth_app.clinical.site.tumor_images import images_of_case
from medsynth_app.clinical.work_slots import SlotLimits
from medsynth_app.errors import MedSynthError, NotFoundError, OverloadedError
from medsynth_app.imaging.labels import write_label
from medsynth_app.imaging.studies.cases import CaseFiles
from medsynth_app.vocabulary import RESEARCH_NOTICE

logger = logging.getLogger(__name__)

INTAKE_KEYS = (
    "symptoms", "handedness", "age", "age_years", "post_operative", "rapidly_worse", "free_text", "lang",
    "latitude", "longitude", "lat", "lon", "country",
)  # fmt: skip
"""What an inference request may say about the patient beside ``symptoms``; no options of a model."""
MODEL_OUTPUT_TAG = "original"
_BACKGROUND_NICENESS = 10


class ClinicalService:
    """One clinic per server, opened when the first clinical question comes.

    Args:
        studies: the studies folder, or the URL of a DICOMweb server.
        settings: may name a database, and how many cross-checks run and wait at once.
    """

    def __init__(self, studies: str, settings: Settings) -> None:
        remote = studies.startswith(("http://", "https://"))
        folder = settings.model_folder / "clinic" if remote else Path(studies) / OWN_FOLDER
        limits = SlotLimits(settings.cross_check_slots, settings.cross_check_queue)
        database = settings.database or folder / "clinical.db"
        kept = ClinicConfiguration(
            database,
            folder / "cross_checks",
            limits=limits,
            keep_invented_hospitals=settings.hospitals == "demo",
        )
        self._clinic = Clinic(kept)
        self._warming = threading.Lock()

    def start(self) -> None:
        """Open the database: an edited knowledge base must stop the server, a sleeping database must not.

        Raises:
            KnowledgeBaseError: the seed files or the database's copy of them were edited.
        """
        try:
            self._clinic.repository.knowledge_version()
        except OverloadedError:
            logger.exception("the clinic has no database; its routes answer 503 until it has")

    def clinic(self) -> Clinic:
        """The clinic; the first caller also starts loading atlas, lesions and hospitals in the background."""
        if not self._clinic.is_ready and self._warming.acquire(blocking=False):
            threading.Thread(target=self._warm_up, name="clinic-warm-up", daemon=True).start()
        return self._clinic

    def _warm_up(self) -> None:
        if sys.platform == "linux":
            # applies to this thread alone: segmentations go first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _BACKGROUND_NICENESS)
        try:
            _ = self._clinic.tools
            # a hundred thousand hospitals take seconds to read; nobody's first cross-check should
            self._clinic.directory.refresh()
        except MedSynthError as error:
            logger.warning("the clinic is not ready: %s", error.code)
        finally:
            self._warming.release()


class DatastoreStudies:
    """The datastore as the clinic's routes see it.

    Args:
        datastore: cases and labels.
    """

    def __init__(self, datastore: CaseDatastore) -> None:
        self._datastore = datastore

    def case(self, name: str) -> CaseFiles:
        """The files of a case."""
        return self._datastore.case(name)

    def label_tags(self, name: str) -> tuple[str, ...]:
        """Tags of the labels that a case has."""
        self._datastore.study(name)
        return tuple(self._datastore.get_labels_by_image_id(name))

    def label_file(self, name: str, tag: str) -> Path:
        """A label."""
        return self._datastore.label_file(name, tag)

    def save_label(self, name: str, labels: np.ndarray, affine: np.ndarray, tag: str, info: dict[str, Any]) -> None:
        """Keep a label map under a tag of its own."""
        with tempfile.TemporaryDirectory(prefix="medsynth-") as folder:
            path = Path(folder) / "label.nii.gz"
            write_label(labels, affine, path)
            self._datastore.save_label(name, str(path), tag, info)


def mount_clinic(server: FastAPI, service: ClinicalService, datastore: Datastore) -> None:
    """Give the clinic's routes what they ask for."""
    studies = DatastoreStudies(datastore) if isinstance(datastore, CaseDatastore) else None
    server.dependency_overrides[get_clinic] = service.clinic
    server.dependency_overrides[get_studies] = lambda: studies
    server.dependency_overrides[get_left_out] = lambda: _left_out(datastore)
    keep_queries_out_of_access_log()


def _left_out(datastore: Datastore) -> Mapping[str, str]:
    """What the last look at the studies passed over; the folder is looked at again where that is due."""
    if not isinstance(datastore, CaseDatastore):
        return {}
    datastore.status()
    return datastore.left_out


def keep_queries_out_of_access_log() -> None:
    """A search holds a patient's words: the server's access log keeps the paths only."""
    access = logging.getLogger("uvicorn.access")
    if not any(isinstance(each, _PathsOnly) for each in access.filters):
        access.addFilter(_PathsOnly())


class _PathsOnly(logging.Filter):
    """Cuts the query off the clinic's addresses in uvicorn's access records (client, method, path, version, status)."""

    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args
        if isinstance(arguments, tuple) and len(arguments) == 5 and str(arguments[2]).startswith("/medsynth/"):
            record.args = (*arguments[:2], str(arguments[2]).split("?")[0], *arguments[3:])
        return True


def split_intake(params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """An inference's options, and the patient's answers where ``symptoms`` is among them."""
    if params.get("symptoms") is None:
        return dict(params), None
    options = {key: value for key, value in params.items() if key not in INTAKE_KEYS}
    return options, {key: value for key, value in params.items() if key in INTAKE_KEYS}


def cross_check_mask(service: ClinicalService | None, case: CaseFiles, mask: Path, intake: Mapping[str, Any]) -> Any:
    """What the symptoms say of a mask that was just made. It never raises: the mask is there, whatever happens here.

    Args:
        service: the server's clinic.
        case: its files.
        mask: the label file as it is answered.
        intake: the patient's answers, untrusted.

    Returns:
        The record, or ``status`` ``failed`` with ``code`` and ``reason``.
    """
    try:
        if service is None:
            raise NotFoundError("cross_check: this server runs no clinic", code="clinic_unavailable")
        clinic = service.clinic()
        request = checked(CrossCheckRequest, intake)
        form = parse_intake(request.as_values(), clinic.definitions)
        images = images_of_case(case, mask, MODEL_OUTPUT_TAG)
        record = record_view(clinic.cross_check(images, form, request.place))
    except MedSynthError as error:
        return _failed(error.code, error.message)
    except Exception as error:  # noqa: BLE001 - the mask must not be lost to a defect here
        logger.error("cross-check failed: %s", type(error).__name__)
        return _failed("invalid_value" if hasattr(error, "errors") else "internal_error", _reason(error))
    if record["concordance"] == ConcordanceClass.NOT_ASSESSABLE.value:
        return {**record, "status": "not_assessable", "reason": " ".join(map(str, record["reasons"]))}
    return record


def _failed(code: str, reason: str) -> dict[str, Any]:
    return {"status": "failed", "code": code, "reason": reason, "notice": RESEARCH_NOTICE}


def _reason(error: Exception) -> str:
    rows = error.errors() if hasattr(error, "errors") else []
    named = [f"{'.'.join(map(str, row['loc'][1:]))}: {row['msg']}" for row in rows[:3]]
    return "; ".join(named) or "the cross-check failed unexpectedly; the mask is not affected"
