"""How likely a symptom is, given where a lesion lies: noisy-OR with saturation.

    A_s(M) = sum over sites r of  a_s(r) * o_r(M)
    P(s | M) = 1 - (1 - leak) * (1 - q_s * (1 - exp(-c * A_s(M))))

A site is a region on one side. ``o_r`` is how much of it the lesion occupies (core + 0.4 oedema-only, 0..1),
``a_s`` the knowledge base's weights scaled so that a symptom's strongest region has 1, ``q_s = 0.55 *
strength``. ``leak`` lets a symptom appear for another reason; saturation (``c``) says that a destroyed region
cannot be destroyed twice.

Sides. Each region of a symptom has a side rule. A weight may therefore depend on two things that are not
always known: the side that the patient names and the language-dominant hemisphere. Both are kept as axes of
length 2 (left, right) and averaged over only in the likelihood, so an unknown stays an unknown.

Language dominance by handedness: Knecht 2000, Brain 123:2512 (right-hemisphere language in 4 % of
right-handed, 15 % of ambidextrous, 27 % of left-handed people).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medsynth_app.clinical.knowledge.symptom_model import (
    Handedness,
    LateralityRule,
    SymptomDefinition,
    SymptomKind,
)
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.brain_regions import Side, SidedRegion

LEFT, RIGHT = 0, 1
"""Positions on every side axis (body side, dominant hemisphere)."""

RIGHT_DOMINANCE: dict[Handedness, float] = {
    Handedness.RIGHT: 0.04,
    Handedness.AMBIDEXTROUS: 0.15,
    Handedness.LEFT: 0.27,
    # about one in ten people is left-handed: 0.9 * 0.04 + 0.1 * 0.27
    Handedness.UNKNOWN: 0.063,
}
"""Probability that language sits in the right hemisphere."""


@dataclass(frozen=True)
class ForwardModelConfiguration:
    """Numbers of the forward model.

    Attributes:
        leak: probability of a symptom for a reason other than the lesion.
        ceiling: probability of a symptom of strength 1 when its regions are destroyed.
        saturation: how fast occupancy turns into effect; 2 reaches 63 % at one half of the strongest region.
        side_confusion: share of named sides of deficits that mislead: patients confuse sides, a midline shift
            inverts signs.
        ictal_side_confusion: the same of seizures: 9 to 17 % start on the unexpected side (Semio2Brain counts,
            Alim-Marvasti 2022, Brain Communications fcac130).
        explained_saturation: a symptom counts as explained from this share of its possible effect on, which
            a fifth of its strongest region reaches.
        unexplained_leaks: a symptom counts as unexplained below this many leaks.
        largest_reach: a region passes at most this share of what it does itself on to a neighbour. Without it a
            site of a few voxels (the optic chiasm) gave most of its weight away, and an orbitofrontal tumour
            explained a bitemporal hemianopia fully; textbooks know that field from the chiasm (page not checked).
    """

    leak: float = 0.006
    ceiling: float = 0.55
    saturation: float = 2.0
    side_confusion: float = 0.04
    ictal_side_confusion: float = 0.12
    explained_saturation: float = 0.35
    unexplained_leaks: float = 3.0
    largest_reach: float = 0.3


class SymptomForwardModel:
    """Probabilities of all symptoms of a knowledge base, for any number of lesions at once.

    Attributes:
        symptom_ids: order of the symptom axis.
        sites: order of the site axis.
        base_weights: (symptoms, body side 2, dominant side 2, sites), the knowledge base's, 0..1.
        weights: the same after a lesion's reach beyond its edge, again scaled to 1.
        ceilings: (symptoms,), the largest probability each symptom can reach, less the leak.
        side_confusions: (symptoms,), share of each symptom's named sides that mislead.
    """

    def __init__(
        self,
        definitions: Mapping[str, SymptomDefinition],
        sites: Sequence[SidedRegion],
        configuration: ForwardModelConfiguration = ForwardModelConfiguration(),
        *,
        proximity: np.ndarray | None = None,
    ) -> None:
        """Prepare the weights.

        Args:
            definitions: the knowledge base.
            sites: order of the site axis.
            configuration: the model's numbers.
            proximity: (sites, sites) of the lesion library; None: a lesion works only where it is.

        Raises:
            InvalidValueError: a symptom names a region that no site has.
        """
        self.configuration = configuration
        self.proximity = (
            np.eye(len(sites)) if proximity is None else bounded_reach(proximity, configuration.largest_reach)
        )
        self.symptom_ids = tuple(definitions)
        self.sites = tuple(sites)
        self.position = {symptom: index for index, symptom in enumerate(self.symptom_ids)}
        self.base_weights = np.stack([site_weights(definition, sites) for definition in definitions.values()])
        self.weights = reaching(self.base_weights, self.proximity)
        strength = np.array([definition.strength for definition in definitions.values()])
        self.ceilings = configuration.ceiling * strength
        ictal = np.array([definition.kind is SymptomKind.IRRITATIVE for definition in definitions.values()])
        self.side_confusions = np.where(
            ictal, configuration.ictal_side_confusion, configuration.side_confusion
        )

    def saturation(self, occupancy: np.ndarray, symptoms: np.ndarray | None = None) -> np.ndarray:
        """Share of symptoms' possible effect that lesions reach.

        Args:
            occupancy: (lesions, sites), 0..1.
            symptoms: (n,) positions of symptoms; all of them by default.

        Returns:
            (n, body side 2, dominant side 2, lesions), 0..1; the body side is the one that is named.
        """
        chosen = slice(None) if symptoms is None else symptoms
        saturated = saturation_of(occupancy, self.weights[chosen], self.configuration.saturation)
        wrong = self.side_confusions[chosen].astype(saturated.dtype)[:, None, None, None]
        named: np.ndarray = (1 - wrong) * saturated + wrong * np.flip(saturated, axis=-3)
        return named

    def probabilities(self, saturation: np.ndarray, ceilings: np.ndarray | np.floating) -> np.ndarray:
        """P(symptom | lesion) from saturations and ceilings that broadcast against each other."""
        return 1.0 - (1.0 - self.configuration.leak) * (1.0 - ceilings * saturation)


def bounded_reach(proximity: np.ndarray, largest: float) -> np.ndarray:
    """(sites, sites) whose rows keep their diagonal and give each neighbour at most ``largest`` times that."""
    own = np.diag(proximity)
    bounded: np.ndarray = np.minimum(proximity, largest * own[:, None])
    np.fill_diagonal(bounded, own)
    return bounded


def reaching(weights: np.ndarray, proximity: np.ndarray) -> np.ndarray:
    """Weights (..., body side 2, dominant side 2, sites) that include a lesion's reach, largest one 1."""
    spread = weights @ proximity
    largest = spread.max(axis=(-3, -2, -1), keepdims=True)
    return spread / np.maximum(largest, 1e-12)


