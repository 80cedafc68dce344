"""A simulated cohort to test the cross-check: lesions, symptoms, and how patients report them.

The generator shares neither tables nor functional form with the score. Lesions are unions of ellipsoids with
an oedema of random width (the library grows voxel by voxel). Symptoms follow a logistic curve of the distance
between lesion and landmarks that differ from person to person (the score: saturating sums over regions).
Added are what makes real patients difficult: slow growth with plasticity, seizures by lobe and grade,
pressure signs by volume, false-localising signs in 12.4 % (20 of 161, of which 12 sixth-nerve palsies:
Larner 2003, JNNP 74:415), complaints of another cause, symptoms not told, sides confused or unknown, a
registration that is off, and a mask that is too large or too small.

Simulated is simulated: no public cohort holds masks and symptoms, so clinical validity stays unproven.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import expit, logit

from medsynth_app.benchmarks.cohorts.anatomy import (
    DEFICITS,
    LANDMARKS_MM,
    NEGLECT_LEFT_HEMISPHERE_SHARE,
    PRESSURE_RATES,
    SEIZURE_ODDS,
    SEIZURES,
    SimulatedSeizure,
)
from medsynth_app.clinical.knowledge.lesion_library import EDEMA_WEIGHT
from medsynth_app.clinical.knowledge.symptom_model import (
    Handedness,
    LateralityRule,
    ReportedSide,
    ReportedSymptom,
    SymptomDefinition,
    SymptomState,
)
from medsynth_app.imaging.atlas.atlas import Atlas
from medsynth_app.imaging.atlas.brain_regions import Lobe, Side

COHORT_VERSION = "1"
"""Raise this when the generator changes: it is part of the cohort's hash."""

SITE_SHARES: dict[Lobe, float] = {
    # Larjavaara 2007, Neuro-Oncology 9:319; the 14 % elsewhere are split by this project
    Lobe.FRONTAL: 0.40,
    Lobe.TEMPORAL: 0.29,
    Lobe.PARIETAL: 0.14,
    Lobe.OCCIPITAL: 0.03,
    Lobe.INSULAR: 0.04,
    Lobe.DEEP: 0.05,
    Lobe.BRAINSTEM: 0.02,
    Lobe.CEREBELLUM: 0.03,
}


@dataclass(frozen=True)
class CohortConfiguration:
    """How the cohort is drawn.

    Attributes:
        patients: number of patients.
        seed: where the random numbers start.
        told: probability that a patient tells a symptom.
        denied: probability that a symptom not told is explicitly denied, not left blank.
        side_unknown: probability that the side of a told symptom is not known.
        side_confused: probability that it is told wrongly.
        false_localising: probability of a false-localising sign.
        other_causes: mean number of complaints that have nothing to do with the lesion.
        landmark_deviation_mm: how much landmarks differ between people, per axis.
        reach_mm: distance at which a landmark's dose falls to 61 %.
        steepness: of the logistic curve, in logits from no dose to full dose.
        frailty: standard deviation of a patient's disposition, in logits.
        low_grade: share of low-grade gliomas.
        low_grade_logit: shift of deficits in low grade (plasticity).
        registration_mm: standard deviation of the registration error per axis.
        mask_scale: standard deviation of the logarithm of the mask's size error.
    """

    patients: int = 2400
    seed: int = 1
    told: float = 0.85
    denied: float = 0.35
    side_unknown: float = 0.08
    side_confused: float = 0.03
    false_localising: float = 0.124
    other_causes: float = 0.15
    landmark_deviation_mm: float = 5.0
    reach_mm: float = 11.0
    steepness: float = 5.0
    frailty: float = 0.7
    low_grade: float = 0.25
    low_grade_logit: float = -1.0
    registration_mm: float = 3.0
    mask_scale: float = 0.08


@dataclass(frozen=True)
class SimulatedPatient:
    """One patient as the score sees them.

    Attributes:
        occupancy: (sites,) of the (imperfect) mask.
        symptoms: what was told and what was denied.
        handedness: as told.
        lobe: of the lesion's centre.
        volume_ml: whole lesion.
    """

    occupancy: np.ndarray
    symptoms: tuple[ReportedSymptom, ...]
    handedness: Handedness
    lobe: Lobe
    volume_ml: float


