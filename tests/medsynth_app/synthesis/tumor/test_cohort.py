"""Drawn patients: repeatable, possible, and as unlike each other as promised."""

from __future__ import annotations

import numpy as np

from medsynth_app.synthesis.tumor.cohort import VOLUME_RANGE_ML, drawn_request


def test_a_seed_is_a_patient() -> None:
    assert drawn_request(3, 2.0) == drawn_request(3, 2.0)
    assert drawn_request(3) != drawn_request(4)
    assert drawn_request(3, 2.0).spacing_mm == 2.0


def test_the_cohort_spreads_as_documented() -> None:
    patients = [drawn_request(seed) for seed in range(300)]
    volumes = np.array([patient.volume_ml for patient in patients])
    assert 70 < np.median(volumes) < 100
    assert volumes.max() <= VOLUME_RANGE_ML[1]
    enhancing = [patient.profile.enhancing_fraction > 0.25 for patient in patients]
    assert 0.65 < np.mean(enhancing) < 0.85
    assert len({patient.site for patient in patients}) >= 7
    assert 0.4 < np.mean([patient.side == "left" for patient in patients]) < 0.6
    assert {patient.field_strength_t for patient in patients} == {1.5, 3.0}
