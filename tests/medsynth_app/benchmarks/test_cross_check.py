"""The benchmark's arithmetic, on a toy cohort; its figures come from `medsynth benchmark cross-check`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medsynth_app.benchmarks.cohorts.cohort import CohortConfiguration
from medsynth_app.benchmarks.cross_check import (
    BenchmarkConfiguration,
    CrossCheckBenchmark,
    draw_reliability,
    fit_calibration,
    run_cross_check_benchmark,
)
from medsynth_app.clinical.knowledge.lesion_library import LesionLibrary
from medsynth_app.clinical.knowledge.symptom_model import SymptomDefinition
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.atlas import Atlas

Definitions = dict[str, SymptomDefinition]
COHORT = CohortConfiguration(patients=90, seed=1, other_causes=1.0)
SMALL = BenchmarkConfiguration(cohort=COHORT, timed_cases=5)


@pytest.fixture(scope="module")
def result(toy_atlas: Atlas, toy_definitions: Definitions, toy_library: LesionLibrary) -> CrossCheckBenchmark:
    return run_cross_check_benchmark(toy_atlas, toy_definitions, toy_library, configuration=SMALL)


def test_numbers_are_in_range(result: CrossCheckBenchmark) -> None:
    areas = (*vars(result.score).values(), *vars(result.overlap).values())
    assert all(0.0 <= area <= 1.0 for area in areas)
    assert 20 <= result.scored <= result.patients == 90
    assert result.median_symptoms >= 1.0
    assert 0.0 <= result.calibration_error <= 1.0
    assert 0.0 < result.score_ms[0] <= result.score_ms[1]
    assert sum(result.classes_own.values()) == pytest.approx(1.0)
    assert sum(share for _, _, share in result.reliability_rows) == pytest.approx(1.0)
    assert result.score.permuted == pytest.approx(0.5, abs=0.2)


def test_same_configuration_same_figures(
    toy_atlas: Atlas, toy_definitions: Definitions, toy_library: LesionLibrary, result: CrossCheckBenchmark
) -> None:
    again = run_cross_check_benchmark(toy_atlas, toy_definitions, toy_library, configuration=SMALL)
    assert replace(again, score_ms=result.score_ms, score_processor_ms=result.score_processor_ms) == result


def test_result_is_json_and_marked(result: CrossCheckBenchmark) -> None:
    answer = json.loads(json.dumps(result.as_dict()))
    assert answer["notice"].startswith("Research and education only.")
    assert set(answer["score"]) == {"other_site", "mirrored", "permuted"}


def test_picture_is_a_png(result: CrossCheckBenchmark, tmp_path: Path) -> None:
    path = tmp_path / "reliability.png"
    draw_reliability(result, path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_calibration_of_the_cohort_names_it(
    toy_atlas: Atlas, toy_definitions: Definitions, toy_library: LesionLibrary
) -> None:
    fitted = fit_calibration(toy_atlas, toy_definitions, toy_library, COHORT)
    assert np.isfinite([fitted.slope, fitted.intercept]).all()
    assert fitted.cohort_size == 90
    assert len(fitted.cohort_hash) == 16


def test_too_small_a_cohort_is_refused(
    toy_atlas: Atlas, toy_definitions: Definitions, toy_library: LesionLibrary
) -> None:
    few = BenchmarkConfiguration(cohort=replace(COHORT, patients=5))
    with pytest.raises(InvalidValueError, match="of 5 patients have a localising symptom"):
        run_cross_check_benchmark(toy_atlas, toy_definitions, toy_library, configuration=few)