def cohort_hash(atlas: Atlas, configuration: CohortConfiguration) -> str:
    """Hash of everything that decides the cohort's content."""
    text = f"{COHORT_VERSION}|{atlas.version}|{sorted(asdict(configuration).items())}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def simulate_cohort(
    atlas: Atlas,
    definitions: Mapping[str, SymptomDefinition],
    configuration: CohortConfiguration = CohortConfiguration(),
) -> list[SimulatedPatient]:
    """Draw the cohort; the same arguments give the same patients.

    Args:
        atlas: where lesions lie.
        definitions: only used to know which identifiers exist and which ask for a side.
        configuration: how the cohort is drawn.
    """
    ground = _BrainGround(atlas)
    seeds = np.random.SeedSequence(configuration.seed).spawn(configuration.patients)
    return [
        _simulate_patient(ground, definitions, configuration, np.random.default_rng(seed)) for seed in seeds
    ]


def _simulate_patient(
    ground: _BrainGround,
    definitions: Mapping[str, SymptomDefinition],
    configuration: CohortConfiguration,
    generator: np.random.Generator,
) -> SimulatedPatient:
    lesion = _draw_lesion(ground, configuration, generator)
    person = _draw_person(configuration, generator)
    truth = _Truth(lesion, person, configuration, generator)
    truth.add_deficits()
    truth.add_seizures()
    truth.add_pressure_signs()
    truth.add_false_localising_signs()
    truth.add_other_causes(definitions)
    told = _told(truth.symptoms, definitions, configuration, generator)
    occupancy = ground.occupancy(_imperfect(lesion, configuration, generator))
    return SimulatedPatient(occupancy, told, person.handedness, lesion.lobe, lesion.volume_ml)


# ------------------------------------------------------------------------------------------ the lesion


@dataclass(frozen=True)
class DrawnLesion:
    """A simulated lesion as an image shows it.

    Attributes:
        occupancy: (sites,) of the (imperfect) mask.
        lobe: of its centre.
        side: of most of its core.
        volume_ml: whole lesion.
    """

    occupancy: np.ndarray
    lobe: Lobe
    side: Side
    volume_ml: float


class LesionDrawer:
    """Draws lesions without any symptom, for other generators of patients.

    Args:
        atlas: where they lie.
        configuration: how they are drawn.
    """

    def __init__(self, atlas: Atlas, configuration: CohortConfiguration) -> None:
        self._ground = _BrainGround(atlas)
        self._configuration = configuration

    def draw(self, generator: np.random.Generator) -> DrawnLesion:
        """One lesion."""
        lesion = _draw_lesion(self._ground, self._configuration, generator)
        side = Side.RIGHT if float(lesion.core_mm[:, 0].mean()) > 0 else Side.LEFT
        occupancy = self._ground.occupancy(_imperfect(lesion, self._configuration, generator))
        return DrawnLesion(occupancy, lesion.lobe, side, lesion.volume_ml)


@dataclass(frozen=True)
class _Ellipsoid:
    """Core where the scaled radius is at most 1, oedema up to ``1 + margin``."""

    center_mm: np.ndarray
    axes: np.ndarray  # (3, 3), maps mm to units of the radius
    margin: float


@dataclass(frozen=True)
class _Lesion:
    parts: tuple[_Ellipsoid, ...]
    core_mm: np.ndarray  # (voxels, 3)
    edema_mm: np.ndarray  # (voxels, 3), without the core
    lobe: Lobe
    volume_ml: float
    low_grade: bool


