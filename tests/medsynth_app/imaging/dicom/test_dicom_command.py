"""``medsynth dicom``: arguments in, files and a line out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from medsynth_app.commands.dicom import dicom
from medsynth_app.errors import InvalidValueError

application = typer.Typer()
application.command()(dicom)


def test_it_writes_a_study_and_tells_its_uids(make_case: Any, tmp_path: Path) -> None:
    case_folder = make_case().sequences["t1"].parent
    arguments = [str(case_folder), str(tmp_path / "out"), "--json", str(tmp_path / "study.json")]
    answer = CliRunner().invoke(application, arguments)
    study = json.loads((tmp_path / "study.json").read_text())
    assert answer.exit_code == 0, answer.output
    assert len(list((tmp_path / "out").glob("*.dcm"))) == study["files"] == 32
    assert study["study_instance_uid"].startswith("2.25.")


def test_a_folder_without_a_case_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="is no case; expected a folder with CASE_flair"):
        dicom(tmp_path, tmp_path / "out")
