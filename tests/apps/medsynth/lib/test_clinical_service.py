"""The clinic inside the server: answers of a patient apart from options, no words in logs, no mask lost."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from lib.activelearning.discordance import discordances
from lib.clinical_service import (
    ClinicalService,
    cross_check_mask,
    keep_queries_out_of_access_log,
    split_intake,
)
from lib.settings import Settings
from sqlalchemy import text

from medsynth_app.api.dependencies import get_clinic
from medsynth_app.api.error_handlers import add_error_handlers
from medsynth_app.api.router import build_router
from medsynth_app.clinical.seeding import KnowledgeBaseError, open_seeded_database
from medsynth_app.errors import OverloadedError
from medsynth_app.imaging.studies.cases import CaseFiles


def test_answers_are_no_options_of_the_model() -> None:
    params = {"tta": True, "symptoms": ["headache"], "age": 50, "free_text": "words"}
    assert split_intake(params) == ({"tta": True}, {"symptoms": ["headache"], "age": 50, "free_text": "words"})
    assert split_intake({"tta": True, "age": 50}) == ({"tta": True, "age": 50}, None)


@pytest.mark.parametrize(
    ("intake", "code"),
    [
        ({"symptoms": ["nonsense"]}, "unknown_symptom"),
        ({"symptoms": 7}, "invalid_value"),
        ({"symptoms": ["headache"], "age": "old"}, "invalid_value"),
        ({"symptoms": ["headache"]}, "missing_sequence"),
    ],
)
def test_a_failure_is_told_and_never_raised(tmp_path: Path, intake: dict[str, Any], code: str) -> None:
    service = ClinicalService(str(tmp_path), Settings(model_folder=tmp_path))
    answer = cross_check_mask(service, CaseFiles("case_1"), tmp_path / "mask.nii.gz", intake)
    assert (answer["status"], answer["code"]) == ("failed", code)
    assert answer["reason"]


def test_an_edited_knowledge_base_stops_the_start(tmp_path: Path) -> None:
    settings = Settings(model_folder=tmp_path, database=f"sqlite:///{tmp_path / 'clinic.db'}")
    ClinicalService(str(tmp_path), settings).start()
    with closing(sqlite3.connect(tmp_path / "clinic.db")) as connection, connection:
        connection.execute("UPDATE symptom_region SET weight = 0.9 WHERE symptom_id = 'anosmia'")
    with pytest.raises(KnowledgeBaseError, match="knowledge tables in the database were edited"):
        ClinicalService(str(tmp_path), settings).start()


def test_a_broken_database_costs_the_clinic_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Garbage in ``clinical.db``: the whole server did not start."""
    (tmp_path / "clinic.db").write_bytes(b"garbage " * 1000)
    service = ClinicalService(str(tmp_path), Settings(tmp_path, database=f"sqlite:///{tmp_path / 'clinic.db'}"))
    service.start()
    assert "no database" in caplog.text
    server = FastAPI()
    server.include_router(build_router())
    add_error_handlers(server)
    server.dependency_overrides[get_clinic] = service.clinic
    client = TestClient(server, raise_server_exceptions=False)
    for path in ("health", "symptoms", "hospitals?latitude=1&longitude=1", "cross-check?case=x"):
        answer = client.get(f"/medsynth/api/{path}")
        assert (answer.status_code, answer.json()["code"]) == (503, "database_broken"), path
        assert str(tmp_path) not in answer.text
    assert discordances(service, ["case_1"]) == {}
    answer = cross_check_mask(service, CaseFiles("case_1"), tmp_path / "mask.nii.gz", {"symptoms": ["headache"]})
    assert (answer["status"], answer["code"]) == ("failed", "database_broken")


def test_a_database_that_breaks_while_it_is_used_is_no_defect(tmp_path: Path) -> None:
    with open_seeded_database(tmp_path / "clinic.db") as database:
        database.close()
        content = (tmp_path / "clinic.db").read_bytes()
        (tmp_path / "clinic.db").write_bytes(content[:4096] + bytes(range(256)) * (len(content) // 256 - 16))
        with pytest.raises(OverloadedError, match="broken"), database.reading() as session:
            session.execute(text("SELECT * FROM symptom")).all()


def test_without_a_clinic_the_mask_is_answered_too(tmp_path: Path) -> None:
    answer = cross_check_mask(None, CaseFiles("case_1"), tmp_path / "mask.nii.gz", {"symptoms": []})
    assert (answer["status"], answer["code"]) == ("failed", "clinic_unavailable")


def test_the_access_log_keeps_no_search_words(caplog: pytest.LogCaptureFixture) -> None:
    keep_queries_out_of_access_log()
    logger = logging.getLogger("uvicorn.access")
    with caplog.at_level(logging.INFO, logger="uvicorn.access"):
        for path in ("/medsynth/api/symptoms?q=Hong", "/info/?x=1"):
            logger.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", path, "1.1", 200)
    assert "Hong" not in caplog.text
    assert "GET /medsynth/api/symptoms HTTP" in caplog.text
    assert "/info/?x=1" in caplog.text
