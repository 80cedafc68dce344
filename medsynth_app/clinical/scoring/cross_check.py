"""Do the symptoms fit the mask? The pure scoring entry: records in, record out, nothing read or written.

The answer is a calibrated Bayes factor with its reasons. It never edits a mask: concordance is not evidence
that tissue is tumour, discordance is not evidence against it (false-localising signs were found in 20 of 161
tumours: Larner 2003, JNNP 74:415, from Collier's series).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from medsynth_app.clinical.knowledge.lesion_library import LesionLibrary
from medsynth_app.clinical.knowledge.symptom_model import (
    Handedness,
    ReportedSide,
    ReportedSymptom,
    SymptomDefinition,
    SymptomState,
)
from medsynth_app.clinical.scoring.calibration import STORED_CALIBRATION, PlattCalibration
from medsynth_app.clinical.scoring.components import (
    ComponentConfiguration,
    ComponentOccupancy,
    ComponentSupport,
    component_support,
)
from medsynth_app.clinical.scoring.evidence import (
    EvidenceConfiguration,
    Observations,
    SymptomEvidence,
    compile_observations,
)
from medsynth_app.clinical.scoring.forward_model import (
    RIGHT_DOMINANCE,
    ForwardModelConfiguration,
    SymptomForwardModel,
)
from medsynth_app.clinical.scoring.likelihood import LikelihoodTerms
from medsynth_app.clinical.scoring.score_interval import IntervalConfiguration, log_bayes_factor_interval
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.brain_regions import SidedRegion
from medsynth_app.plain_values import plain
from medsynth_app.vocabulary import RESEARCH_NOTICE

CALIBRATION_MISMATCH = "calibration_of_another_knowledge_base"
"""Warning: the probability was calibrated for other symptom links, another library or other numbers."""

SCORER_VERSION = "3"
"""Raise this when the same input may give another answer."""


class ConcordanceClass(str, Enum):
    """How symptoms and mask fit together."""

    CONCORDANT = "concordant"
    PARTLY_SUPPORTED = "partly_supported"
    DISCORDANT = "discordant"
    INDETERMINATE = "indeterminate"
    NOT_ASSESSABLE = "not_assessable"


class Reason(str, Enum):
    """Why a class was given; stable codes for reports and translations."""

    MASK_EMPTY = "mask_empty"
    REGISTRATION_FAILED = "registration_failed"
    NO_LOCALISING_SYMPTOM = "no_localising_symptom"
    ONLY_WEAK_SYMPTOMS = "only_weak_symptoms"
    CHILD = "age_below_18"
    POST_OPERATIVE = "post_operative"
    IMAGE_SIDE_UNKNOWN = "image_side_unknown"
    MIRRORED_FITS_BETTER = "mirrored_fits_better"
    LOW_PROBABILITY = "low_probability"
    HIGH_PROBABILITY = "high_probability"
    MIDDLE_PROBABILITY = "middle_probability"
    STRONG_SYMPTOM_UNEXPLAINED = "strong_symptom_unexplained"
    NO_STRONG_SYMPTOM_EXPLAINED = "no_strong_symptom_explained"
    INTERVAL_SPANS_CLASSES = "interval_spans_classes"
    STRONG_SYMPTOM_ON_WRONG_SIDE = "strong_symptom_on_wrong_side"


class Explanation(str, Enum):
    """Whether the mask accounts for a present symptom."""

    EXPLAINED = "explained"
    PARTLY_EXPLAINED = "partly_explained"
    UNEXPLAINED = "unexplained"
    NOT_LOCALISING = "not_localising"


@dataclass(frozen=True)
class CrossCheckConfiguration:
    """Numbers that turn a score into words.

    Attributes:
        concordant_probability: lowest calibrated probability of the class concordant.
        discordant_probability: highest calibrated probability of the class discordant.
        strong_strength: strength from which a symptom counts as strong.
        doubtful_probability: below it a case with an unexplained strong symptom is discordant, never partly
            supported.
        interval_floor: the interval of a concordant case must not reach below this probability.
        mirrored_nats: the mirrored mask must be better by this much to suspect a side error.
        felt_share: from this share of its possible effect on, a mask or its mirror image accounts for a
            lateralising symptom.
        other_side_share: the mask counts as on the wrong side of a symptom where it reaches at most this share
            of what its mirror image does. Above the share of misleading sides (0.12 of 0.88 in seizures).
        other_dominance_share: the same of symptoms of the dominant hemisphere; below the odds of left-handed
            people (0.27 to 0.73), in whom the other side is no error.
        side_tolerance_nats: the mirrored mask may be better by this much before the sides disagree.
        silent_occupancy: an eloquent site occupied from here on is expected to be felt.
        silent_weight: scaled weight from which a symptom is typical of a site.
        untouched_occupancy: a site below this counts as outside the mask.
        touched_occupancy: a library lesion touches a site from here on.
        suspected_lift: how much likelier than beforehand a suspected site must be.
        suspected_probability: lowest probability of a suspected site.
        suspected_count: most sites suggested for another look.
        adult_age: the knowledge base speaks of patients of this age in years and older.
    """

    concordant_probability: float = 0.8
    discordant_probability: float = 0.2
    doubtful_probability: float = 0.35
    interval_floor: float = 0.5
    strong_strength: float = 0.6
    mirrored_nats: float = 3.0
    felt_share: float = 0.2
    other_side_share: float = 0.4
    other_dominance_share: float = 0.12
    side_tolerance_nats: float = 0.5
    silent_occupancy: float = 0.2
    silent_weight: float = 0.5
    untouched_occupancy: float = 0.02
    touched_occupancy: float = 0.1
    suspected_lift: float = 1.5
    suspected_probability: float = 0.15
    suspected_count: int = 3
    adult_age: float = 18.0


@dataclass(frozen=True)
class CrossCheckCase:
    """What is known of one patient.

    Attributes:
        occupancy: (sites,) weighted occupancy (core + 0.4 oedema-only) of the mask, 0..1.
        symptoms: the patient's answers.
        handedness: shifts the odds of the dominant hemisphere.
        age_years: None where unknown.
        registration_passed: whether the registration passed its quality gates.
        image_side_known: whether left and right of the image are beyond doubt.
        post_operative: whether the brain was operated on before.
        components: connected components of the mask, for their statuses.
        shifted_occupancies: (any number, sites), the mask moved by plausible registration errors.
    """

    occupancy: np.ndarray
    symptoms: tuple[ReportedSymptom, ...]
    handedness: Handedness = Handedness.UNKNOWN
    age_years: float | None = None
    registration_passed: bool = True
    image_side_known: bool = True
    post_operative: bool = False
    components: tuple[ComponentOccupancy, ...] = ()
    shifted_occupancies: np.ndarray | None = None


@dataclass(frozen=True)
class SiteShare:
    """A site and a number between 0 and 1 that belongs to it."""

    region: str
    side: str
    share: float


@dataclass(frozen=True)
class SymptomContribution:
    """What one answer does to the score.

    Attributes:
        id: the symptom.
        state: present or denied.
        side: the side used (unknown: both were averaged).
        strength: from the knowledge base.
        nats: log BF with the answer less log BF without it; positive supports the mask.
        weight_word: ``none``, ``weak``, ``moderate`` or ``strong``, by size of ``nats``.
        probability: P(symptom | mask) of the forward model.
        mirrored_probability: the same of the mirrored mask.
        explanation: whether the mask accounts for it.
        nats_alone: log BF of this answer alone: what it says without the others.
        sites: the occupied sites responsible, largest share first, at most three.
    """

    id: str
    state: str
    side: str
    strength: float
    nats: float
    weight_word: str
    probability: float
    mirrored_probability: float
    explanation: Explanation
    nats_alone: float
    sites: tuple[SiteShare, ...]


@dataclass(frozen=True)
class SilentSite:
    """An eloquent site that the mask occupies although a typical symptom was explicitly denied."""

    region: str
    side: str
    occupancy: float
    denied: tuple[str, ...]


@dataclass(frozen=True)
class SuspectedSite:
    """A site outside the mask where the unexplained symptoms point: look here.

    Attributes:
        region: its code.
        side: its side.
        probability: that a lesion which causes these symptoms touches it, given the symptoms alone.
        lift: that probability over the one without symptoms.
        symptoms: the unexplained symptoms that point to it.
    """

    region: str
    side: str
    probability: float
    lift: float
    symptoms: tuple[str, ...]


@dataclass(frozen=True)
class CrossCheckResult:
    """The answer. ``None`` in a number means that there is nothing to score.

    Attributes:
        concordance: the class.
        reasons: why, stable codes.
        probability: calibrated probability that mask and symptoms belong together, equal odds beforehand.
        probability_interval: 80 % interval of that probability.
        log_bayes_factor: nats.
        mirrored_log_bayes_factor: nats, of the mirrored mask.
        possible_side_error: the mirrored mask fits far better: check image orientation and intake side first.
        symptoms: every present or denied answer with its contribution.
        unexplained: present localising symptoms that the mask does not account for.
        silent_sites: eloquent sites that should have been felt.
        suspected_sites: where to look again outside the mask.
        components: what the symptoms say of each connected component.
        warnings: about the answers, for example ``side_missing:arm_weakness``.
        versions: of scorer, library and calibration.
        notice: research only.
    """

    concordance: ConcordanceClass
    reasons: tuple[Reason, ...]
    probability: float | None = None
    probability_interval: tuple[float, float] | None = None
    log_bayes_factor: float | None = None
    mirrored_log_bayes_factor: float | None = None
    possible_side_error: bool = False
    symptoms: tuple[SymptomContribution, ...] = ()
    unexplained: tuple[str, ...] = ()
    silent_sites: tuple[SilentSite, ...] = ()
    suspected_sites: tuple[SuspectedSite, ...] = ()
    components: tuple[ComponentSupport, ...] = ()
    warnings: tuple[str, ...] = ()
    versions: Mapping[str, str] | None = None
    notice: str = RESEARCH_NOTICE

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; enumerations become their words."""
        record: dict[str, Any] = plain(self)
        return record


