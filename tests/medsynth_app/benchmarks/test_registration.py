"""The registration benchmark on a small case: the mask's own side, the report's schema, the failed gates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medsynth_app.benchmarks.registration import benchmark_registration, share_on_the_left
from medsynth_app.clinical.site.tumor_images import TumorImages
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.atlas import load_atlas
from medsynth_app.imaging.atlas.registration import QualityGates, RegistrationConfiguration
from medsynth_app.imaging.studies.cases import find_cases
from medsynth_app.imaging.volume import Volume

QUICK = RegistrationConfiguration(
    fine_spacing_mm=4.0, coarse_spacing_mm=8.0, gates=QualityGates(least_brain_dice=0.8)
)
"""Half the resolution of the real setting, whose brain outline is coarser too."""


@pytest.mark.parametrize(("toward_left", "share"), [(1.0, 0.75), (-1.0, 0.25)])
def test_the_masks_own_side_follows_the_header(toward_left: float, share: float) -> None:
    image = np.ones((1, 8, 2, 2), np.float32)
    labels = np.zeros((8, 2, 2), np.uint8)
    labels[3:7] = 2  # one of four layers in the lower half
    affine = np.diag([-toward_left, 1.0, 1.0, 1.0])
    assert share_on_the_left(TumorImages("case", Volume(image, affine), labels)) == share


def test_a_case_is_timed_sided_and_valid(repository: Path) -> None:
    cases = [case for case in find_cases(repository / "sample-data" / "studies") if case.name == "MedSynth_002"]
    seen = []
    result = benchmark_registration(cases, load_atlas(), QUICK, progress=seen.append)
    (case,) = result.cases
    assert seen == [case]
    assert (case.side, case.side_is_right, case.schema_errors, case.failed) == (case.side_of_mask, True, (), ())
    assert case.share_of_side > 0.5
    assert (result.passed, result.right_sides, result.valid_reports) == (1, 1, 1)
    assert 0 < result.median_seconds == result.slowest_seconds == case.seconds


def test_a_failed_gate_is_told_and_its_side_does_not_count(repository: Path) -> None:
    cases = [case for case in find_cases(repository / "sample-data" / "studies") if case.name == "MedSynth_002"]
    strict = replace(QUICK, gates=QualityGates(least_brain_dice=0.999))
    result = benchmark_registration(cases, load_atlas(), strict)
    assert "brain_dice is" in result.cases[0].failed[0]
    assert (result.passed, result.right_sides, result.valid_reports) == (0, 0, 1)


def test_cases_without_labels_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="cases: none has a label"):
        benchmark_registration([], load_atlas())


@pytest.mark.real
def test_a_large_real_tumor_keeps_its_side(shared_data: Path) -> None:
    cases = [case for case in find_cases(shared_data / "brats") if case.name == "Brats18_TCIA10_637_1"]
    if not cases:
        pytest.skip("the case Brats18_TCIA10_637_1 is not among the real data")
    result = benchmark_registration(cases, load_atlas())
    assert result.cases[0].failed == ()
    assert result.right_sides == result.valid_reports == 1
