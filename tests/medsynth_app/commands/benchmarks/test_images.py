"""The two benchmarks of pictures from folder to JSON, on a handful of pictures and phantoms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from medsynth_app.commands.benchmarks.application import application

SETTINGS = ["--generator", "phantom", "--condition", "size=64", "--validation", "chest_xray/held"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, chance = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for pathology, level in (("normal", 80), ("pneumonia", 140)):
        folder = root / "chest_xray" / pathology
        folder.mkdir(parents=True)
        for number in range(20):
            Image.fromarray(chance.normal(level, 20, (64, 64)).clip(0, 255).astype(np.uint8)).save(
                folder / f"{'held' if number < 6 else 'kept'}-{pathology}{number}.png"
            )
    return root


def test_quality_of_phantoms(data: Path, tmp_path: Path) -> None:
    file, kept = tmp_path / "quality.json", tmp_path / "kept"
    asked = ["image-quality", str(data), *SETTINGS, "--count", "8", "--folder", str(kept), "--json", str(file)]
    answer = CliRunner().invoke(application, asked)
    assert answer.exit_code == 0, answer.output
    (result,) = json.loads(file.read_text())["results"]
    assert result["kid"] > result["kid_floor"], "noise is no chest"
    assert result["adherence"]["held_out_real"] == 12
    assert len(list(kept.glob("*.npy"))) == 2


def test_utility_of_phantoms(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "utility.json"
    asked = ["image-utility", str(data), *SETTINGS, "--count", "6", "--repeats", "1", "--json", str(file)]
    answer = CliRunner().invoke(application, asked)
    assert answer.exit_code == 0, answer.output
    result = json.loads(file.read_text())
    assert result["auc_real"] > 0.9
    assert 0 <= result["auc_synthetic"] <= 1
