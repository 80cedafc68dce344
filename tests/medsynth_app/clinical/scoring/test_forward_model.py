"""The forward model: side rules, saturation, bounds."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.clinical.knowledge.symptom_model import (
    Handedness,
    LateralityRule,
    SymptomDefinition,
    SymptomKind,
)
from medsynth_app.clinical.scoring.forward_model import (
    LEFT,
    RIGHT,
    RIGHT_DOMINANCE,
    ForwardModelConfiguration,
    SymptomForwardModel,
    site_weights,
)
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.brain_regions import SIDED_REGIONS, Side, SidedRegion

Sites = tuple[SidedRegion, ...]


def _one_region(rule: LateralityRule, code: str = "M1_HAND") -> SymptomDefinition:
    return SymptomDefinition("x", 0.5, SymptomKind.DEFICIT, rule, "body", {code: 0.4})


def _weight(weights: np.ndarray, sites: Sites, code: str, side: Side, body: int, dominant: int) -> float:
    index = [site.key for site in sites].index((code, side))
    return float(weights[body, dominant, index])


@pytest.mark.parametrize(
    ("rule", "body", "dominant", "left", "right"),
    [
        (LateralityRule.CONTRALATERAL, RIGHT, LEFT, 1.0, 0.0),
        (LateralityRule.CONTRALATERAL, LEFT, LEFT, 0.0, 1.0),
        (LateralityRule.IPSILATERAL, RIGHT, LEFT, 0.0, 1.0),
        (LateralityRule.DOMINANT, LEFT, LEFT, 1.0, 0.0),
        (LateralityRule.DOMINANT, LEFT, RIGHT, 0.0, 1.0),
        (LateralityRule.NONDOMINANT, RIGHT, LEFT, 0.0, 1.0),
        (LateralityRule.BILATERAL_OR_MIDLINE, LEFT, LEFT, 1.0, 1.0),
        (LateralityRule.NON_LATERALISING, RIGHT, RIGHT, 1.0, 1.0),
        (LateralityRule.NONE, RIGHT, RIGHT, 1.0, 1.0),
    ],
)
def test_side_rules(
    toy_sites: Sites, rule: LateralityRule, body: int, dominant: int, left: float, right: float
) -> None:
    weights = site_weights(_one_region(rule), toy_sites)
    assert _weight(weights, toy_sites, "M1_HAND", Side.LEFT, body, dominant) == left
    assert _weight(weights, toy_sites, "M1_HAND", Side.RIGHT, body, dominant) == right


def test_override_wins_in_its_region(toy_sites: Sites, toy_definitions: dict[str, SymptomDefinition]) -> None:
    weights = site_weights(toy_definitions["clumsy_hand"], toy_sites)
    assert _weight(weights, toy_sites, "M1_HAND", Side.LEFT, RIGHT, LEFT) == 1.0
    assert _weight(weights, toy_sites, "CBL_HEM", Side.LEFT, RIGHT, LEFT) == 0.0
    assert _weight(weights, toy_sites, "CBL_HEM", Side.RIGHT, RIGHT, LEFT) == 1.0


def test_midline_site_counts_whatever_the_rule(toy_sites: Sites) -> None:
    weights = site_weights(_one_region(LateralityRule.CONTRALATERAL, "CHIASM"), toy_sites)
    assert _weight(weights, toy_sites, "CHIASM", Side.MIDLINE, LEFT, LEFT) == 1.0
    assert _weight(weights, toy_sites, "CHIASM", Side.MIDLINE, RIGHT, LEFT) == 1.0


def test_sided_symptom_without_regions_points_to_the_side(
    toy_sites: Sites, toy_definitions: dict[str, SymptomDefinition]
) -> None:
    weights = site_weights(toy_definitions["headache_one_side"], toy_sites)[RIGHT, LEFT]
    assert {site.side for site, weight in zip(toy_sites, weights) if weight} == {Side.RIGHT}


def test_unknown_region_is_named(toy_sites: Sites) -> None:
    with pytest.raises(InvalidValueError, match=r"regions \['SPL'\] of symptom 'x' are not in the atlas"):
        site_weights(_one_region(LateralityRule.DOMINANT, "SPL"), toy_sites)


def test_probability_grows_with_occupancy_and_stays_below_the_ceiling(
    toy_sites: Sites, toy_definitions: dict[str, SymptomDefinition]
) -> None:
    model = SymptomForwardModel(toy_definitions, toy_sites)
    steps = np.linspace(0.0, 1.0, 6)[:, None] * np.ones(len(toy_sites))
    saturation = model.saturation(steps)
    probability = model.probabilities(saturation, model.ceilings[:, None, None, None])
    arm = probability[model.position["arm_weakness"], RIGHT, LEFT]
    assert np.all(np.diff(arm) > 0)
    assert arm[0] == pytest.approx(0.006)
    assert arm[-1] < 0.006 + 0.55 * 0.8
    headache = probability[model.position["headache"]]
    np.testing.assert_allclose(headache, 0.006)


def test_a_named_side_may_mislead(toy_sites: Sites, toy_definitions: dict[str, SymptomDefinition]) -> None:
    destroyed = np.array([[float(site.key == ("M1_HAND", Side.LEFT)) for site in toy_sites]])
    for confusion in (0.0, 0.1):
        numbers = ForwardModelConfiguration(side_confusion=confusion)
        model = SymptomForwardModel(toy_definitions, toy_sites, numbers)
        arm = model.saturation(destroyed)[model.position["arm_weakness"], :, LEFT, 0]
        full = 1.0 - np.exp(-numbers.saturation)
        assert arm[RIGHT] == pytest.approx((1.0 - confusion) * full)
        assert arm[LEFT] == pytest.approx(confusion * full)


def test_a_lesion_reaches_its_neighbours(
    toy_sites: Sites, toy_definitions: dict[str, SymptomDefinition]
) -> None:
    keys = [site.key for site in toy_sites]
    proximity = np.eye(len(toy_sites))
    for side in (Side.RIGHT, Side.LEFT):
        hand, broca = keys.index(("M1_HAND", side)), keys.index(("BROCA", side))
        proximity[hand, broca], proximity[hand, hand] = 0.2, 0.8
    model = SymptomForwardModel(toy_definitions, toy_sites, proximity=proximity)
    arm = model.weights[model.position["arm_weakness"], RIGHT, LEFT]
    assert arm[hand] == 1.0
    assert arm[broca] == pytest.approx(0.25)
    assert model.base_weights[model.position["arm_weakness"], RIGHT, LEFT, broca] == 0.0


def test_shipped_knowledge_base_fits_the_atlas(definitions: dict[str, SymptomDefinition]) -> None:
    model = SymptomForwardModel(definitions, SIDED_REGIONS)
    largest = model.base_weights.max(axis=(1, 2, 3))
    points_somewhere = [d.localises or d.needs_side for d in definitions.values()]
    np.testing.assert_array_equal(largest[points_somewhere], 1.0)


def test_knecht_figures() -> None:
    assert RIGHT_DOMINANCE[Handedness.RIGHT] == 0.04
    assert RIGHT_DOMINANCE[Handedness.AMBIDEXTROUS] == 0.15
    assert RIGHT_DOMINANCE[Handedness.LEFT] == 0.27
    assert RIGHT_DOMINANCE[Handedness.UNKNOWN] == pytest.approx(0.9 * 0.04 + 0.1 * 0.27)
