"""How far a score would move if what it rests on were slightly different.

Each replicate redraws, at once:
  * the knowledge base's weights: a symptom's regions from a Dirichlet distribution around their weights
    (concentration 8), because the split over regions is an expert's estimate;
  * the mask's place: one of the caller's shifted occupancies (registration error), or, without any,
    log-normal noise on every site's occupancy;
  * the library: a Bayesian bootstrap over lesions drawn by the volume kernel; the mirrored mask keeps its
    weight among the alternatives;
  * language dominance: a Beta distribution around Knecht's figure (as from 100 people).
The 10th and 90th percentile of the replicates' log BF are the ends of the 80 % interval. What the interval
does not hold: a wrong knowledge base, a wrong side, and whatever a simulated cohort cannot show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medsynth_app.clinical.knowledge.symptom_model import SymptomDefinition
from medsynth_app.clinical.scoring.evidence import Observations, SymptomEvidence, capped
from medsynth_app.clinical.scoring.forward_model import LEFT, RIGHT, saturation_of
from medsynth_app.clinical.scoring.likelihood import LikelihoodTerms

_DOMINANCE_SAMPLE = 100.0


@dataclass(frozen=True)
class IntervalConfiguration:
    """Numbers of the interval.

    Attributes:
        replicates: how many times everything is redrawn.
        lesions: library lesions per replicate.
        concentration: of the Dirichlet distribution of a symptom's region weights.
        occupancy_noise: standard deviation of the noise on log occupancy where no shifted masks are given.
        coverage: share of the replicates inside the interval.
    """

    replicates: int = 64
    lesions: int = 192
    concentration: float = 8.0
    occupancy_noise: float = 0.2
    coverage: float = 0.8


def log_bayes_factor_interval(
    evidence: SymptomEvidence,
    occupancy: np.ndarray,
    observations: Observations,
    right_dominance: float,
    *,
    terms: LikelihoodTerms | None = None,
    shifted: np.ndarray | None = None,
    seed: int = 0,
    configuration: IntervalConfiguration = IntervalConfiguration(),
) -> tuple[float, float]:
    """Interval of log BF in nats.

    Args:
        evidence: the scorer.
        occupancy: (sites,) of the mask.
        observations: the patient's answers.
        right_dominance: probability that language sits in the right hemisphere.
        terms: the evidence's terms of this mask, where they are at hand.
        shifted: (any number, sites), occupancies of the mask moved by plausible registration errors.
        seed: where the random numbers start.
        configuration: the numbers used.
    """
    if not len(observations):
        return (0.0, 0.0)
    generator = np.random.default_rng(seed)
    rows = _perturbed_rows(evidence, observations, generator, configuration)
    masks = _masks(occupancy, shifted, generator, configuration)
    chosen = generator.choice(
        len(evidence.library.occupancy), size=configuration.lesions, p=evidence.kernel(occupancy)
    )
    others = np.vstack([evidence.library.occupancy[chosen], occupancy[evidence.mirror]])
    of_mask, of_others = _present_log_likelihoods(evidence, observations, rows, masks, others)
    # denials weigh little: their own uncertainty is left out
    terms = evidence.terms(occupancy, observations) if terms is None else terms
    denied_mask, denied_others = terms.total(~observations.present)
    replicates = _replicate_log_bayes_factors(
        of_mask + denied_mask[:, None],
        of_others + denied_others[:, None, np.append(chosen, -1)],
        _drawn_dominance(right_dominance, configuration.replicates, generator),
        evidence.configuration.mirrored_weight,
        generator,
    )
    tail = (1.0 - configuration.coverage) / 2.0
    low, high = np.quantile(replicates, [tail, 1.0 - tail])
    return float(low), float(high)


def _masks(
    occupancy: np.ndarray,
    shifted: np.ndarray | None,
    generator: np.random.Generator,
    configuration: IntervalConfiguration,
) -> np.ndarray:
    """(replicates, sites) occupancies of the mask, one per replicate."""
    count = configuration.replicates
    if shifted is not None and len(shifted):
        return shifted[generator.integers(len(shifted), size=count)]
    noise = np.exp(configuration.occupancy_noise * generator.normal(size=(count, len(occupancy))))
    return np.clip(occupancy * noise, 0.0, 1.0)


@dataclass(frozen=True)
class _Row:
    """Redrawn weights of one symptom for one case of body side and dominance."""

    symptom: int  # row among the present symptoms
    chance: float  # of the body side
    dominance: tuple[int, ...]  # dominant sides it holds for
    ceiling: float
    weights: np.ndarray  # (replicates, sites)


def _perturbed_rows(
    evidence: SymptomEvidence,
    observations: Observations,
    generator: np.random.Generator,
    configuration: IntervalConfiguration,
) -> list[_Row]:
    """Only cases that differ: one body side where it is known, one dominance where it does not matter."""
    codes = np.array([site.region.code for site in evidence.forward.sites])
    rows = []
    for symptom, place in enumerate(np.flatnonzero(observations.present)):
        definition = evidence.definitions[observations.reported[place].id]
        if definition.strength == 0.0:
            continue
        factor = _weight_factors(definition, codes, generator, configuration)
        base = evidence.forward.base_weights[observations.index[place]]
        sides = _true_side_chance(evidence, observations, int(place))
        cases = ((LEFT,), (RIGHT,)) if definition.depends_on_dominance else ((LEFT, RIGHT),)
        for body_side in np.flatnonzero(sides):
            for case in cases:
                redrawn = (base[body_side, case[0]] * factor) @ evidence.forward.proximity
                scaled = redrawn / np.maximum(redrawn.max(axis=1, keepdims=True), 1e-12)
                ceiling = float(evidence.forward.ceilings[observations.index[place]])
                rows.append(_Row(symptom, float(sides[body_side]), case, ceiling, scaled))
    return rows


def _true_side_chance(evidence: SymptomEvidence, observations: Observations, row: int) -> np.ndarray:
    """(2,) chance that a present symptom is really on the left, on the right."""
    if not evidence.definitions[observations.reported[row].id].needs_side:
        return np.array([1.0, 0.0])
    wrong = evidence.forward.side_confusions[observations.index[row]]
    named = observations.side_chance[row]
    return (1.0 - wrong) * named + wrong * named[::-1]


def _weight_factors(
    definition: SymptomDefinition,
    codes: np.ndarray,
    generator: np.random.Generator,
    configuration: IntervalConfiguration,
) -> np.ndarray:
    """(replicates, sites) ratio of redrawn to stored weights; both sides of a region share one draw."""
    factors = np.ones((configuration.replicates, len(codes)))
    total = sum(definition.regions.values())
    for code, weight in sorted(definition.regions.items()):
        shape = configuration.concentration * weight / total
        draw = generator.gamma(shape, size=configuration.replicates) / shape
        factors[:, codes == code] = draw[:, None]
    return factors


def _present_log_likelihoods(
    evidence: SymptomEvidence,
    observations: Observations,
    rows: list[_Row],
    masks: np.ndarray,
    others: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Summed over present symptoms: mask (dominance 2, replicates), others (2, replicates, lesions)."""
    numbers = evidence.forward.configuration
    lesions = others.astype(np.float32)
    count = int(observations.present.sum())
    mask = np.zeros((count, 2, len(masks)))
    library = np.zeros((count, 2, len(masks), len(lesions)), dtype=np.float32)
    for row in rows:
        saturation = -np.expm1(-numbers.saturation * (row.weights * masks).sum(axis=1))
        of_mask = evidence.forward.probabilities(saturation, np.asarray(row.ceiling))
        of_library = saturation_of(lesions, row.weights.astype(np.float32), numbers.saturation)
        of_library = evidence.forward.probabilities(of_library, np.float32(row.ceiling))
        explained = (saturation >= numbers.explained_saturation) & evidence.configuration.cap_explained
        of_library = capped(of_library, of_mask[:, None].astype(np.float32), explained[:, None])
        for side in row.dominance:
            mask[row.symptom, side] += row.chance * of_mask
            library[row.symptom, side] += np.float32(row.chance) * of_library
    # a symptom without strength has no row: the same for every lesion, it cancels
    used = sorted({row.symptom for row in rows})
    return np.log(mask[used]).sum(axis=0), np.log(library[used]).sum(axis=0)


