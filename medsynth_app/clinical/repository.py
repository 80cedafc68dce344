"""The one door to the clinic's database: a method for each question, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from medsynth_app.clinical.database.engine import Database
from medsynth_app.clinical.database.knowledge_repository import KnowledgeRepository
from medsynth_app.clinical.hospitals.repository import HospitalRepository
from medsynth_app.clinical.record.repository import CrossCheckRepository


class Repository(KnowledgeRepository, HospitalRepository, CrossCheckRepository):
    """Everything that is asked of the database: knowledge, hospitals, cross-checks with their audit.

    Args:
        database: open database, from `open_seeded_database`.
    """

    def __init__(self, database: Database) -> None:
        KnowledgeRepository.__init__(self, database)
