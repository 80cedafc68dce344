"""The 80 % interval."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.clinical.knowledge.lesion_library import LesionLibrary
from medsynth_app.clinical.knowledge.symptom_model import (
    ReportedSide,
    ReportedSymptom,
    SymptomDefinition,
    SymptomState,
)
from medsynth_app.clinical.scoring.evidence import SymptomEvidence, compile_observations
from medsynth_app.clinical.scoring.forward_model import SymptomForwardModel
from medsynth_app.clinical.scoring.score_interval import IntervalConfiguration, log_bayes_factor_interval

ARM = ReportedSymptom("arm_weakness", SymptomState.PRESENT, ReportedSide.RIGHT)
APHASIA = ReportedSymptom("aphasia")
DENIED = ReportedSymptom("hemianopia", SymptomState.DENIED)


@pytest.fixture(scope="module")
def evidence(toy_definitions: dict[str, SymptomDefinition], toy_library: LesionLibrary) -> SymptomEvidence:
    model = SymptomForwardModel(toy_definitions, toy_library.sites)
    return SymptomEvidence(toy_definitions, model, toy_library)


def _interval(
    evidence: SymptomEvidence, *answers: ReportedSymptom, seed: int = 0, **settings: float
) -> tuple[float, float]:
    mask = evidence.library.occupancy[0].astype(float)
    mask[:] = 0.02
    mask[0] = 0.5
    observations = compile_observations(answers, evidence.definitions)
    numbers = IntervalConfiguration(**settings)  # type: ignore[arg-type]
    return log_bayes_factor_interval(evidence, mask, observations, 0.04, seed=seed, configuration=numbers)


def test_no_answers_no_width(evidence: SymptomEvidence) -> None:
    assert _interval(evidence) == (0.0, 0.0)


def test_same_seed_same_interval(evidence: SymptomEvidence) -> None:
    one = _interval(evidence, ARM, APHASIA, DENIED)
    assert _interval(evidence, DENIED, APHASIA, ARM) == one
    assert _interval(evidence, ARM, APHASIA, DENIED, seed=1) != one


@pytest.mark.parametrize(
    "answers", [(ARM,), (ARM, APHASIA), (ARM, DENIED), (ReportedSymptom("arm_weakness"),)]
)
def test_interval_surrounds_the_score(
    evidence: SymptomEvidence, answers: tuple[ReportedSymptom, ...]
) -> None:
    mask = np.full(len(evidence.library.sites), 0.02)
    mask[0] = 0.5
    observations = compile_observations(answers, evidence.definitions)
    score = evidence.log_bayes_factor(mask, observations, 0.04)
    low, high = _interval(evidence, *answers, replicates=200, lesions=400)
    assert low - 0.15 < score < high + 0.15
    assert high - low > 0.05


def test_surer_weights_and_masks_give_a_narrower_interval(evidence: SymptomEvidence) -> None:
    wide = _interval(evidence, ARM, APHASIA, replicates=200)
    narrow = _interval(
        evidence, ARM, APHASIA, replicates=200, concentration=2000.0, occupancy_noise=0.0, lesions=3000
    )
    assert narrow[1] - narrow[0] < 0.6 * (wide[1] - wide[0])


def test_only_denials(evidence: SymptomEvidence) -> None:
    low, high = _interval(evidence, DENIED)
    assert abs(low) < 0.5
    assert abs(high) < 0.5
    assert np.isfinite([low, high]).all()
