"""What the shipped weights promise: a case whose tissues differ in each sequence as they do in patients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medsynth_app.segmentation.enhancement import contrast_uptake
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.tumor.learned.generator import LearnedConditions, LearnedTumorCaseGenerator
from medsynth_app.synthesis.weights import WeightsStore
from medsynth_app.vocabulary import Modality, TumorLabel

SEEDS = (0, 1)
SEQUENCES = [modality.value for modality in Modality]


@pytest.fixture(scope="module")
def cases() -> list[Any]:
    conditions = LearnedConditions().parse({"spacing_mm": 3.0, "volume_ml": 60.0, "grade": 4, "steps": 2})
    generator = LearnedTumorCaseGenerator(WeightsStore())
    return [generator.generate(GenerationRequest(seed, conditions)) for seed in SEEDS]


def median(case: Any, sequence: str, label: int) -> float:
    image = case.array[SEQUENCES.index(sequence)]
    return float(np.median(image[(case.label == label) & (image > 0)]))


def test_edema_is_bright_in_flair(cases: list[Any]) -> None:
    for case in cases:
        assert median(case, "flair", TumorLabel.EDEMA) > 1.1 * median(case, "flair", 0)


def test_enhancing_tumor_took_up_contrast_agent(cases: list[Any]) -> None:
    t1, t1ce = SEQUENCES.index("t1"), SEQUENCES.index("t1ce")
    for case in cases:
        images = case.array.astype(np.float32)
        uptake = contrast_uptake(images[t1], images[t1ce], (case.label == 0) & (images[t1] > 0))
        assert uptake is not None
        assert np.median(uptake[case.label == TumorLabel.ENHANCING_TUMOR]) > 1.0


def test_they_are_marked_with_the_weights(cases: list[Any]) -> None:
    assert len({case.mark.weights_hash for case in cases}) == 1
    assert cases[0].mark.weights_hash
    assert not np.array_equal(cases[0].array, cases[1].array)
