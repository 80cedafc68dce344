"""What may be asked, and how a refusal reads."""

import json

import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.tumor.request import (
    DEFAULT_SEQUENCES,
    GRADE_PROFILES,
    Side,
    TumorCaseRequest,
    TumorSite,
)


def test_names_become_members() -> None:
    request = TumorCaseRequest.from_parameters({"site": "temporal", "side": "left"})
    assert (request.site, request.side) == (TumorSite.TEMPORAL, Side.LEFT)


def test_conditions_are_json_and_read_back_to_the_same_request() -> None:
    timing = {"t1": DEFAULT_SEQUENCES["t2"]}
    request = TumorCaseRequest(seed=5, seed_point_mm=(-90.0, 120.0, 80.0), sequences=timing)
    conditions = json.loads(json.dumps(request.as_conditions()))
    assert TumorCaseRequest.from_parameters(conditions) == request


def test_timing_left_out_keeps_its_default() -> None:
    request = TumorCaseRequest.from_parameters({"sequences": {"flair": {"echo_time_ms": 90}}})
    assert request.sequences["flair"].echo_time_ms == 90
    assert request.sequences["flair"].inversion_time_ms == DEFAULT_SEQUENCES["flair"].inversion_time_ms
    assert request.sequences["t2"] == DEFAULT_SEQUENCES["t2"]


@pytest.mark.parametrize("grade", GRADE_PROFILES)
def test_grade_gives_the_fractions_that_are_not_set(grade: int) -> None:
    assert TumorCaseRequest(grade=grade).profile == GRADE_PROFILES[grade]
    assert TumorCaseRequest(grade=grade, edema_extent=0.1).profile.edema_extent == 0.1


def test_a_fraction_set_alone_takes_room_from_the_other() -> None:
    profile = TumorCaseRequest(grade=4, enhancing_fraction=0.9).profile
    assert profile.enhancing_fraction == 0.9
    assert profile.necrotic_fraction == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"seed": "7"}, "seed: '7' must be a whole number"),
        ({"seed": True}, "seed: True must be a whole number"),
        ({"seed": -1}, "seed: -1 must be"),
        ({"volume_ml": 0}, "volume_ml: 0 must be a number between 0.5 and 350"),
        ({"volume_ml": 2000}, "volume_ml: 2000 must be a number between 0.5 and 350"),
        ({"volume_ml": float("nan")}, "volume_ml: nan"),
        ({"volume_ml": 100, "site": "brainstem"}, "volume_ml: 100 ml does not fit the site 'brainstem'"),
        ({"grade": 1}, "grade: 1 must be a whole number between 2 and 4"),
        ({"site": "liver"}, "site: 'liver' is not known, allowed are frontal, parietal"),
        ({"side": "both"}, "side: 'both' is not known, allowed are left, right"),
        ({"enhancing_fraction": 0.8, "necrotic_fraction": 0.4}, "enhancing_fraction: 0.8 and necrotic_"),
        ({"edema_extent": 1.0}, "edema_extent: 1.0 must be a number between 0 and 0.95"),
        ({"seed_point_mm": [1, 2]}, r"seed_point_mm: \[1, 2\] must be three numbers"),
        ({"seed_point_mm": [1, 2, 3], "side": "left"}, "seed_point_mm: .* leave site and side out"),
        ({"contrast_agent": "yes"}, "contrast_agent: 'yes' must be true or false"),
        ({"field_strength_t": 7}, "field_strength_t: 7 is not known, allowed are"),
        ({"spacing_mm": 0.2}, "spacing_mm: 0.2 must be a number between 1 and 3"),
        ({"slice_thickness_mm": 50}, "slice_thickness_mm: 50 must be"),
        ({"noise": -0.1}, "noise: -0.1 must be"),
        ({"bias_field": 3}, "bias_field: 3 must be"),
        ({"mass_effect": 9}, "mass_effect: 9 must be"),
        ({"contrast_uptake": -1}, "contrast_uptake: -1 must be"),
        ({"edema_density": 0}, "edema_density: 0 must be"),
        ({"tissue_variation": "much"}, "tissue_variation: 'much' must be"),
        ({"in_plane_resolution_mm": 0}, "in_plane_resolution_mm: 0 must be"),
        ({"sequences": {"dwi": {}}}, "sequences: 'dwi' is not known, allowed are flair, t1, t1ce, t2"),
        ({"sequences": {"t1": {"flip_angle": 9}}}, "sequences.t1: .* must hold only repetition_time_ms"),
        ({"sequences": {"t1": {"echo_time_ms": 0}}}, "sequences.t1.echo_time_ms: 0 must be"),
        ({"sequences": "fast"}, "sequences: 'fast' must map"),
        ({"volume": 3}, "volume: is no condition of this generator, known are seed, site"),
    ],
)
def test_impossible_conditions_are_refused_by_name(parameters: dict, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        TumorCaseRequest.from_parameters(parameters)
