"""The correction benchmark on a small head: strokes bring the label nearer to the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from medsynth_app.benchmarks.correction import correct_cases
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.studies.cases import find_cases
from medsynth_app.segmentation.network import NetworkConfiguration, build_network
from medsynth_app.vocabulary import TumorRegion


def test_strokes_help_and_are_counted(tmp_path: Path, build: Any) -> None:
    build.write_case(tmp_path, "head")
    torch.manual_seed(0)
    configuration = NetworkConfiguration(name="subpixel_unet", width=4, dropout=0.0)
    model = (build_network(configuration).eval(), configuration, {})
    result = correct_cases(find_cases(tmp_path), model, strokes=2, region=None)
    assert set(result["mean"]) == {region.value for region in TumorRegion}
    assert len(result["mean"]["WT"]) == 3
    # an untrained network is so wrong that every stroke of the largest error must help
    assert sum(result["gain"][name][1] for name in result["gain"]) > 0
    case = result["cases"]["head"]
    assert len(case["seconds"]) == len(case["changed"]) == 2
    assert min(case["changed"]) > 0


def test_cases_without_labels_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="cases: none of them has a label"):
        correct_cases([], None, strokes=1)  # type: ignore[arg-type]
