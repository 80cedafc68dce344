"""Cases are compared on one footing, and too few real ones are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsynth_app.commands.benchmarks import tumor_quality as tumor_quality_benchmark
from medsynth_app.commands.benchmarks.tumor_quality import display_range, tumor_quality
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.volume import Volume


def test_display_range_ignores_gain_and_background() -> None:
    array = np.zeros((4, 12, 12, 12), np.float32)
    array[:, 2:10, 3:9, 2:11] = np.random.default_rng(0).uniform(100, 900, (4, 8, 6, 9))
    images = display_range(Volume(array, np.eye(4)))
    assert images.shape == (4, 8, 6, 9)
    assert images.min() == 0.0
    assert images.max() == 1.0
    np.testing.assert_allclose(images, display_range(Volume(5 * array, np.eye(4))), atol=1e-5)


def test_few_real_cases_are_refused(tmp_path: Path, build: Any) -> None:
    build.write_case(tmp_path, "case_0")
    with pytest.raises(InvalidValueError, match="1 real cases are too few, 8 are needed"):
        tumor_quality(tmp_path)


def test_figures_of_every_ready_generator(tmp_path: Path, build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        build.write_case(tmp_path / "cases", f"case_{number}")
    monkeypatch.setattr(tumor_quality_benchmark, "compared_volumes", lambda made, real: {
        name: float(len(made)) for name in
        ("kid", "kid_floor", "frechet", "frechet_floor", "coverage", "coverage_real")
    })  # fmt: skip
    monkeypatch.setattr(tumor_quality_benchmark, "SPACING_MM", 3.0)
    tumor_quality(tmp_path / "cases", generators="growth_model", count=1, json_file=tmp_path / "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["real_cases"] == 8
    assert figures["generators"]["growth_model"]["t1ce"]["kid"] == 1.0
    assert figures["generators"]["growth_model"]["mean"]["frechet"] == 1.0