def _replicate_log_bayes_factors(
    of_mask: np.ndarray,
    of_others: np.ndarray,
    dominance: np.ndarray,
    mirrored_weight: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """(replicates,) log BF from (2, replicates), (2, replicates, lesions + 1) and chances (2, replicates)."""
    count, lesions = of_others.shape[1], of_others.shape[2] - 1
    share = np.full((count, lesions + 1), mirrored_weight)
    share[:, :-1] = (1.0 - mirrored_weight) * generator.dirichlet(np.ones(lesions), size=count)
    shift = max(float(of_others.max()), float(of_mask.max()))
    likelihood = np.einsum("dr,dr->r", dominance, np.exp(of_mask - shift))
    expected = np.einsum("dr,drl,rl->r", dominance, np.exp(of_others - shift), share)
    return np.log(np.maximum(likelihood, 1e-300)) - np.log(np.maximum(expected, 1e-300))


def _drawn_dominance(right_dominance: float, count: int, generator: np.random.Generator) -> np.ndarray:
    """(dominance 2, replicates)."""
    if 0.0 < right_dominance < 1.0:
        shapes = (_DOMINANCE_SAMPLE * right_dominance, _DOMINANCE_SAMPLE * (1.0 - right_dominance))
        right = generator.beta(*shapes, size=count)
    else:
        right = np.full(count, right_dominance)
    chances = np.empty((2, count))
    chances[LEFT], chances[RIGHT] = 1.0 - right, right
    return chances
