"""Statuses of connected components."""

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
from medsynth_app.clinical.scoring.components import ComponentOccupancy, ComponentStatus, component_support
from medsynth_app.clinical.scoring.evidence import SymptomEvidence, compile_observations
from medsynth_app.clinical.scoring.forward_model import SymptomForwardModel
from medsynth_app.imaging.atlas.brain_regions import Side

ARM_RIGHT = ReportedSymptom("arm_weakness", SymptomState.PRESENT, ReportedSide.RIGHT)


@pytest.fixture(scope="module")
def evidence(toy_definitions: dict[str, SymptomDefinition], toy_library: LesionLibrary) -> SymptomEvidence:
    return SymptomEvidence(
        toy_definitions, SymptomForwardModel(toy_definitions, toy_library.sites), toy_library
    )


def _component(
    evidence: SymptomEvidence, number: int, code: str, value: float, volume: float
) -> ComponentOccupancy:
    occupancy = np.zeros(len(evidence.library.sites))
    occupancy[[site.key for site in evidence.library.sites].index((code, Side.LEFT))] = value
    return ComponentOccupancy(number, occupancy, volume)


def _statuses(evidence: SymptomEvidence, *parts: ComponentOccupancy) -> list[tuple[ComponentStatus, bool]]:
    whole = np.sum([part.occupancy for part in parts], axis=0)
    observations = compile_observations([ARM_RIGHT], evidence.definitions)
    total = evidence.log_bayes_factor(whole, observations, 0.04)
    found = component_support(evidence, whole, total, parts, observations, 0.04)
    assert [support.id for support in found] == [part.id for part in parts]
    return [(support.status, support.possible_false_positive) for support in found]


@pytest.mark.parametrize(
    ("code", "value", "volume", "status", "doubtful"),
    [
        ("M1_HAND", 0.6, 12.0, ComponentStatus.SUPPORTED, False),
        ("OCC_CALC", 0.05, 0.5, ComponentStatus.UNSUPPORTED, True),
        ("OCC_CALC", 0.5, 10.0, ComponentStatus.UNSUPPORTED, False),
        ("OCC_CALC", 0.05, 0.05, ComponentStatus.NOT_CONTRADICTED, False),
    ],
)
def test_second_component(
    evidence: SymptomEvidence, code: str, value: float, volume: float, status: ComponentStatus, doubtful: bool
) -> None:
    first = _component(evidence, 1, "M1_HAND", 0.4, 8.0)
    second = _component(evidence, 2, code, value, volume)
    assert _statuses(evidence, first, second)[1] == (status, doubtful)


def test_only_component_is_judged_by_itself(evidence: SymptomEvidence) -> None:
    assert _statuses(evidence, _component(evidence, 1, "M1_HAND", 0.5, 9.0)) == [
        (ComponentStatus.SUPPORTED, False)
    ]
    assert _statuses(evidence, _component(evidence, 1, "MTL", 0.5, 9.0)) == [
        (ComponentStatus.UNSUPPORTED, False)
    ]


def test_without_symptoms_nothing_is_contradicted(evidence: SymptomEvidence) -> None:
    part = _component(evidence, 1, "MTL", 0.5, 9.0)
    nothing = compile_observations([], evidence.definitions)
    found = component_support(evidence, part.occupancy, 0.0, [part], nothing, 0.04)
    assert found[0].status is ComponentStatus.NOT_CONTRADICTED
    assert found[0].gain == 0.0
