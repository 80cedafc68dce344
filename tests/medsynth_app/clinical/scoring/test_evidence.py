"""Bayes factors: what answers mean, and what must not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medsynth_app.clinical.knowledge.lesion_library import LesionLibrary, mirror_order
from medsynth_app.clinical.knowledge.symptom_model import (
    ReportedSide,
    ReportedSymptom,
    SymptomDefinition,
    SymptomState,
)
from medsynth_app.clinical.scoring.evidence import (
    EvidenceConfiguration,
    SymptomEvidence,
    compile_observations,
)
from medsynth_app.clinical.scoring.forward_model import ForwardModelConfiguration, SymptomForwardModel
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.brain_regions import Side, SidedRegion

Sites = tuple[SidedRegion, ...]
Definitions = dict[str, SymptomDefinition]
PRESENT, DENIED = SymptomState.PRESENT, SymptomState.DENIED
LEFT, RIGHT, UNKNOWN, NONE = ReportedSide.LEFT, ReportedSide.RIGHT, ReportedSide.UNKNOWN, ReportedSide.NONE
OTHER = {LEFT: RIGHT, RIGHT: LEFT, UNKNOWN: UNKNOWN, NONE: NONE}


@pytest.fixture(scope="module")
def evidence(toy_definitions: Definitions, toy_library: LesionLibrary) -> SymptomEvidence:
    model = SymptomForwardModel(toy_definitions, toy_library.sites)
    return SymptomEvidence(toy_definitions, model, toy_library)


def _mask(sites: Sites, **filled: float) -> np.ndarray:
    """Occupancy from ``M1_HAND_left=0.5``."""
    occupancy = np.zeros(len(sites))
    for name, value in filled.items():
        code, side = name.rsplit("_", 1)
        occupancy[[site.key for site in sites].index((code, Side(side)))] = value
    return occupancy


def _score(
    evidence: SymptomEvidence, mask: np.ndarray, *answers: ReportedSymptom, dominance: float = 0.04
) -> float:
    return evidence.log_bayes_factor(mask, compile_observations(answers, evidence.definitions), dominance)


def _random_answers(generator: np.random.Generator, definitions: Definitions) -> list[ReportedSymptom]:
    names = generator.permutation(list(definitions))[:5]
    return [
        ReportedSymptom(
            str(name),
            PRESENT if generator.random() < 0.7 else DENIED,
            (LEFT, RIGHT, UNKNOWN)[generator.integers(3)],
        )
        for name in names
    ]


def test_right_site_scores_above_wrong_site(evidence: SymptomEvidence, toy_sites: Sites) -> None:
    arm = ReportedSymptom("arm_weakness", PRESENT, RIGHT)
    assert _score(evidence, _mask(toy_sites, M1_HAND_left=0.5), arm) > 1.0
    assert _score(evidence, _mask(toy_sites, M1_HAND_right=0.5), arm) < -0.8
    assert _score(evidence, _mask(toy_sites, OCC_CALC_left=0.5), arm) < -1.0


def test_symptom_without_strength_and_blank_change_nothing(
    evidence: SymptomEvidence, toy_sites: Sites
) -> None:
    mask = _mask(toy_sites, BROCA_left=0.5)
    aphasia = ReportedSymptom("aphasia")
    alone = _score(evidence, mask, aphasia)
    assert _score(evidence, mask, aphasia, ReportedSymptom("headache")) == pytest.approx(alone)
    blank = ReportedSymptom("arm_weakness", SymptomState.NOT_ASKED)
    assert _score(evidence, mask, aphasia, blank) == alone
    assert _score(evidence, mask, blank) == 0.0


def test_denial_of_an_expected_symptom_counts_a_little(evidence: SymptomEvidence, toy_sites: Sites) -> None:
    mask = _mask(toy_sites, BROCA_left=0.6)
    denied = _score(evidence, mask, ReportedSymptom("aphasia", DENIED))
    missing = _score(evidence, _mask(toy_sites, BROCA_right=0.6), ReportedSymptom("aphasia"))
    assert -0.3 < denied < -0.01
    assert missing < 4 * denied


def test_handedness_moves_language(evidence: SymptomEvidence, toy_sites: Sites) -> None:
    left, right = _mask(toy_sites, BROCA_left=0.5), _mask(toy_sites, BROCA_right=0.5)
    aphasia = ReportedSymptom("aphasia")
    assert _score(evidence, left, aphasia, dominance=0.04) > _score(evidence, left, aphasia, dominance=0.27)
    assert _score(evidence, right, aphasia, dominance=0.04) < _score(evidence, right, aphasia, dominance=0.27)


@pytest.mark.parametrize("seed", range(12))
def test_mirrored_mask_and_sides_give_the_same_score(
    evidence: SymptomEvidence, toy_definitions: Definitions, toy_library: LesionLibrary, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    mask = toy_library.occupancy[generator.integers(400)].astype(float)
    answers = _random_answers(generator, toy_definitions)
    mirrored = [ReportedSymptom(a.id, a.state, OTHER[a.side]) for a in answers]
    score = _score(evidence, mask, *answers, dominance=0.1)
    # the dominant hemisphere is mirrored with the rest
    other = _score(evidence, mask[mirror_order(toy_library.sites)], *mirrored, dominance=0.9)
    # the library's saturations are single precision
    assert other == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_order_and_repetition_never_matter(
    evidence: SymptomEvidence, toy_definitions: Definitions, toy_library: LesionLibrary, seed: int
) -> None:
    generator = np.random.default_rng(100 + seed)
    mask = toy_library.occupancy[generator.integers(400)].astype(float)
    answers = _random_answers(generator, toy_definitions)
    shuffled = [answers[index] for index in generator.permutation(len(answers))]
    assert _score(evidence, mask, *shuffled, answers[0]) == _score(evidence, mask, *answers)


@pytest.mark.parametrize("seed", range(24))
def test_unknown_side_lies_between_the_two(
    evidence: SymptomEvidence, toy_definitions: Definitions, toy_library: LesionLibrary, seed: int
) -> None:
    generator = np.random.default_rng(200 + seed)
    mask = toy_library.occupancy[generator.integers(400)].astype(float)
    rest = [
        a for a in _random_answers(generator, toy_definitions) if a.id not in ("arm_weakness", "hemianopia")
    ]
    for name in ("arm_weakness", "hemianopia"):
        left, right, unknown = (
            _score(evidence, mask, *rest, ReportedSymptom(name, PRESENT, side))
            for side in (LEFT, RIGHT, UNKNOWN)
        )
        assert min(left, right) - 1e-9 <= unknown <= max(left, right) + 1e-9


@pytest.mark.parametrize("seed", range(24))
def test_an_explained_symptom_never_lowers_the_score(
    evidence: SymptomEvidence, toy_definitions: Definitions, seed: int
) -> None:
    generator = np.random.default_rng(300 + seed)
    mask = generator.uniform(0.0, 0.7, size=len(evidence.library.sites))
    answers = _random_answers(generator, toy_definitions)
    for name in ("arm_weakness", "hemianopia", "deja_vu", "limb_ataxia"):
        side = (LEFT, RIGHT)[generator.integers(2)]
        added = ReportedSymptom(name, PRESENT, side)
        observation = compile_observations([added], toy_definitions)
        saturation = evidence.saturation(mask, observation)[0, 0 if side is LEFT else 1, 0]
        rest = [a for a in answers if a.id != name]
        if saturation >= 0.5:
            assert _score(evidence, mask, *rest, added) >= _score(evidence, mask, *rest) - 1e-9


def test_without_the_cap_an_explained_symptom_can_lower_the_score(
    toy_definitions: Definitions, toy_library: LesionLibrary, toy_sites: Sites
) -> None:
    """The rule is needed: a quarter of a region is worse than all of it once the library is narrowed down."""
    places = ("M1_HAND_left", "M1_HAND_right", "OCC_CALC_left", "OCC_CALC_right")
    lesions = np.stack([_mask(toy_sites, **{place: 1.0}) for place in places])
    library = LesionLibrary(
        lesions, np.full(4, 20.0), toy_library.site_ml, toy_library.proximity, toy_sites, "four lesions"
    )
    model = SymptomForwardModel(toy_definitions, toy_sites, ForwardModelConfiguration(saturation=3.0))
    mask = _mask(toy_sites, M1_HAND_left=0.25, MTL_left=0.75)
    arm = ReportedSymptom("arm_weakness", PRESENT, RIGHT)
    clumsy = ReportedSymptom("clumsy_hand", PRESENT, RIGHT)

    def gain(cap: bool) -> float:
        scorer = SymptomEvidence(toy_definitions, model, library, EvidenceConfiguration(cap_explained=cap))
        return _score(scorer, mask, arm, clumsy) - _score(scorer, mask, arm)

    assert gain(cap=False) < -0.1
    assert gain(cap=True) >= 0.0


def test_the_mirrored_mask_stands_among_the_alternatives(
    evidence: SymptomEvidence, toy_definitions: Definitions, toy_library: LesionLibrary, toy_sites: Sites
) -> None:
    without = SymptomEvidence(
        toy_definitions, evidence.forward, toy_library, EvidenceConfiguration(mirrored_weight=0.0)
    )
    mask = _mask(toy_sites, M1_HAND_left=0.6)
    swapped = [ReportedSymptom("arm_weakness", PRESENT, LEFT), ReportedSymptom("clumsy_hand", PRESENT, LEFT)]
    matching = [replace(answer, side=RIGHT) for answer in swapped]
    assert _score(evidence, mask, *swapped) < _score(without, mask, *swapped) - 0.3
    assert _score(evidence, mask, *matching) == pytest.approx(_score(without, mask, *matching), abs=0.06)
    weights = evidence.alternatives(mask)
    assert weights.sum() == pytest.approx(1.0)
    assert weights[-1] == evidence.configuration.mirrored_weight


def test_the_fingerprint_follows_all_that_decides_a_score(
    evidence: SymptomEvidence, toy_definitions: Definitions, toy_library: LesionLibrary
) -> None:
    def fingerprint(definitions: Definitions, numbers: EvidenceConfiguration = EvidenceConfiguration()) -> str:
        model = SymptomForwardModel(definitions, toy_library.sites)
        return SymptomEvidence(definitions, model, toy_library, numbers).fingerprint

    arm = toy_definitions["arm_weakness"]
    assert fingerprint(dict(reversed(toy_definitions.items()))) == evidence.fingerprint
    stronger = {**toy_definitions, "arm_weakness": replace(arm, strength=arm.strength - 0.05)}
    assert fingerprint(stronger) != evidence.fingerprint
    assert fingerprint(toy_definitions, EvidenceConfiguration(denial_weight=0.4)) != evidence.fingerprint


def test_leave_one_out_agrees_with_leaving_one_out(evidence: SymptomEvidence, toy_sites: Sites) -> None:
    mask = _mask(toy_sites, M1_HAND_left=0.4, BROCA_left=0.2)
    answers = [
        ReportedSymptom("arm_weakness", PRESENT, RIGHT),
        ReportedSymptom("aphasia"),
        ReportedSymptom("deja_vu", DENIED),
        ReportedSymptom("hemianopia", DENIED, LEFT),
    ]
    observations = compile_observations(answers, evidence.definitions)
    factors = evidence.terms(mask, observations).leaving_one_out(0.04)
    for row, answer in enumerate(observations.reported):
        rest = [other for other in observations.reported if other is not answer]
        assert factors[row + 1] == pytest.approx(_score(evidence, mask, *rest), abs=1e-9)


def test_alone_agrees_with_a_score_of_one(evidence: SymptomEvidence, toy_sites: Sites) -> None:
    mask = _mask(toy_sites, M1_HAND_left=0.4)
    answers = [ReportedSymptom("arm_weakness", PRESENT, RIGHT), ReportedSymptom("hemianopia", DENIED)]
    observations = compile_observations(answers, evidence.definitions)
    alone = evidence.terms(mask, observations).alone(0.04)
    for row, answer in enumerate(observations.reported):
        assert alone[row] == pytest.approx(_score(evidence, mask, answer))


def test_volumes_are_matched(evidence: SymptomEvidence, toy_sites: Sites) -> None:
    weights = evidence.kernel(_mask(toy_sites, M1_HAND_left=0.5))
    assert weights.sum() == pytest.approx(1.0)
    mean = float(np.exp(weights @ np.log(evidence.library.effective_ml)))
    assert mean == pytest.approx(10.0, rel=0.25)


def test_posterior_finds_the_site(evidence: SymptomEvidence, toy_sites: Sites) -> None:
    observations = compile_observations([ReportedSymptom("hemianopia", PRESENT, LEFT)], evidence.definitions)
    posterior = evidence.posterior(observations, 0.04)
    assert posterior.sum() == pytest.approx(1.0)
    mean = posterior @ evidence.library.occupancy
    assert toy_sites[int(np.argmax(mean))].key == ("OCC_CALC", Side.RIGHT)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (
            [ReportedSymptom("arm_weaknes")],
            r"'arm_weaknes' is not in the knowledge base; did you mean arm_weakness, ",
        ),
        (
            [ReportedSymptom("aphasia"), ReportedSymptom("aphasia", DENIED)],
            "'aphasia' is reported as present and as",
        ),
        (
            [ReportedSymptom("arm_weakness", PRESENT, LEFT), ReportedSymptom("arm_weakness", DENIED)],
            "'arm_weakness' is reported as present and as denied",
        ),
    ],
)
def test_bad_answers_are_refused(
    toy_definitions: Definitions, answers: list[ReportedSymptom], message: str
) -> None:
    with pytest.raises(InvalidValueError, match=message):
        compile_observations(answers, toy_definitions)


def test_present_on_one_side_denied_on_the_other_is_no_contradiction(toy_definitions: Definitions) -> None:
    answers = [ReportedSymptom("arm_weakness", PRESENT, LEFT), ReportedSymptom("arm_weakness", DENIED, RIGHT)]
    assert len(compile_observations(answers, toy_definitions)) == 2


@pytest.mark.parametrize(
    ("answer", "warnings"),
    [
        (ReportedSymptom("arm_weakness"), ("side_missing:arm_weakness",)),
        (ReportedSymptom("arm_weakness", PRESENT, NONE), ("side_missing:arm_weakness",)),
        (ReportedSymptom("deja_vu", PRESENT, LEFT), ("side_ignored:deja_vu",)),
        (ReportedSymptom("arm_weakness", DENIED), ()),
        (ReportedSymptom("arm_weakness", PRESENT, LEFT), ()),
    ],
)
def test_side_warnings(
    toy_definitions: Definitions, answer: ReportedSymptom, warnings: tuple[str, ...]
) -> None:
    assert compile_observations([answer], toy_definitions).warnings == warnings


def test_parts_of_different_atlases_are_refused(
    toy_definitions: Definitions, toy_library: LesionLibrary
) -> None:
    model = SymptomForwardModel(toy_definitions, toy_library.sites[::-1])
    with pytest.raises(InvalidValueError, match="different sites or symptoms"):
        SymptomEvidence(toy_definitions, model, toy_library)
