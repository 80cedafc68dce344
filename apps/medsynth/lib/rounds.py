"""Annotation in rounds: a case out, its label back, how well the model did, which model came of it."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from monailabel.utils.async_tasks.utils import processes, tasks

from lib.activelearning.assessment import CaseAssessment
from lib.activelearning.strategy import RankingStrategy
from lib.background_worker import BackgroundWorker
from lib.datastore import FINAL, KEY_VERSION, OWN_FOLDER, CaseDatastore
from lib.model_history import ModelHistory
from lib.scoring.agreement import score_submission
from lib.training_runs import TrainingRuns
from medsynth_app.active_learning.facts import FactsCache
from medsynth_app.active_learning.leases import Lease, Leases
from medsynth_app.active_learning.ranking import Pick
from medsynth_app.active_learning.rounds import RoundsRecord, Submission
from medsynth_app.active_learning.storage import Storage
from medsynth_app.errors import BusyError, MedSynthError
from medsynth_app.imaging.studies.cases import image_stem
from medsynth_app.vocabulary import RESEARCH_NOTICE

logger = logging.getLogger(__name__)

STORAGE_FILE = "active_learning.db"


def storage_of(studies: Path) -> Storage:
    """Where the rounds of a studies folder are kept."""
    return Storage(studies / OWN_FOLDER / STORAGE_FILE)


class AnnotationRounds:
    """The rounds of one server.

    Args:
        datastore: gives the datastore, which MONAI Label makes late.
        models: the models of the segmentation.
        on_restored: called with the identifier of an earlier model that is served again.
    """

    def __init__(
        self,
        datastore: Callable[[], CaseDatastore],
        models: ModelHistory,
        on_restored: Callable[[str], object] = lambda model: None,
    ) -> None:
        self._datastore = datastore
        self._on_restored = on_restored
        self.models = models
        self._mutex = threading.Lock()
        self._tables: tuple[Leases, RoundsRecord, CaseAssessment] | None = None
        self._worker = BackgroundWorker(self._step, "active-learning")

    @property
    def leases(self) -> Leases:
        """Who works on what."""
        return self._open()[0]

    @property
    def record(self) -> RoundsRecord:
        """What was submitted and trained."""
        return self._open()[1]

    @property
    def assessment(self) -> CaseAssessment:
        """What the network says of each case."""
        return self._open()[2]

    def _open(self) -> tuple[Leases, RoundsRecord, CaseAssessment]:
        if self._tables is None:
            storage = storage_of(self._datastore().root)
            leases = Leases(storage)
            assessment = CaseAssessment(FactsCache(storage), leases, self.models, self._datastore)
            self._tables = (leases, RoundsRecord(storage), assessment)
        return self._tables

    # ---- out and back --------------------------------------------------------------------------------

    def hand_out(self, strategy: RankingStrategy, request: Mapping[str, Any], annotator: str) -> dict[str, Any] | None:
        """The next cases for an annotator, leased to them; None where there are none.

        A case that somebody else holds is passed over. Cases the annotator holds already come again only when
        nothing else is left.

        Args:
            strategy: puts the cases in order.
            request: options of the client; checked.
            annotator: who asks.

        Raises:
            InvalidValueError: an option is wrong.
        """
        values, warnings = strategy.check(request)
        count, now = int(values["k"]), time.time()
        until = now + 60.0 * int(values["lease_minutes"])
        store = self._datastore()
        with self._mutex:  # a label that comes back meanwhile waits, so that its case is not handed out again
            picks = self._picks(strategy, request, annotator, now, count)
            wanted = [(pick.name, store.examination(pick.name)) for pick in picks]
            leases = self.leases.take(wanted, annotator, count, now, until)
        self._worker.wake()
        if not leases:
            return None
        by_name = {pick.name: pick for pick in picks}
        cases = [_shown_case(by_name[lease.case], lease) for lease in leases]
        return {"id": leases[0].case, "ids": [lease.case for lease in leases], "cases": cases, "warnings": warnings}

    def _picks(
        self, strategy: RankingStrategy, request: Mapping[str, Any], annotator: str, now: float, count: int
    ) -> list[Pick]:
        """The best cases; one that turns out to be synthetic by its voxels makes room for the next."""
        store = self._datastore()
        while True:
            candidates, own = self._candidates(store, request, annotator, now)
            picks = self._ranked(strategy, request, candidates, count, store)
            found_out = {pick.name for pick in picks if store.find_out_synthetic(pick.name)}
            if not found_out:
                return picks + [Pick(name, 0.0, 0.0, None) for name in own]

    def _candidates(
        self, store: CaseDatastore, request: Mapping[str, Any], annotator: str, now: float
    ) -> tuple[list[str], list[str]]:
        """Cases nobody works on, and those the annotator holds, oldest lease first; one of each examination."""
        unlabelled = store.get_unlabeled_images(request.get("label_tag"), request.get("labels"))
        first: dict[str, str] = {}
        for name in unlabelled:
            first.setdefault(store.examination(name), name)
        held = self.leases.current(now)
        own = [lease for lease in held.values() if lease.annotator == annotator and lease.examination in first]
        free = [name for examination, name in first.items() if examination not in held]
        return free, [lease.case for lease in sorted(own, key=lambda lease: lease.since)]

    def _ranked(
        self, strategy: RankingStrategy, request: Mapping[str, Any], names: list[str], count: int, store: CaseDatastore
    ) -> list[Pick]:
        if not names:
            return []
        chosen = strategy({**request, "candidates": names, "count": count}, store)
        return list(chosen["picks"]) if chosen else []

    def proposed(self, case: str, answer: str | Path) -> None:
        """Keep the model's answer that an annotator is about to correct; it becomes ``original`` of their label."""
        answer = Path(answer)
        ending = answer.name[len(image_stem(answer.name)) :]
        try:
            folder = self._proposals()
            for earlier in folder.glob(f"{case}.*"):
                if image_stem(earlier.name) == case:
                    earlier.unlink(missing_ok=True)
            beside = folder / f".{os.getpid()}-{threading.get_ident()}-{case}{ending}"
            shutil.copyfile(answer, beside)
            os.replace(beside, folder / f"{case}{ending}")
        except OSError as error:
            logger.warning("the model's answer is not kept: %s", type(error).__name__)

    def submitted(self, case: str) -> None:
        """A final label of a case came: note it, end the lease, score it in the background."""
        try:
            self._note(case)
        except (OSError, sqlite3.Error) as error:
            # the label itself is safe; the next look at the rounds takes it up
            logger.warning("a label is not noted yet: %s", type(error).__name__)
        self._worker.wake()

    def _note(self, case: str) -> None:
        store = self._datastore()
        submission = _submission(store, case)
        with self._mutex:
            lease = self.leases.give_back(store.examination(case))
        if submission is None:
            return
        proposal = next((p for p in self._proposals().glob(f"{case}.*") if image_stem(p.name) == case), None)
        if proposal is not None:
            store.versions.keep_proposal(case, proposal, submission.version)
        minutes = (submission.seconds - lease.since) / 60 if lease else None
        self.record.add_submission(replace(submission, minutes=minutes))

    def _proposals(self) -> Path:
        folder = self._datastore().root / OWN_FOLDER / "proposals"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    # ---- in the background ---------------------------------------------------------------------------

    def score(self) -> dict[str, Any]:
        """Wake the background thread; answers what it has to do."""
        self._take_up()
        self._worker.wake()
        return self.work()

    def work(self) -> dict[str, Any]:
        """What the background thread has still to do."""
        return {"status": "RUNNING", "labels_to_score": len(self.record.unscored()), **self.assessment.progress()}

    def is_busy(self) -> bool:
        """Whether the background thread works just now."""
        return self._worker.is_busy()

    def _step(self) -> bool:
        """One label scored or one case assessed; labels first."""
        waiting = self.record.unscored()
        if not waiting:
            return self.assessment.assess_next()
        case, version = waiting[0]
        try:
            agreement = score_submission(self._datastore(), case, version)
        except (MedSynthError, OSError) as error:
            logger.warning("a label cannot be scored: %s", type(error).__name__)
            agreement = None
        self.record.add_agreement(case, version, agreement)
        return True

    def _take_up(self) -> None:
        """Labels that were acknowledged just before the server was killed, and never noted."""
        store = self._datastore()
        noted = {(s.case, s.version) for s in self.record.submissions()}
        for case in store.get_labeled_images():
            version = int(store.get_label_info(case, FINAL).get(KEY_VERSION, 0))
            if version and (case, version) not in noted:
                submission = _submission(store, case)
                if submission is not None:
                    self.record.add_submission(submission)

    # ---- shown ---------------------------------------------------------------------------------------

    def overview(self) -> dict[str, Any]:
        """Rounds, models, and how far the background work is."""
        self._take_up()
        self._worker.wake()
        store, now = self._datastore(), time.time()
        held = self.leases.current(now).values()
        served = self.models.served()
        return {
            "rounds": self.record.rounds(len(store.get_labeled_images()), served),
            "models": self.models.models(),
            "model": served,
            "leases": [
                {"case": lease.case, "annotator": lease.annotator, "since": lease.since, "until": lease.until}
                for lease in sorted(held, key=lambda lease: lease.since)
            ],
            "background": {"labels_to_score": len(self.record.unscored()), **self.assessment.progress()},
            "trainings": {"running": len(processes("train")), "known": len(tasks("train"))},
            "broken_off": [run.shown() for run in TrainingRuns(store.root / OWN_FOLDER / "trainings").broken_off()],
            "notice": RESEARCH_NOTICE,
        }

    def restore(self, model: str) -> dict[str, Any]:
        """Serve an earlier model again.

        Raises:
            NotFoundError: there is none with that identifier.
            BusyError: a training runs, which may publish another one at any moment.
        """
        if processes("train"):
            raise BusyError("model: a training is running; stop it or wait for its end")
        restored = self.models.restore(model)
        self._on_restored(model)
        return restored


def _submission(store: CaseDatastore, case: str) -> Submission | None:
    """The newest label of a case; None where it was not submitted by anybody."""
    versions = [version for version in store.label_versions(case) if not version.deleted]
    if not versions:
        return None
    newest = versions[-1]
    return Submission(case, newest.number, newest.seconds, newest.author, None, None)


def _shown_case(pick: Pick, lease: Lease) -> dict[str, Any]:
    return {
        "id": pick.name,
        "score": round(pick.score, 6),
        "uncertainty": round(pick.uncertainty, 6),
        "distance": None if pick.distance is None else round(pick.distance, 4),
        "leased_until": int(lease.until),
    }
