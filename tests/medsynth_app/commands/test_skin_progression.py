"""``medsynth skin-progression`` with the shipped weights, on a lesion that nobody has."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from medsynth_app.cli import application
from medsynth_app.errors import MedSynthError
from medsynth_app.imaging.provenance.marking import is_marked_synthetic
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.skin.generator import SYNTHESIS_CONDITIONS, SkinLesionSynthesis
from medsynth_app.synthesis.weights import WeightsStore
from medsynth_app.synthesis.writing import write_synthetic


@pytest.fixture(scope="module")
def lesion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lesion") / "nevus.png"
    conditions = SYNTHESIS_CONDITIONS.parse({"lesion_class": "nevus"})
    write_synthetic(SkinLesionSynthesis(WeightsStore()).generate(GenerationRequest(3, conditions)), path)
    return path


def test_sheet_curve_animation_and_record(lesion: Path, tmp_path: Path) -> None:
    arguments = ["skin-progression", str(lesion), str(tmp_path), "--steps", "5", "--plot"]
    done = CliRunner().invoke(application, [*arguments, "--json", str(tmp_path / "copy.json")])
    assert done.exit_code == 0, done.output
    for name in ("contact_sheet.png", "curve.png"):
        assert is_marked_synthetic(tmp_path / name)
        assert np.asarray(Image.open(tmp_path / name)).std() > 10
    moving = Image.open(tmp_path / "animation.gif")
    assert moving.n_frames == 8, "there and back"
    assert b"SYNTHETIC" in moving.info["comment"]
    record = json.loads((tmp_path / "progression.json").read_text())
    assert record == json.loads((tmp_path / "copy.json").read_text())
    assert [step["alpha"] for step in record["steps"]] == [0.0, 0.75, 1.5, 2.25, 3.0]
    assert "no longitudinal truth" in record["simulation"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [(["--alpha-to", "1e9"], "alpha_to: 1000000000.0 must be between -6 and 6"), (["--direction", "age"], "direction")],
)
def test_what_is_wrong_is_said(lesion: Path, tmp_path: Path, options: list[str], complaint: str) -> None:
    done = CliRunner().invoke(application, ["skin-progression", str(lesion), str(tmp_path / "new"), *options])
    assert done.exit_code != 0
    said = f"{done.output} {done.exception}"
    assert isinstance(done.exception, (MedSynthError, SystemExit))
    assert complaint in said
    assert not (tmp_path / "new").exists()
