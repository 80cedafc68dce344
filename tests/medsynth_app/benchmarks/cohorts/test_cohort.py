"""The simulated cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from medsynth_app.benchmarks.cohorts.anatomy import DEFICITS, LANDMARKS_MM, PRESSURE_RATES, SEIZURES
from medsynth_app.benchmarks.cohorts.cohort import (
    SITE_SHARES,
    CohortConfiguration,
    SimulatedPatient,
    cohort_hash,
    simulate_cohort,
)
from medsynth_app.clinical.knowledge.symptom_model import (
    Handedness,
    LateralityRule,
    ReportedSide,
    SymptomDefinition,
    SymptomState,
)
from medsynth_app.imaging.atlas.atlas import Atlas

Definitions = dict[str, SymptomDefinition]
SMALL = CohortConfiguration(patients=80, seed=2)


@pytest.fixture(scope="module")
def cohort(toy_atlas: Atlas, definitions: Definitions) -> list[SimulatedPatient]:
    return simulate_cohort(toy_atlas, definitions, SMALL)


def _told(cohort: Sequence[SimulatedPatient], symptom: str) -> list[ReportedSide]:
    return [
        answer.side
        for patient in cohort
        for answer in patient.symptoms
        if answer.id == symptom and answer.state is SymptomState.PRESENT
    ]


def test_same_seed_same_patients(
    toy_atlas: Atlas, definitions: Definitions, cohort: list[SimulatedPatient]
) -> None:
    again = simulate_cohort(toy_atlas, definitions, replace(SMALL, patients=5))
    assert [patient.symptoms for patient in again] == [patient.symptoms for patient in cohort[:5]]
    np.testing.assert_array_equal(again[3].occupancy, cohort[3].occupancy)
    assert cohort_hash(toy_atlas, SMALL) != cohort_hash(toy_atlas, replace(SMALL, seed=3))


def test_patients_are_valid_cases(cohort: list[SimulatedPatient], definitions: Definitions) -> None:
    for patient in cohort:
        assert patient.occupancy.min() >= 0.0
        assert patient.occupancy.max() <= 1.0
        assert patient.volume_ml > 0.0
        assert len({answer.id for answer in patient.symptoms}) == len(patient.symptoms)
        assert {answer.id for answer in patient.symptoms} <= set(definitions)
    assert np.mean([patient.handedness is Handedness.RIGHT for patient in cohort]) == pytest.approx(
        0.88, abs=0.1
    )


def test_sides_are_told_only_where_they_mean_something(
    cohort: list[SimulatedPatient], definitions: Definitions
) -> None:
    sides = {answer.side for patient in cohort for answer in patient.symptoms if answer.id in PRESSURE_RATES}
    assert sides <= {ReportedSide.NONE, ReportedSide.UNKNOWN}
    assert ReportedSide.LEFT in _told(cohort, "hemiparesis")


def test_false_localising_signs_come_at_their_rate(toy_atlas: Atlas, definitions: Definitions) -> None:
    sure = replace(SMALL, patients=80, told=1.0, other_causes=0.0)
    many = simulate_cohort(toy_atlas, definitions, replace(sure, false_localising=1.0))
    none = simulate_cohort(toy_atlas, definitions, replace(sure, false_localising=0.0))
    assert len(_told(many, "cn6_palsy")) / 80 == pytest.approx(12 / 20, abs=0.16)
    assert _told(none, "cn6_palsy") == []


def test_who_tells_nothing_denies_or_leaves_blank(toy_atlas: Atlas, definitions: Definitions) -> None:
    silent = simulate_cohort(toy_atlas, definitions, replace(SMALL, patients=10, told=0.0, denied=0.5))
    states = [answer.state for patient in silent for answer in patient.symptoms]
    assert set(states) == {SymptomState.DENIED}
    assert len(states) / (10 * len(definitions)) == pytest.approx(0.5, abs=0.05)


def test_tables_name_known_symptoms_and_landmarks(definitions: Definitions) -> None:
    for row in (*DEFICITS, *SEIZURES):
        assert row.id in definitions
        assert set(row.landmarks) <= set(LANDMARKS_MM)
    assert set(PRESSURE_RATES) <= set(definitions)
    assert sum(SITE_SHARES.values()) == pytest.approx(1.0)
    assert all(x >= 0 for x, _, _ in LANDMARKS_MM.values())


def test_generator_and_knowledge_base_agree_on_sides(definitions: Definitions) -> None:
    """Textbook facts, not weights: a cohort with other side rules would test nothing."""
    sided = (LateralityRule.CONTRALATERAL, LateralityRule.IPSILATERAL)
    for row in DEFICITS:
        if row.rule in sided:
            assert definitions[row.id].laterality_rule is row.rule, row.id