class CrossChecker:
    """Scores cases against one knowledge base and one library; make it once, use it for every case.

    Attributes:
        evidence: the Bayes factors.
        calibration: from log BF to probability.
        configuration: the numbers that turn a score into words.
    """

    def __init__(
        self,
        definitions: Mapping[str, SymptomDefinition],
        library: LesionLibrary,
        *,
        calibration: PlattCalibration = STORED_CALIBRATION,
        configuration: CrossCheckConfiguration = CrossCheckConfiguration(),
        forward: ForwardModelConfiguration = ForwardModelConfiguration(),
        evidence: EvidenceConfiguration = EvidenceConfiguration(),
        interval: IntervalConfiguration = IntervalConfiguration(),
        components: ComponentConfiguration = ComponentConfiguration(),
    ) -> None:
        self.definitions = definitions
        model = SymptomForwardModel(definitions, library.sites, forward, proximity=library.proximity)
        self.evidence = SymptomEvidence(definitions, model, library, evidence)
        self.calibration = calibration
        self.configuration = configuration
        self._interval = interval
        self._components = components
        self._touched = library.occupancy >= configuration.touched_occupancy

    @property
    def sites(self) -> tuple[SidedRegion, ...]:
        """Order of the site axis of every occupancy."""
        return self.evidence.library.sites

    @property
    def is_calibrated(self) -> bool:
        """Whether the calibration was fitted with this very knowledge base, library and numbers."""
        return self.calibration.scorer_hash == self.evidence.fingerprint

    def assess(self, case: CrossCheckCase) -> CrossCheckResult:
        """Score one case.

        Raises:
            InvalidValueError: unknown symptom, contradictory answers, or a wrong occupancy.
        """
        occupancy = self._checked_occupancy(case.occupancy)
        observations = compile_observations(case.symptoms, self.definitions)
        blocked = _not_assessable(case, occupancy)
        if blocked:
            return CrossCheckResult(
                ConcordanceClass.NOT_ASSESSABLE,
                blocked,
                warnings=observations.warnings,
                versions=self.versions(),
            )
        return self._scored(case, occupancy, observations)

    def versions(self) -> dict[str, str]:
        """What an audit needs to repeat a score, besides the knowledge base's own version."""
        return {
            "scorer": SCORER_VERSION,
            "lesion_library": self.evidence.library.version,
            "evidence": self.evidence.fingerprint,
            "calibration_cohort": self.calibration.cohort_hash,
            "calibrated_for": self.calibration.scorer_hash,
        }

    def _scored(
        self, case: CrossCheckCase, occupancy: np.ndarray, observations: Observations
    ) -> CrossCheckResult:
        dominance = RIGHT_DOMINANCE[case.handedness]
        terms = self.evidence.terms(occupancy, observations)
        log_bayes_factor = terms.log_bayes_factor(dominance)
        mirrored = self.evidence.log_bayes_factor(occupancy[self.evidence.mirror], observations, dominance)
        contributions = self._contributions(occupancy, observations, terms, dominance)
        score = _Score(
            log_bayes_factor=log_bayes_factor,
            mirrored=mirrored,
            interval=log_bayes_factor_interval(
                self.evidence,
                occupancy,
                observations,
                dominance,
                terms=terms,
                shifted=case.shifted_occupancies,
                configuration=self._interval,
            ),
        )
        if not case.image_side_known:
            score = score.without_side()
        probability, interval = self._probabilities(score)
        concordance, reasons = self._classify(case, contributions, score, probability, interval)
        return CrossCheckResult(
            concordance=concordance,
            reasons=reasons,
            probability=probability,
            probability_interval=interval,
            log_bayes_factor=score.log_bayes_factor,
            mirrored_log_bayes_factor=score.mirrored,
            possible_side_error=score.mirrored_gain >= self.configuration.mirrored_nats
            or (case.image_side_known and self._is_on_wrong_side(contributions)),
            symptoms=contributions,
            unexplained=tuple(
                c.id
                for c in contributions
                if c.state == SymptomState.PRESENT.value and c.explanation is Explanation.UNEXPLAINED
            ),
            silent_sites=self._silent_sites(occupancy, observations, dominance),
            suspected_sites=self._suspected_sites(occupancy, observations, contributions, dominance),
            components=component_support(
                self.evidence,
                occupancy,
                log_bayes_factor,
                case.components,
                observations,
                dominance,
                self._components,
            ),
            warnings=(*self._own_warnings(), *observations.warnings),
            versions=self.versions(),
        )

    def _own_warnings(self) -> tuple[str, ...]:
        """A calibration of another knowledge base still orders cases, but its probabilities are off."""
        return () if self.is_calibrated else (CALIBRATION_MISMATCH,)

    def _checked_occupancy(self, occupancy: np.ndarray) -> np.ndarray:
        values = np.asarray(occupancy, dtype=np.float64)
        if values.shape != (len(self.sites),):
            raise InvalidValueError(f"occupancy has shape {values.shape}; allowed: ({len(self.sites)},)")
        if not np.all((values >= 0.0) & (values <= 1.0 + 1e-6)):
            raise InvalidValueError("occupancy has values that are not between 0 and 1")
        return np.minimum(values, 1.0)

    def _probabilities(self, score: _Score) -> tuple[float, tuple[float, float]]:
        low, middle, high = self.calibration.probability(
            np.array([score.interval[0], score.log_bayes_factor, score.interval[1]])
        )
        return float(middle), (float(min(low, middle)), float(max(high, middle)))

    def _contributions(
        self, occupancy: np.ndarray, observations: Observations, terms: LikelihoodTerms, dominance: float
    ) -> tuple[SymptomContribution, ...]:
        if not len(observations):
            return ()
        factors = terms.leaving_one_out(dominance)
        probability = self.evidence.probability(occupancy, observations, dominance)
        mirrored = self.evidence.probability(occupancy[self.evidence.mirror], observations, dominance)
        activation = self.evidence.site_activation(occupancy, observations, dominance)
        alone = terms.alone(dominance)
        rows = []
        for row, answer in enumerate(observations.reported):
            definition = self.definitions[answer.id]
            nats = float(factors[0] - factors[row + 1])
            rows.append(
                SymptomContribution(
                    id=answer.id,
                    state=answer.state.value,
                    side=answer.side.value,
                    strength=definition.strength,
                    nats=nats,
                    weight_word=weight_word(nats),
                    probability=float(probability[row]),
                    mirrored_probability=float(mirrored[row]),
                    explanation=self._explanation(definition, float(probability[row])),
                    nats_alone=float(alone[row]),
                    sites=self._largest_shares(activation[row]),
                )
            )
        return tuple(rows)

    def _explanation(self, definition: SymptomDefinition, probability: float) -> Explanation:
        numbers = self.evidence.forward.configuration
        if not definition.localises:
            return Explanation.NOT_LOCALISING
        # weak symptoms can never reach three leaks: for them a quarter of what is possible is the bar
        possible = numbers.ceiling * definition.strength
        bar = min(numbers.unexplained_leaks * numbers.leak, numbers.leak + 0.25 * possible)
        if probability < bar:
            return Explanation.UNEXPLAINED
        if (
            probability
            >= numbers.leak + numbers.explained_saturation * possible * (1.0 - numbers.leak) - 1e-12
        ):
            return Explanation.EXPLAINED
        return Explanation.PARTLY_EXPLAINED

    def _largest_shares(self, activation: np.ndarray, count: int = 3) -> tuple[SiteShare, ...]:
        total = float(activation.sum())
        if total <= 1e-9:
            return ()
        order = _largest_first(activation)[:count]
        return tuple(
            SiteShare(self.sites[i].region.code, self.sites[i].side.value, float(activation[i] / total))
            for i in order
            if activation[i] > 0.05 * total
        )

    def _classify(
        self,
        case: CrossCheckCase,
        contributions: Sequence[SymptomContribution],
        score: _Score,
        probability: float,
        interval: tuple[float, float],
    ) -> tuple[ConcordanceClass, tuple[Reason, ...]]:
        present = [c for c in contributions if c.state == SymptomState.PRESENT.value]
        indeterminate = _indeterminate(case, present, self.configuration)
        if indeterminate:
            return ConcordanceClass.INDETERMINATE, indeterminate
        strong = [c for c in present if _is_strong(c, self.configuration)]
        found, reason = self._class_of(probability, score, strong)
        if found is ConcordanceClass.CONCORDANT and interval[0] < self.configuration.interval_floor:
            return ConcordanceClass.PARTLY_SUPPORTED, (reason, Reason.INTERVAL_SPANS_CLASSES)
        return found, (reason,)

    def _class_of(
        self, probability: float, score: _Score, strong: Sequence[SymptomContribution]
    ) -> tuple[ConcordanceClass, Reason]:
        against = self._objection(probability, score, strong)
        if against is not None:
            return ConcordanceClass.DISCORDANT, against
        if probability <= self.configuration.discordant_probability:
            return ConcordanceClass.INDETERMINATE, Reason.ONLY_WEAK_SYMPTOMS
        doubt = self._doubt(probability, score, strong)
        if doubt is not None:
            return ConcordanceClass.PARTLY_SUPPORTED, doubt
        return ConcordanceClass.CONCORDANT, Reason.HIGH_PROBABILITY

    def _objection(
        self, probability: float, score: _Score, strong: Sequence[SymptomContribution]
    ) -> Reason | None:
        """What makes a case discordant."""
        numbers = self.configuration
        if score.mirrored_gain >= numbers.mirrored_nats:
            return Reason.MIRRORED_FITS_BETTER
        if self._is_on_wrong_side(strong):
            return Reason.STRONG_SYMPTOM_ON_WRONG_SIDE
        if strong and probability <= numbers.discordant_probability:
            return Reason.LOW_PROBABILITY
        unexplained = any(c.explanation is Explanation.UNEXPLAINED for c in strong)
        if unexplained and probability < numbers.doubtful_probability:
            return Reason.STRONG_SYMPTOM_UNEXPLAINED
        return None

    def _doubt(
        self, probability: float, score: _Score, strong: Sequence[SymptomContribution]
    ) -> Reason | None:
        """What keeps a case from being concordant."""
        if probability < self.configuration.concordant_probability:
            return Reason.MIDDLE_PROBABILITY
        if any(c.explanation is Explanation.UNEXPLAINED for c in strong):
            return Reason.STRONG_SYMPTOM_UNEXPLAINED
        if not strong:
            return Reason.NO_STRONG_SYMPTOM_EXPLAINED
        if score.mirrored_gain > self.configuration.side_tolerance_nats:
            return Reason.MIRRORED_FITS_BETTER
        return None

    def _is_on_wrong_side(self, contributions: Sequence[SymptomContribution]) -> bool:
        """A strong lateralising symptom that only the mirrored mask accounts for, and none that only the mask does.

        One such sign is enough: weakness, hemianopia, neglect or ataxia on the tumour's wrong side is a wrong side
        of image or intake until shown otherwise. Two signs on different sides are no side error.
        """
        present = [c for c in contributions if c.state == SymptomState.PRESENT.value]
        strong = [c for c in present if _is_strong(c, self.configuration)]
        against = any(self._tells_side(c, c.mirrored_probability, c.probability) for c in strong)
        return against and not any(self._tells_side(c, c.probability, c.mirrored_probability) for c in strong)

    def _tells_side(self, symptom: SymptomContribution, here: float, there: float) -> bool:
        """Whether a lesion accounts for a symptom and its mirror image does not; both are P(symptom | lesion)."""
        definition = self.definitions[symptom.id]
        named = symptom.side in (ReportedSide.LEFT.value, ReportedSide.RIGHT.value)
        if not (named and definition.needs_side) and not definition.depends_on_dominance:
            return False
        numbers, leak = self.configuration, self.evidence.forward.configuration.leak
        possible = self.evidence.forward.configuration.ceiling * definition.strength
        share = numbers.other_side_share if definition.needs_side else numbers.other_dominance_share
        felt, other = here - leak, max(there - leak, 0.0)
        return felt >= numbers.felt_share * possible and other <= share * felt

    def _silent_sites(
        self, occupancy: np.ndarray, observations: Observations, dominance: float
    ) -> tuple[SilentSite, ...]:
        """Eloquent, well occupied, and a strong symptom typical of the site was denied."""
        chance = np.array([1.0 - dominance, dominance])
        found = []
        for index, site in enumerate(self.sites):
            if not site.region.is_eloquent or occupancy[index] < self.configuration.silent_occupancy:
                continue
            denied = tuple(
                answer.id
                for row, answer in enumerate(observations.reported)
                if not observations.present[row]
                and self.definitions[answer.id].strength >= self.configuration.strong_strength
                and self._typical_weight(observations, row, index, chance) >= self.configuration.silent_weight
            )
            if denied:
                found.append(SilentSite(site.region.code, site.side.value, float(occupancy[index]), denied))
        return tuple(found)

    def _typical_weight(self, observations: Observations, row: int, site: int, chance: np.ndarray) -> float:
        weights = self.evidence.forward.base_weights[observations.index[row], :, :, site] @ chance
        asked = observations.side_chance[row] > 0
        return float(weights[asked].max())

    def _suspected_sites(
        self,
        occupancy: np.ndarray,
        observations: Observations,
        contributions: Sequence[SymptomContribution],
        dominance: float,
    ) -> tuple[SuspectedSite, ...]:
        """Where a lesion would lie that causes the unexplained symptoms, as far as the mask leaves it out."""
        unexplained = tuple(
            answer
            for answer, c in zip(observations.reported, contributions)
            if answer.state is SymptomState.PRESENT and c.explanation is Explanation.UNEXPLAINED
        )
        if not unexplained:
            return ()
        missed = compile_observations(unexplained, self.definitions)
        before = self._touched.mean(axis=0)
        after = self.evidence.posterior(missed, dominance) @ self._touched
        lift = after / np.maximum(before, 1e-6)
        relevant = self.evidence.site_activation(np.ones(len(self.sites)), missed, dominance)
        numbers = self.configuration
        eligible = (occupancy < numbers.untouched_occupancy) & (lift >= numbers.suspected_lift)
        eligible &= (after >= numbers.suspected_probability) & (relevant.max(axis=0) >= 0.25)
        order = [index for index in _largest_first(after) if eligible[index]]
        return tuple(
            SuspectedSite(
                self.sites[i].region.code,
                self.sites[i].side.value,
                float(after[i]),
                float(lift[i]),
                tuple(answer.id for answer, row in zip(missed.reported, relevant) if row[i] >= 0.25),
            )
            for i in order[: numbers.suspected_count]
        )


