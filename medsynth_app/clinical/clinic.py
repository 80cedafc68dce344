"""A clinic at work: database, atlas, score and directory, each opened at first use and then kept."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from medsynth_app.clinical.assessment import (
    Assessment,
    AssessmentTools,
    Place,
    assess,
    draw_pictures,
)
from medsynth_app.clinical.database.engine import Database
from medsynth_app.clinical.free_text.phrase_index import LONGEST_PHRASE
from medsynth_app.clinical.free_text.phrases import split_phrases
from medsynth_app.clinical.hospitals.search import HospitalDirectory, RankingConfiguration
from medsynth_app.clinical.intake.form import Intake
from medsynth_app.clinical.knowledge.lesion_library import LibraryConfiguration, load_lesion_library
from medsynth_app.clinical.knowledge.symptom_model import SymptomDefinition
from medsynth_app.clinical.record.pictures import PictureStore
from medsynth_app.clinical.record.repository import StoredCrossCheck
from medsynth_app.clinical.repository import Repository
from medsynth_app.clinical.scoring.cross_check import CrossChecker
from medsynth_app.clinical.scoring.suspected import Suspicion, suspect_regions
from medsynth_app.clinical.seeding import open_seeded_database
from medsynth_app.clinical.site.located_cache import ContentCache
from medsynth_app.clinical.site.tumor_images import TumorImages
from medsynth_app.clinical.work_slots import SlotLimits, WorkSlots
from medsynth_app.imaging.atlas.atlas import Atlas, load_atlas
from medsynth_app.imaging.atlas.registration import RegistrationConfiguration

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClinicConfiguration:
    """Where a clinic keeps its things.

    Attributes:
        database: ``sqlite:///FILE``, ``postgresql://USER@HOST/NAME``, or a file name for SQLite.
        picture_folder: where the pictures of cross-checks are kept.
        cache_folder: where atlas and lesion library are kept; the user's cache folder where None.
        registration: how heads are brought to the atlas.
        library: how the lesions that a score is compared with are drawn.
        limits: how many cross-checks run and wait at once.
        keep_invented_hospitals: list the invented hospitals also where real ones were imported.
    """

    database: str | Path
    picture_folder: Path
    cache_folder: Path | None = None
    registration: RegistrationConfiguration = RegistrationConfiguration()
    library: LibraryConfiguration = LibraryConfiguration()
    limits: SlotLimits = SlotLimits()
    keep_invented_hospitals: bool = False


class Clinic:
    """Everything a cross-check needs.

    Args:
        configuration: where things are kept.
    """

    def __init__(self, configuration: ClinicConfiguration) -> None:
        self.configuration = configuration
        self.pictures = PictureStore(configuration.picture_folder)
        self.slots = WorkSlots(configuration.limits, "cross-checks")
        self._drawn: ContentCache[dict[str, bytes]] = ContentCache()
        self._opening = threading.RLock()
        # one of its own: who searches a symptom must not wait until atlas and lesion library are loaded
        self._loading = threading.Lock()

    # ---- opened at first use -------------------------------------------------------------------------

    @property
    def repository(self) -> Repository:
        """The database."""
        with self._opening:
            return self._repository

    @property
    def definitions(self) -> Mapping[str, SymptomDefinition]:
        """The knowledge base as the score takes it."""
        with self._opening:
            return self._definitions

    @property
    def directory(self) -> HospitalDirectory:
        """The hospitals."""
        with self._opening:
            return self._directory

    @property
    def tools(self) -> AssessmentTools:
        """Atlas, score and directory; some seconds the first time on a machine, then from the cache."""
        with self._loading:
            return self._tools

    @property
    def is_ready(self) -> bool:
        """Whether a cross-check could begin at once; never waits."""
        return "_tools" in self.__dict__

    @property
    def atlas_version(self) -> str | None:
        """Hash of the atlas, None while it is not loaded."""
        return self._tools.atlas.version if self.is_ready else None

    @cached_property
    def _database(self) -> Database:
        return open_seeded_database(self.configuration.database)

    @cached_property
    def _repository(self) -> Repository:
        return Repository(self._database)

    @cached_property
    def _definitions(self) -> dict[str, SymptomDefinition]:
        return self._repository.symptom_definitions()

    @cached_property
    def _directory(self) -> HospitalDirectory:
        kept = RankingConfiguration(keep_invented=self.configuration.keep_invented_hospitals)
        return HospitalDirectory(self._repository, kept)

    @cached_property
    def _tools(self) -> AssessmentTools:
        given = self.configuration
        atlas: Atlas = load_atlas(given.cache_folder)
        library = load_lesion_library(atlas, given.library, given.cache_folder)
        version = self.repository.knowledge_version()
        return AssessmentTools(
            atlas=atlas,
            checker=CrossChecker(self.definitions, library),
            red_flags=self.repository.red_flags(),
            directory=self.directory,
            knowledge_version=f"{version['version']}:{str(version['checksum'])[:16]}",
            registration=given.registration,
            placed=ContentCache(),
        )

    def close(self) -> None:
        """Give back the database's connections; the next question opens them again."""
        with self._opening:
            for name in ("_tools", "_directory", "_definitions", "_repository"):
                self.__dict__.pop(name, None)
            database = self.__dict__.pop("_database", None)
            if database is not None:
                database.close()

    # ---- the work ------------------------------------------------------------------------------------

    def cross_check(
        self, images: TumorImages, intake: Intake, place: Place = Place(), actor: str = "system"
    ) -> StoredCrossCheck:
        """Assess a case and keep the answer, with its pictures, as ``proposed``.

        Args:
            images: image and mask.
            intake: the answers.
            place: where hospitals are looked for.
            actor: who asked for it.

        Raises:
            InvalidValueError: as `assess`.
            OverloadedError: too many cross-checks run and wait already.
        """
        with self.slots.slot():
            return self._cross_check(images, intake, place, actor)

    def _cross_check(self, images: TumorImages, intake: Intake, place: Place, actor: str) -> StoredCrossCheck:
        assessment = assess(images.volume, images.labels, intake, self.tools, place=place)
        result = {
            **assessment.as_dict(),
            "label": {"tag": images.tag, "version": images.label_version},
            "understood": self.understood(intake.free_text),
        }
        result["warnings"] = [*images.notes, *result["warnings"]]
        stored = self.repository.save_cross_check(
            images.case, images.label_version, intake, result, assessment.versions, actor
        )
        self._keep_pictures(stored.id, assessment)
        return stored

    def suspect(self, intake: Intake) -> Suspicion:
        """Where the symptoms alone point to, before any image.

        Raises:
            InvalidValueError: unknown or contradictory answers.
        """
        tools = self.tools
        return suspect_regions(
            intake.reported_symptoms(self.definitions),
            tools.checker,
            tools.atlas,
            handedness=intake.handedness,
            age_years=intake.age_years,
        )

    def understood(self, free_text: str) -> list[dict[str, Any]]:
        """What the patient's own words may mean, phrase by phrase, for the user to confirm; the words stay out.

        A phrase that the reader of stories does not understand has no candidates.
        """
        index = self.repository.phrase_index()
        found = []
        for start, phrase in split_phrases(free_text):
            shortened = phrase[:LONGEST_PHRASE]
            understood = self.repository.read_story(shortened).findings
            candidates = index.understand(shortened).candidates if understood else ()
            rows = [{**asdict(each), "side": each.side.value} for each in candidates]
            found.append({"start": start, "length": len(phrase), "candidates": rows})
        return found

    def _keep_pictures(self, identifier: str, assessment: Assessment) -> None:
        content = assessment.located.content
        try:
            drawn = self._drawn.get(content) if content else None
            if drawn is None:
                drawn = draw_pictures(assessment.located)
            if content:
                self._drawn.keep(content, drawn)
            self.pictures.save(identifier, drawn)
        except (OSError, ValueError) as error:
            # the record is complete without them
            logger.warning("no pictures of cross-check %s: %s", identifier, type(error).__name__)