class _BrainGround:
    """Brain voxels of the atlas."""

    def __init__(self, atlas: Atlas) -> None:
        self._labels = atlas.labels
        self._affine = atlas.affine
        self.voxel_ml = abs(float(np.linalg.det(atlas.affine[:3, :3]))) / 1000.0
        self._count = len(atlas.regions)
        self._site_voxels = np.maximum(np.bincount(atlas.labels.ravel(), minlength=self._count + 1)[1:], 1)
        self.members = {
            lobe: np.argwhere(
                np.isin(atlas.labels, [s.label for s in atlas.regions if s.region.lobe is lobe])
            )
            for lobe in SITE_SHARES
        }

    def position_mm(self, voxels: np.ndarray) -> np.ndarray:
        """MNI mm of voxel indices (..., 3)."""
        return voxels @ self._affine[:3, :3].T + self._affine[:3, 3]

    def fill(self, parts: Sequence[_Ellipsoid]) -> tuple[np.ndarray, np.ndarray]:
        """Voxel indices (voxels, 3) of core and of oedema without core, inside the brain."""
        low, high = self._box(parts)
        box = tuple(slice(start, stop) for start, stop in zip(low, high))
        voxels = np.argwhere(self._labels[box] > 0) + low
        position = self.position_mm(voxels)
        core, whole = np.zeros(len(voxels), dtype=bool), np.zeros(len(voxels), dtype=bool)
        for part in parts:
            radius = np.linalg.norm((position - part.center_mm) @ part.axes, axis=1)
            core |= radius <= 1.0
            whole |= radius <= 1.0 + part.margin
        return voxels[core], voxels[whole & ~core]

    def occupancy(self, parts: Sequence[_Ellipsoid]) -> np.ndarray:
        """(sites,) weighted occupancy."""
        core, edema = self.fill(parts)
        return (self._filled(core) + EDEMA_WEIGHT * self._filled(edema)) / self._site_voxels

    def _filled(self, voxels: np.ndarray) -> np.ndarray:
        return np.bincount(self._labels[tuple(voxels.T)], minlength=self._count + 1)[1:]

    def _box(self, parts: Sequence[_Ellipsoid]) -> tuple[np.ndarray, np.ndarray]:
        corners = []
        for part in parts:
            reach = (1.0 + part.margin) / np.linalg.svd(part.axes, compute_uv=False).min()
            corners += [part.center_mm - reach, part.center_mm + reach]
        inverse = np.linalg.inv(self._affine)
        voxels = np.stack(corners) @ inverse[:3, :3].T + inverse[:3, 3]
        shape = np.array(self._labels.shape)
        low = np.clip(np.floor(voxels.min(axis=0)).astype(int), 0, shape - 1)
        return low, np.clip(np.ceil(voxels.max(axis=0)).astype(int) + 1, low + 1, shape)


def _draw_lesion(
    ground: _BrainGround, configuration: CohortConfiguration, generator: np.random.Generator
) -> _Lesion:
    lobes = [lobe for lobe in SITE_SHARES if len(ground.members[lobe])]
    share = np.array([SITE_SHARES[lobe] for lobe in lobes])
    lobe = lobes[generator.choice(len(lobes), p=share / share.sum())]
    center = ground.position_mm(generator.choice(ground.members[lobe]))
    low_grade = bool(generator.random() < configuration.low_grade)
    radius = float(np.clip(20.0 * np.exp(0.3 * generator.normal()), 6.0, 36.0))
    margin = 0.1 if low_grade else float(generator.uniform(0.1, 0.8))
    parts = [_draw_ellipsoid(center, radius, margin, generator)]
    if generator.random() < 0.5:
        shift = generator.normal(size=3) * radius * 0.6
        parts.append(_draw_ellipsoid(center + shift, 0.7 * radius, margin, generator))
    core, edema = ground.fill(parts)
    volume = (len(core) + len(edema)) * ground.voxel_ml
    return _Lesion(tuple(parts), ground.position_mm(core), ground.position_mm(edema), lobe, volume, low_grade)


def _draw_ellipsoid(
    center: np.ndarray, radius: float, margin: float, generator: np.random.Generator
) -> _Ellipsoid:
    rotation = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    return _Ellipsoid(center, rotation / (radius * np.exp(0.25 * generator.normal(size=3))), margin)


def _imperfect(
    lesion: _Lesion, configuration: CohortConfiguration, generator: np.random.Generator
) -> tuple[_Ellipsoid, ...]:
    """What a registration and a segmentation make of the lesion."""
    shift = generator.normal(scale=configuration.registration_mm, size=3)
    scale = float(np.exp(configuration.mask_scale * generator.normal()))
    return tuple(_Ellipsoid(p.center_mm + shift, p.axes / scale, p.margin) for p in lesion.parts)


# ------------------------------------------------------------------------------------------ the person


@dataclass(frozen=True)
class _Person:
    handedness: Handedness
    dominant_right: bool
    disposition: float  # logits
    landmarks: Mapping[tuple[str, Side], np.ndarray]