@dataclass(frozen=True)
class _Score:
    """Log Bayes factors of one case, nats."""

    log_bayes_factor: float
    mirrored: float
    interval: tuple[float, float]

    @property
    def mirrored_gain(self) -> float:
        return self.mirrored - self.log_bayes_factor

    def without_side(self) -> _Score:
        """Both orientations of the image equally likely: the mean of both Bayes factors."""
        both = float(np.logaddexp(self.log_bayes_factor, self.mirrored) - np.log(2.0))
        shift = both - self.log_bayes_factor
        return _Score(both, both, (self.interval[0] + shift, self.interval[1] + shift))


def _largest_first(values: np.ndarray) -> np.ndarray:
    """Positions by value; mirror sites tie, and the last digits of a matrix product are no reason to prefer one."""
    return np.argsort(-np.round(values, 6), kind="stable")


def weight_word(nats: float) -> str:
    """Size of a contribution in words; the steps are e^0.2, e^0.7 (about 2) and e^1.6 (about 5) in odds."""
    size = abs(nats)
    if size < 0.2:
        return "none"
    if size < 0.7:
        return "weak"
    return "moderate" if size < 1.6 else "strong"


def _is_strong(contribution: SymptomContribution, numbers: CrossCheckConfiguration) -> bool:
    localising = contribution.explanation is not Explanation.NOT_LOCALISING
    return localising and contribution.strength >= numbers.strong_strength


def _not_assessable(case: CrossCheckCase, occupancy: np.ndarray) -> tuple[Reason, ...]:
    if not case.registration_passed:
        # nothing is known of the mask's place, so its occupancy says nothing either
        return (Reason.REGISTRATION_FAILED,)
    return (Reason.MASK_EMPTY,) if occupancy.max(initial=0.0) <= 0.0 else ()


def _indeterminate(
    case: CrossCheckCase, present: Sequence[SymptomContribution], numbers: CrossCheckConfiguration
) -> tuple[Reason, ...]:
    reasons = []
    if all(c.explanation is Explanation.NOT_LOCALISING for c in present):
        reasons.append(Reason.NO_LOCALISING_SYMPTOM)
    if case.age_years is not None and case.age_years < numbers.adult_age:
        reasons.append(Reason.CHILD)
    if case.post_operative:
        reasons.append(Reason.POST_OPERATIVE)
    if not case.image_side_known:
        reasons.append(Reason.IMAGE_SIDE_UNKNOWN)
    return tuple(reasons)
