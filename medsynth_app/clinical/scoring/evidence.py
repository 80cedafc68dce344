"""What a patient's answers say about a lesion's site: likelihood and Bayes factor against random lesions.

    L(M) = sum over dominance d of  p(d) * product over symptoms s of  P(s | M, d)^present (1 - P)^(w denied)
    log BF = log L(M) - log( (1 - m) * sum over library lesions i of  k_i * L(i)  +  m * L(mirrored M) )

``k_i`` weights the library to the mask's volume (log-normal kernel), because a large lesion explains
everything. The mirrored mask stands among the alternatives with its own weight ``m``, because a swapped side
(of image or intake) is the commonest gross error and nearly invisible otherwise: where the mirror image fits
far better, the factor falls towards ``L(M) / (m * L(mirrored M))``. A present symptom on an unknown side has
the mean of both sides' probabilities; a blank counts nothing; a denial counts ``w`` (little: patients
overlook mild deficits).

One rule goes beyond the plain ratio: once the mask explains a present symptom (a third of the
effect that is possible), no alternative gets more credit for it than the mask. Every factor of an explained
symptom is then at most the mask's own, so adding an explained symptom cannot lower the score (exactly so
while language dominance is known or the symptom does not depend on it).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medsynth_app.clinical.knowledge.lesion_library import LesionLibrary, mirror_order
from medsynth_app.clinical.knowledge.symptom_model import (
    ReportedSide,
    ReportedSymptom,
    SymptomDefinition,
    SymptomState,
)
from medsynth_app.clinical.scoring.forward_model import SymptomForwardModel
from medsynth_app.clinical.scoring.likelihood import LikelihoodTerms, dominance_chance
from medsynth_app.clinical.symptom_names import nearest_symptoms
from medsynth_app.errors import InvalidValueError


@dataclass(frozen=True)
class EvidenceConfiguration:
    """Numbers of the Bayes factor.

    Attributes:
        denial_weight: exponent of an explicit denial, 0 (ignored) to 1 (believed).
        volume_kernel: standard deviation, in natural logarithms, of the kernel that matches volumes.
        mirrored_weight: weight of the mirrored mask among the alternatives, 0 to below 1.
        cap_explained: whether the rule for explained symptoms applies (off only to measure what it costs).
    """

    denial_weight: float = 0.5
    volume_kernel: float = 0.35
    mirrored_weight: float = 0.05
    cap_explained: bool = True


@dataclass(frozen=True)
class Observations:
    """A patient's answers in the order and form the likelihood needs; sorted, so input order is forgotten.

    Attributes:
        reported: the answers kept (present and denied), n of them.
        index: (n,) position of each symptom in the knowledge base.
        present: (n,) bool; the others are denied.
        side_chance: (n, 2) chance of left and right; for denials, which sides are denied (0 or 1).
        warnings: stable code and symptom, for example ``side_missing:arm_weakness``.
    """

    reported: tuple[ReportedSymptom, ...]
    index: np.ndarray
    present: np.ndarray
    side_chance: np.ndarray
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.reported)


def compile_observations(
    reported: Iterable[ReportedSymptom], definitions: Mapping[str, SymptomDefinition]
) -> Observations:
    """Check a patient's answers and bring them into a fixed order.

    Raises:
        InvalidValueError: a symptom is unknown (three suggestions), or both present and denied.
    """
    answers, warnings = _checked(reported, definitions)
    position = {symptom: index for index, symptom in enumerate(definitions)}
    chances = np.array([_side_chance(answer, definitions[answer.id]) for answer in answers])
    return Observations(
        reported=answers,
        index=np.array([position[answer.id] for answer in answers], dtype=np.int64),
        present=np.array([answer.state is SymptomState.PRESENT for answer in answers], dtype=bool),
        side_chance=chances.reshape(len(answers), 2),
        warnings=warnings,
    )


def _checked(
    reported: Iterable[ReportedSymptom], definitions: Mapping[str, SymptomDefinition]
) -> tuple[tuple[ReportedSymptom, ...], tuple[str, ...]]:
    answers = {answer for answer in reported if answer.state is not SymptomState.NOT_ASKED}
    warnings: set[str] = set()
    kept: set[ReportedSymptom] = set()
    for answer in answers:
        if answer.id not in definitions:
            raise _unknown_symptom(answer.id, definitions)
        sided = definitions[answer.id].needs_side
        named = answer.side in (ReportedSide.LEFT, ReportedSide.RIGHT)
        if named and not sided:
            warnings.add(f"side_ignored:{answer.id}")
            answer = ReportedSymptom(answer.id, answer.state, ReportedSide.NONE)  # noqa: PLW2901
        elif not named:
            if sided and answer.state is SymptomState.PRESENT:
                warnings.add(f"side_missing:{answer.id}")
            side = ReportedSide.UNKNOWN if sided else ReportedSide.NONE
            answer = ReportedSymptom(answer.id, answer.state, side)  # noqa: PLW2901
        kept.add(answer)
    _refuse_contradictions(kept)
    return tuple(sorted(kept, key=lambda answer: (answer.id, answer.state.value, answer.side.value))), tuple(
        sorted(warnings)
    )


def _refuse_contradictions(answers: set[ReportedSymptom]) -> None:
    """Present and denied exclude each other unless they speak of different sides."""
    denied = [answer for answer in answers if answer.state is SymptomState.DENIED]
    present = {(answer.id, answer.side) for answer in answers if answer.state is SymptomState.PRESENT}
    for answer in denied:
        opposite = {side for symptom, side in present if symptom == answer.id}
        one_sided = answer.side in (ReportedSide.LEFT, ReportedSide.RIGHT)
        if opposite and not (
            one_sided and answer.side not in opposite and ReportedSide.UNKNOWN not in opposite
        ):
            raise InvalidValueError(
                f"symptom {answer.id!r} is reported as present and as denied; allowed: one of them",
                code="contradictory_answers",
            )


def _unknown_symptom(symptom: str, definitions: Mapping[str, SymptomDefinition]) -> InvalidValueError:
    near = nearest_symptoms(symptom, definitions)
    return InvalidValueError(
        f"symptom: {symptom!r} is not in the knowledge base; did you mean {', '.join(near)}?",
        code="unknown_symptom",
    )


def _side_chance(answer: ReportedSymptom, definition: SymptomDefinition) -> tuple[float, float]:
    if answer.side is ReportedSide.LEFT:
        return (1.0, 0.0)
    if answer.side is ReportedSide.RIGHT:
        return (0.0, 1.0)
    if answer.state is SymptomState.DENIED:
        # "no weakness" denies both sides; a symptom without sides is denied once
        return (1.0, 1.0) if definition.needs_side else (1.0, 0.0)
    return (0.5, 0.5)


class SymptomEvidence:
    """Bayes factors of answers for any mask, against one library.

    The library's saturations are worked out once; a score then takes a few milliseconds.

    Attributes:
        definitions: the knowledge base.
        forward: the forward model over the library's sites.
        library: the random lesions.
        configuration: the numbers used.
        mirror: (sites,) index array that mirrors an occupancy.
    """

    def __init__(
        self,
        definitions: Mapping[str, SymptomDefinition],
        forward: SymptomForwardModel,
        library: LesionLibrary,
        configuration: EvidenceConfiguration = EvidenceConfiguration(),
    ) -> None:
        if forward.sites != library.sites or forward.symptom_ids != tuple(definitions):
            raise InvalidValueError(
                "forward model, library and definitions speak of different sites or symptoms"
            )
        self.definitions = definitions
        self.forward = forward
        self.library = library
        self.configuration = configuration
        self.mirror = mirror_order(library.sites)
        self._log_volume = np.log(np.maximum(library.effective_ml.astype(np.float64), 1e-3))
        self._saturation = forward.saturation(library.occupancy.astype(np.float32))
        everything = np.array([(1.0, 1.0 if d.needs_side else 0.0) for d in definitions.values()])
        self._denied = np.stack([self._denial_of(row, sides) for row, sides in enumerate(everything)])

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that decides a Bayes factor: knowledge base, library, numbers; 16 hexadecimal digits."""
        parts = [
            *(repr(self._defining(symptom)) for symptom in sorted(self.definitions)),
            repr(self.forward.configuration),
            repr(self.configuration),
            self.library.version,
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def _defining(self, symptom: str) -> tuple[object, ...]:
        """What the score takes from a definition, in a fixed order."""
        given = self.definitions[symptom]
        return (
            given.id,
            round(given.strength, 6),
            given.kind.value,
            given.laterality_rule.value,
            sorted((code, round(weight, 6)) for code, weight in given.regions.items()),
            sorted((code, rule.value) for code, rule in given.region_side_override.items()),
        )

    def kernel(self, occupancy: np.ndarray) -> np.ndarray:
        """(lesions,) weights, summing to 1, that match the library to the volume of a mask (sites,)."""
        effective_ml = max(float(occupancy @ self.library.site_ml), 1e-3)
        # beyond the library's ends the nearest lesions stand in
        target = np.clip(np.log(effective_ml), self._log_volume.min(), self._log_volume.max())
        distance = (self._log_volume - target) / self.configuration.volume_kernel
        weight = np.exp(-0.5 * distance**2)
        return weight / weight.sum()

    def alternatives(self, occupancy: np.ndarray) -> np.ndarray:
        """(lesions + 1,) weights, summing to 1, of the library and, last, of the mirrored mask."""
        mirrored = self.configuration.mirrored_weight
        return np.append((1.0 - mirrored) * self.kernel(occupancy), mirrored)

    def saturation(self, occupancy: np.ndarray, observations: Observations) -> np.ndarray:
        """(n, body side 2, dominant side 2) saturation of the observed symptoms for one mask (sites,)."""
        return self.forward.saturation(occupancy[None, :], observations.index)[..., 0]

    def log_bayes_factor(
        self, occupancy: np.ndarray, observations: Observations, right_dominance: float
    ) -> float:
        """log BF in nats of a mask's occupancy (sites,); 0 without observations."""
        return self.terms(occupancy, observations).log_bayes_factor(right_dominance)

    def terms(self, occupancy: np.ndarray, observations: Observations) -> LikelihoodTerms:
        """What each observation says of a mask (sites,) and of its alternatives: the score's raw material."""
        present, rows = observations.present, observations.index
        both = np.stack([occupancy, occupancy[self.mirror]])
        saturation = self.forward.saturation(both, rows)
        ceilings = self.forward.ceilings[rows][:, None, None, None]
        of_both = self.forward.probabilities(saturation, ceilings)
        of_mask = of_both[..., :1]
        explained = saturation[present][..., :1] >= self.forward.configuration.explained_saturation
        explained &= self.configuration.cap_explained
        of_library = self.forward.probabilities(self._saturation[rows[present]], ceilings[present])
        of_others = np.concatenate([of_library, of_both[present][..., 1:]], axis=-1)
        terms = np.empty((len(observations), 2, len(self.library.occupancy) + 1))
        terms[present] = present_terms(
            capped(of_others, of_mask[present], explained), observations.side_chance[present]
        )
        of_mirror = self._mask_terms(of_both[..., 1], observations)
        terms[~present, :, :-1] = self._denied_terms(observations)
        terms[~present, :, -1] = of_mirror[~present]
        return LikelihoodTerms(
            self._mask_terms(of_mask[..., 0], observations), terms, self.alternatives(occupancy)
        )

    def _mask_terms(self, probability: np.ndarray, observations: Observations) -> np.ndarray:
        """(n, dominance 2) from (n, body side 2, dominance 2)."""
        present, chance = observations.present, observations.side_chance
        terms = np.empty((len(observations), 2))
        terms[present] = present_terms(probability[present], chance[present])
        absent = np.log1p(-probability[~present])
        terms[~present] = self.configuration.denial_weight * np.einsum("nbd,nb->nd", absent, chance[~present])
        return terms

    def _denied_terms(self, observations: Observations) -> np.ndarray:
        """(denials, dominance 2, lesions)."""
        rows = np.flatnonzero(~observations.present)
        terms = self._denied[observations.index[rows]]
        for place, row in enumerate(rows):
            # a denial of one side only is rare; the table holds denials as a whole
            if (
                self.definitions[observations.reported[row].id].needs_side
                and observations.side_chance[row].sum() < 2
            ):
                terms[place] = self._denial_of(observations.index[row], observations.side_chance[row])
        return terms

    def _denial_of(self, symptom: int, sides: np.ndarray) -> np.ndarray:
        """(dominance 2, lesions) log-likelihood of denying one symptom on these sides (0 or 1 each)."""
        probability = self.forward.probabilities(self._saturation[symptom], self.forward.ceilings[symptom])
        weighted: np.ndarray = self.configuration.denial_weight * np.log1p(-probability)
        return np.einsum("bdl,b->dl", weighted, sides)

    def probability(
        self, occupancy: np.ndarray, observations: Observations, right_dominance: float
    ) -> np.ndarray:
        """(n,) P(symptom | mask), averaged over unknown side and dominance."""
        saturation = self.saturation(occupancy, observations)
        mean = np.einsum(
            "nbd,nb,d->n", saturation, _normalised(observations), dominance_chance(right_dominance)
        )
        return self.forward.probabilities(mean, self.forward.ceilings[observations.index])

    def site_activation(
        self, occupancy: np.ndarray, observations: Observations, right_dominance: float
    ) -> np.ndarray:
        """(n, sites) what each site adds to each symptom's activation, averaged over side and dominance."""
        weights = self.forward.weights[observations.index]
        mean = np.einsum(
            "nbds,nb,d->ns", weights, _normalised(observations), dominance_chance(right_dominance)
        )
        return mean * occupancy

    def posterior(self, observations: Observations, right_dominance: float) -> np.ndarray:
        """(lesions,) probability of each library lesion given the answers alone, sum 1; no mask involved."""
        ceilings = self.forward.ceilings[observations.index][:, None, None, None]
        of_library = self.forward.probabilities(self._saturation[observations.index], ceilings)
        terms = np.concatenate(
            [
                present_terms(
                    of_library[observations.present], observations.side_chance[observations.present]
                ),
                self._denied_terms(observations),
            ]
        )
        likelihood = dominance_chance(right_dominance) @ np.exp(terms.sum(axis=0))
        posterior: np.ndarray = likelihood / likelihood.sum()
        return posterior


def capped(of_library: np.ndarray, of_mask: np.ndarray, explained: np.ndarray) -> np.ndarray:
    """Library probabilities, not above the mask's where the mask explains the symptom."""
    return np.where(explained, np.minimum(of_library, of_mask), of_library)


def present_terms(probability: np.ndarray, side_chance: np.ndarray) -> np.ndarray:
    """Log-likelihood of present symptoms: (n, body side 2, dominance 2, ...) -> (n, dominance 2, ...)."""
    weight = side_chance.reshape(*side_chance.shape, *[1] * (probability.ndim - 2))
    return np.log((probability * weight).sum(axis=1))


def _normalised(observations: Observations) -> np.ndarray:
    return observations.side_chance / observations.side_chance.sum(axis=1, keepdims=True)
