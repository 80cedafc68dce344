"""MedSynth as a MONAI Label application: the one class that MONAI Label looks for, a line or two a hook."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lib.activelearning.discordance import discordances
from lib.audited_datastore import AuditedCases, AuditedDicomCases
from lib.catalogue import (
    SEGMENTATION,
    build_infer_tasks,
    build_strategies,
    build_train_tasks,
    model_history,
    synthesis_weights,
)
from lib.clinical_service import ClinicalService
from lib.datastore import OWN_FOLDER, CaseDatastore
from lib.inference import run_inference
from lib.infers.correction import CorrectionInferTask
from lib.processes import die_with_server, remember_server
from lib.publication import note_unknown_weights, noting_publication, on_behalf
from lib.reviews import LabelReviews
from lib.rounds import AnnotationRounds
from lib.scoring.agreement import AgreementScoring
from lib.server.folder_lock import hold_folder
from lib.server.hardening import harden
from lib.server.stopping import Stopping
from lib.server.temporary_folder import TemporaryFolder
from lib.settings import Settings
from lib.thumbnails import CaseThumbnails
from lib.training_runs import TrainingRuns
from monailabel.config import settings as monailabel_settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask

from medsynth_app import __version__
from medsynth_app.api.routes.reviews import get_reviews
from medsynth_app.api.routes.rounds import get_rounds
from medsynth_app.api.routes.synthesis import get_weights_store
from medsynth_app.api.routes.thumbnails import get_thumbnails
from medsynth_app.audit import AuditTrail
from medsynth_app.segmentation.current_network import CurrentNetwork
from medsynth_app.vocabulary import LABEL_NAMES, RESEARCH_NOTICE

logger = logging.getLogger(__name__)


class MedSynthApp(MONAILabelApp):
    """Brain-tumour segmentation, medical image synthesis and symptom cross-check. Research and education only."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        die_with_server()
        self.settings = Settings.from_conf(conf or {}, Path(app_dir))
        # Stock scoring starts a Python process at start, after every sample and after every training.
        monailabel_settings.MONAI_LABEL_AUTO_UPDATE_SCORING = False
        # The DICOM tools live beside the interpreter; without them MONAI Label downloads them at start.
        os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
        self.clinic = ClinicalService(studies, self.settings)
        self.rounds = AnnotationRounds(self.datastore, model_history(self.settings), self._note_restored)
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=conf,
            name="MedSynth",
            description=f"Brain-tumour segmentation and medical image synthesis. {RESEARCH_NOTICE}",
            version=__version__,
            labels=list(LABEL_NAMES),
        )

    def init_datastore(self) -> Datastore:
        """Cases of a folder, or of a DICOMweb server."""
        if self.studies.startswith(("http://", "https://")):
            self.studies = self.studies.rstrip("/").strip()
            return self.init_remote_datastore()
        return AuditedCases(Path(self.studies), read_only=not self.settings.may_write)

    def init_remote_datastore(self) -> Datastore:
        """Series of a DICOMweb server."""
        settings = self.settings
        return AuditedDicomCases(self.studies, settings.sequence_mapping, read_only=not settings.may_write)

    def init_infers(self) -> dict[str, InferTask]:
        """One task per row of the catalogue."""
        return build_infer_tasks(self.settings)

    def init_trainers(self) -> dict[str, TrainTask]:
        """Trainers of the same names; only the ones that were asked for."""
        return build_train_tasks(self.settings)

    def init_strategies(self) -> dict[str, Strategy]:
        """How the next case to annotate is chosen."""
        return build_strategies(self.rounds.assessment, partial(discordances, self.clinic))

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        """How well the model's answers agreed with the submitted labels."""
        return {"agreement": AgreementScoring(self.rounds.score)}

    def _load_sessions(self, load: bool = False) -> None:
        """No sessions: clients upload cases. MONAI Label's own start-up fails on a broken session folder."""

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Run one inference; see ``lib.inference``."""
        result = run_inference(self._infers, datastore or self.datastore(), request, self.clinic)
        is_for_a_reader = bool(request.get("image")) and not request.get("upload") and not request.get("save_label")
        if request.get("model") == SEGMENTATION and is_for_a_reader:
            self.rounds.proposed(str(request["image"]), result["file"])
        return result

    def on_save_label(self, image_id: str, label_id: str) -> None:
        """A client submitted a label."""
        self.rounds.submitted(image_id)

    def bundle_path(self, model: str) -> str:
        """A constant, so that a client's ``bundle_path`` is overwritten and never reaches PYTHONPATH."""
        return str(Path(self.app_dir) / "bin")

    def on_init_complete(self) -> None:
        """The server is about to answer: put the protections and our own routes in place."""
        from monailabel.app import app as server  # noqa: PLC0415 - exists only once the server starts

        store = self.datastore()
        assert isinstance(store, CaseDatastore)  # noqa: S101 - made above
        self.folder_lock = hold_folder(store.root)
        self._note_broken_off()
        remember_server()
        self._begin_to_serve()
        super().on_init_complete()
        self.clinic.start()
        harden(server, self)
        server.dependency_overrides[get_rounds] = lambda: self.rounds
        reviews = LabelReviews(store)
        server.dependency_overrides[get_reviews] = lambda: reviews
        server.dependency_overrides[get_weights_store] = lambda: synthesis_weights(self.settings)
        thumbnails = CaseThumbnails(store)
        server.dependency_overrides[get_thumbnails] = lambda: thumbnails

    def _begin_to_serve(self) -> None:
        """What needs the event loop: listen to the signals that end the server, and clean up behind it."""
        self.stopping = Stopping()
        self.stopping.watch()
        self.temporary_folder = TemporaryFolder()
        cleaning = self.temporary_folder.remove_once(self.stopping.wait())
        self._at_the_end = asyncio.get_running_loop().create_task(cleaning)

    def requires_image(self, model: str) -> bool:
        """Whether a model works on a case; generators do not. Unknown models are refused later."""
        return getattr(self._infers.get(model), "requires_image", False)

    @property
    def audit(self) -> AuditTrail:
        """Where changes of labels and models are noted."""
        store = self.datastore()
        assert isinstance(store, (AuditedCases, AuditedDicomCases))  # noqa: S101 - made above
        return store.audit

    @property
    def training_runs(self) -> TrainingRuns:
        """The notes of which trainings are under way, or were broken off."""
        store = self.datastore()
        assert isinstance(store, CaseDatastore)  # noqa: S101 - made above
        return TrainingRuns(store.root / OWN_FOLDER / "trainings")

    def _note_broken_off(self) -> None:
        for run in self.training_runs.notice_broken_off():
            self.audit.record("training.broken_off", model=run.model, started_by=run.user)
        for name, network in self.networks().items():
            note_unknown_weights(self.audit, network.paths[0], name)

    def _note_restored(self, model: str) -> None:
        self.audit.record("model.restored", model=SEGMENTATION, sha256=model)

    def infers(self) -> dict[str, InferTask]:
        """Models by name."""
        return self._infers

    def trainers(self) -> dict[str, TrainTask]:
        """Trainers by name."""
        return self._trainers

    def strategies(self) -> dict[str, Strategy]:
        """Active-learning strategies by name."""
        return self._strategies

    def case_models(self) -> list[str]:
        """Models that work on a case by themselves, without an annotator's strokes."""
        return [
            name for name, task in self._infers.items()
            if self.requires_image(name) and not isinstance(task, CorrectionInferTask)
        ]  # fmt: skip

    def scoring_methods(self) -> list[str]:
        """Names of the scoring methods."""
        return list(self._scoring_methods)

    def networks(self) -> dict[str, CurrentNetwork]:
        """Networks whose weights a client may replace, by model name."""
        return {name: task.current for name, task in self._infers.items() if hasattr(task, "current")}

    def batch_infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Run a model on many cases; several GPUs only where there are any."""
        with on_behalf(request):
            return super().batch_infer({**request, "multi_gpu": torch.cuda.device_count() > 1}, datastore)

    def train(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run a training; what it publishes is noted with who asked for it."""
        model = str(request.get("model", ""))
        network = self.networks().get(model)
        weights = network.paths[0] if network else None
        with on_behalf(request), self.training_runs.running(request), noting_publication(self.audit, weights, model):
            return super().train(request)