def _draw_person(configuration: CohortConfiguration, generator: np.random.Generator) -> _Person:
    kinds = (Handedness.RIGHT, Handedness.LEFT, Handedness.AMBIDEXTROUS)
    handedness = kinds[generator.choice(3, p=(0.88, 0.09, 0.03))]
    # right-hemisphere language: Knecht 2000, Brain 123:2512
    chance = {Handedness.RIGHT: 0.04, Handedness.LEFT: 0.27, Handedness.AMBIDEXTROUS: 0.15}[handedness]
    places = {}
    for name, (x, y, z) in LANDMARKS_MM.items():
        for side, sign in ((Side.LEFT, -1.0), (Side.RIGHT, 1.0)):
            places[name, side] = np.array([sign * x, y, z]) + generator.normal(
                scale=configuration.landmark_deviation_mm, size=3
            )
    return _Person(
        handedness,
        bool(generator.random() < chance),
        float(configuration.frailty * generator.normal()),
        places,
    )


_OTHER_SIDE = {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT}
_SIDES = (Side.LEFT, Side.RIGHT)


class _Truth:
    """What the patient really has: (symptom, side or None)."""

    def __init__(
        self,
        lesion: _Lesion,
        person: _Person,
        configuration: CohortConfiguration,
        generator: np.random.Generator,
    ) -> None:
        self.symptoms: set[tuple[str, Side | None]] = set()
        self._lesion = lesion
        self._person = person
        self._configuration = configuration
        self._generator = generator
        self._dose = self._landmark_doses()

    def add_deficits(self) -> None:
        """Symptoms of what the lesion destroys or swells."""
        shift = self._person.disposition
        if self._lesion.low_grade:
            shift += self._configuration.low_grade_logit
        for symptom in DEFICITS:
            for lesion_side in _SIDES:
                peak = symptom.peak
                if symptom.id == "neglect" and lesion_side is Side.LEFT:
                    peak *= NEGLECT_LEFT_HEMISPHERE_SHARE
                dose = self._strongest(symptom.landmarks, lesion_side, symptom.rule)
                slope = self._configuration.steepness
                # two sides are drawn, so the curve's foot is lowered to keep the rate without a lesion small
                if self._happens(
                    float(expit(logit(peak) + shift + slope * (dose - 1.0))) - self._foot(peak, shift)
                ):
                    self.symptoms.add((symptom.id, _body_side(symptom.rule, lesion_side)))

    def add_seizures(self) -> None:
        """Seizures by lobe (odds) and grade (80 % of low, 30 % of high), then their kind by distance."""
        rate = 0.80 if self._lesion.low_grade else 0.30
        chance = float(expit(logit(rate) + np.log(SEIZURE_ODDS[self._lesion.lobe])))
        if not self._happens(chance):
            return
        self.symptoms.add((str(self._generator.choice(["seizure_gtc", "seizure_unspecified"])), None))
        if self._happens(0.6):
            self._add_focal_seizure()

    def add_pressure_signs(self) -> None:
        """Headache and the like: more with volume, nothing to do with the site."""
        for symptom, rate in PRESSURE_RATES.items():
            if self._happens(float(expit(logit(rate) + 0.5 * np.log(self._lesion.volume_ml / 50.0)))):
                self.symptoms.add((symptom, None))

    def add_false_localising_signs(self) -> None:
        """Sixth-nerve palsy in 12 of 20, the rest from the notch, hydrocephalus or distant pressure."""
        if not self._happens(self._configuration.false_localising):
            return
        if self._happens(12 / 20):
            self.symptoms.add(("cn6_palsy", None))
            return
        own = Side.RIGHT if self._lesion.core_mm[:, 0].mean() > 0 else Side.LEFT
        signs: list[tuple[str, Side | None]] = [
            ("hemiparesis", own),  # Kernohan: weakness on the side of the lesion
            ("gait_ataxia", None),
            ("facial_numbness", _SIDES[self._generator.integers(2)]),
            ("homonymous_hemianopia", _SIDES[self._generator.integers(2)]),
            ("cn3_palsy", own),
        ]
        self.symptoms.add(signs[self._generator.integers(len(signs))])

    def add_other_causes(self, definitions: Mapping[str, SymptomDefinition]) -> None:
        """A bad knee, migraine, an old ear: any localising symptom, any side."""
        names = [symptom for symptom, definition in definitions.items() if definition.localises]
        for _ in range(self._generator.poisson(self._configuration.other_causes)):
            name = names[self._generator.integers(len(names))]
            sided = definitions[name].needs_side
            self.symptoms.add((name, _SIDES[self._generator.integers(2)] if sided else None))

    def _add_focal_seizure(self) -> None:
        weight = np.zeros((len(SEIZURES), 2))
        for row, seizure in enumerate(SEIZURES):
            for column, side in enumerate(_SIDES):
                dose = self._strongest(seizure.landmarks, side, seizure.rule)
                weight[row, column] = seizure.peak * (dose**2 + 0.005)
        index = self._generator.choice(weight.size, p=weight.ravel() / weight.sum())
        seizure, side = SEIZURES[index // 2], _SIDES[index % 2]
        self.symptoms.add((seizure.id, self._ictal_side(seizure, side)))
        if seizure.id == "seizure_focal_motor" and self._happens(0.15):
            self.symptoms.add(("todd_paresis", _OTHER_SIDE[side]))

    def _ictal_side(self, seizure: SimulatedSeizure, focus: Side) -> Side | None:
        side = _body_side(seizure.rule, focus)
        if side is not None and not self._happens(seizure.rule_holds):
            return _OTHER_SIDE[side]
        return side

    def _landmark_doses(self) -> dict[tuple[str, Side], float]:
        places = np.stack(list(self._person.landmarks.values()))
        core = self._dose_of(self._lesion.core_mm, places)
        edema = 0.5 * self._dose_of(self._lesion.edema_mm, places)
        return dict(zip(self._person.landmarks, np.maximum(core, edema).tolist()))

    def _dose_of(self, voxels_mm: np.ndarray, places_mm: np.ndarray) -> np.ndarray:
        if not len(voxels_mm):
            return np.zeros(len(places_mm))
        distance = np.maximum(cKDTree(voxels_mm).query(places_mm)[0] - 1.0, 0.0)
        return np.exp(-0.5 * (distance / self._configuration.reach_mm) ** 2)

    def _strongest(self, landmarks: tuple[str, ...], side: Side, rule: LateralityRule) -> float:
        dominant = Side.RIGHT if self._person.dominant_right else Side.LEFT
        silent = {LateralityRule.DOMINANT: _OTHER_SIDE[dominant], LateralityRule.NONDOMINANT: dominant}
        if silent.get(rule) is side:
            return 0.0
        return max(self._dose[name, side] for name in landmarks)

    def _foot(self, peak: float, shift: float) -> float:
        return float(expit(logit(peak) + shift - self._configuration.steepness))

    def _happens(self, chance: float) -> bool:
        return bool(self._generator.random() < chance)


def _body_side(rule: LateralityRule, lesion_side: Side) -> Side | None:
    if rule is LateralityRule.CONTRALATERAL:
        return _OTHER_SIDE[lesion_side]
    return lesion_side if rule is LateralityRule.IPSILATERAL else None


# ------------------------------------------------------------------------------------------ what is told


def _told(
    truth: set[tuple[str, Side | None]],
    definitions: Mapping[str, SymptomDefinition],
    configuration: CohortConfiguration,
    generator: np.random.Generator,
) -> tuple[ReportedSymptom, ...]:
    """Tell, forget, deny, confuse sides; each symptom at most once."""
    answers: dict[str, ReportedSymptom] = {}
    for name, side in sorted(truth, key=lambda pair: (pair[0], pair[1].value if pair[1] else "")):
        if name in definitions and name not in answers and generator.random() < configuration.told:
            answers[name] = ReportedSymptom(
                name, SymptomState.PRESENT, _told_side(side, definitions[name], configuration, generator)
            )
    for name in definitions:
        if name not in answers and generator.random() < configuration.denied:
            answers[name] = ReportedSymptom(name, SymptomState.DENIED, ReportedSide.UNKNOWN)
    return tuple(answers.values())


def _told_side(
    side: Side | None,
    definition: SymptomDefinition,
    configuration: CohortConfiguration,
    generator: np.random.Generator,
) -> ReportedSide:
    draw = generator.random()
    if not definition.needs_side:
        return ReportedSide.NONE
    if side is None or draw < configuration.side_unknown:
        return ReportedSide.UNKNOWN
    if draw < configuration.side_unknown + configuration.side_confused:
        side = _OTHER_SIDE[side]
    return ReportedSide(side.value)