def saturation_of(occupancy: np.ndarray, weights: np.ndarray, rate: float) -> np.ndarray:
    """``1 - exp(-rate * A)`` for every row of weights and every lesion.

    Args:
        occupancy: (lesions, sites).
        weights: (..., sites).
        rate: the model's ``c``.

    Returns:
        (..., lesions), in the number type of ``occupancy``.
    """
    rows = weights.reshape(-1, weights.shape[-1]).astype(occupancy.dtype, copy=False)
    saturated = -np.expm1(-rate * (rows @ occupancy.T))
    return saturated.reshape(*weights.shape[:-1], occupancy.shape[0])


def site_weights(definition: SymptomDefinition, sites: Sequence[SidedRegion]) -> np.ndarray:
    """The weights ``a_s`` of one symptom for every case of body side and dominance.

    Returns:
        Shape (body side 2, dominant side 2, sites), the largest region weight scaled to 1. All zero for a
        symptom without regions, unless its rule names a side: then every site of that side has 1 (a headache
        always on one side points to the side and to nothing else).

    Raises:
        InvalidValueError: a region of the symptom is in no site.
    """
    base = _scaled_weights(definition, sites)
    weights = np.zeros((2, 2, len(sites)))
    for body_side in (LEFT, RIGHT):
        for dominant_side in (LEFT, RIGHT):
            for index, site in enumerate(sites):
                rule = definition.region_side_override.get(site.region.code, definition.laterality_rule)
                if _is_on_lesion_side(site.side, rule, body_side, dominant_side):
                    weights[body_side, dominant_side, index] = base[index]
    return weights


def _scaled_weights(definition: SymptomDefinition, sites: Sequence[SidedRegion]) -> np.ndarray:
    known = {site.region.code for site in sites}
    missing = sorted(set(definition.regions) - known)
    if missing:
        raise InvalidValueError(
            f"regions {missing} of symptom {definition.id!r} are not in the atlas; "
            f"known are {', '.join(sorted(known))}",
            code="unknown_region",
        )
    if not definition.regions:
        # midline sites are on neither side
        return np.array([float(definition.needs_side and site.side is not Side.MIDLINE) for site in sites])
    strongest = max(definition.regions.values())
    return np.array([definition.regions.get(site.region.code, 0.0) / strongest for site in sites])


def _is_on_lesion_side(site_side: Side, rule: LateralityRule, body_side: int, dominant_side: int) -> bool:
    lesion_side = {
        LateralityRule.CONTRALATERAL: 1 - body_side,
        LateralityRule.IPSILATERAL: body_side,
        LateralityRule.DOMINANT: dominant_side,
        LateralityRule.NONDOMINANT: 1 - dominant_side,
    }.get(rule)
    if lesion_side is None or site_side is Side.MIDLINE:
        return True
    return site_side is (Side.LEFT if lesion_side == LEFT else Side.RIGHT)
