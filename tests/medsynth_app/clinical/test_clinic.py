"""The clinic opens what a question needs, and no more."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from medsynth_app.clinical import clinic as clinic_module
from medsynth_app.clinical.clinic import Clinic, ClinicConfiguration


def test_a_search_does_not_wait_for_atlas_and_lesion_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loading, go_on = threading.Event(), threading.Event()

    def load(*_: object) -> None:
        loading.set()
        go_on.wait(60)
        raise RuntimeError("not needed here")

    monkeypatch.setattr(clinic_module, "load_atlas", load)
    clinic = Clinic(ClinicConfiguration(str(tmp_path / "c.db"), tmp_path / "checks"))
    clinic.repository.knowledge_version()

    def warm_up() -> None:
        with pytest.raises(RuntimeError):
            _ = clinic.tools

    warming = threading.Thread(target=warm_up)
    warming.start()
    assert loading.wait(60)
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(len(clinic.repository.symptoms())))
    asking.start()
    asking.join(30)
    go_on.set()
    warming.join(60)
    assert answers
    assert answers[0] > 10
