"""Simulated patients whose symptoms come from published lobe tables, not from the score's links or landmarks.

The score knows weights of some forty regions; here a patient's symptoms depend on nothing but the lobe and the side of
the lesion's centre:

* deficits: which lobe they are listed under in the MSD Manual's table "Common localizing manifestations of primary
  brain tumors". The table has no numbers: ``listed`` and ``elsewhere`` are this module's assumption;
* seizures: how often by lobe from Audrey 2024 (Brain Disorders 14:100146: 51 to 63 % frontal, temporal, parietal,
  insula, 28 % occipital), which kind and which side from the counts of Semio2Brain (Alim-Marvasti 2022, Brain Commun
  fcac130): clonic 69 % frontal, visual 35 % occipital and 47 % temporal, epigastric 258 of 279 temporal, contralateral
  in 44 of 53 clonic and 42 of 46 somatosensory seizures;
* general symptoms: Snyder 1993 (J Emerg Med 11:253); a sixth-nerve palsy on any side in 7 % (Larner 2003).

Such a patient is told apart by lobe and side only: figures on them are lower than on `cohort`, and nearer to honest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medsynth_app.clinical.cohort import CohortConfiguration, LesionDrawer, SimulatedPatient
from medsynth_app.clinical.symptom_model import (
    Handedness,
    ReportedSide,
    ReportedSymptom,
    SymptomDefinition,
    SymptomState,
)
from medsynth_app.imaging.atlas import Atlas
from medsynth_app.imaging.brain_regions import Lobe, Side

LISTED: dict[str, tuple[tuple[Lobe, ...], str]] = {
    "hemiparesis": ((Lobe.FRONTAL, Lobe.DEEP, Lobe.BRAINSTEM), "contra"),
    "personality_change": ((Lobe.FRONTAL,), ""),
    "executive_dysfunction": ((Lobe.FRONTAL, Lobe.CORPUS_CALLOSUM), ""),
    "gait_apraxia": ((Lobe.FRONTAL, Lobe.CORPUS_CALLOSUM), ""),
    "urinary_incontinence": ((Lobe.FRONTAL,), ""),
    "anosmia": ((Lobe.FRONTAL,), "ipsi"),
    "aphasia_expressive": ((Lobe.FRONTAL,), "dominant"),
    "aphasia_receptive": ((Lobe.TEMPORAL,), "dominant"),
    "memory_impairment": ((Lobe.TEMPORAL, Lobe.LIMBIC), ""),
    "quadrantanopia_superior": ((Lobe.TEMPORAL,), "contra"),
    "hemisensory_loss": ((Lobe.PARIETAL, Lobe.DEEP), "contra"),
    "astereognosis": ((Lobe.PARIETAL,), "contra"),
    "neglect": ((Lobe.PARIETAL,), "right_only"),
    "acalculia": ((Lobe.PARIETAL,), "dominant"),
    "homonymous_hemianopia": ((Lobe.OCCIPITAL, Lobe.PARIETAL), "contra"),
    "limb_ataxia": ((Lobe.CEREBELLUM,), "ipsi"),
    "gait_ataxia": ((Lobe.CEREBELLUM, Lobe.BRAINSTEM), ""),
    "nystagmus": ((Lobe.CEREBELLUM, Lobe.BRAINSTEM), "ipsi"),
    "diplopia": ((Lobe.BRAINSTEM,), ""),
    "dysphagia": ((Lobe.BRAINSTEM,), ""),
}  # fmt: skip
"""Deficit -> lobes it is listed under, and its side: of the lesion (ipsi), the other (contra), or by dominance."""

SEIZURE_RATE: dict[Lobe, float] = {
    Lobe.FRONTAL: 0.60, Lobe.TEMPORAL: 0.58, Lobe.PARIETAL: 0.52, Lobe.INSULAR: 0.60, Lobe.OCCIPITAL: 0.28,
    Lobe.LIMBIC: 0.55,
}  # fmt: skip
SEIZURE_KINDS: dict[str, tuple[dict[Lobe, float], float]] = {
    "seizure_focal_motor": ({Lobe.FRONTAL: 0.69, Lobe.TEMPORAL: 0.17, Lobe.PARIETAL: 0.14}, 44 / 53),
    "seizure_focal_sensory": ({Lobe.PARIETAL: 0.60, Lobe.FRONTAL: 0.20, Lobe.INSULAR: 0.20}, 42 / 46),
    "seizure_visual": ({Lobe.TEMPORAL: 0.47, Lobe.OCCIPITAL: 0.35, Lobe.PARIETAL: 0.15}, 0.5),
    "seizure_epigastric": ({Lobe.TEMPORAL: 258 / 279, Lobe.FRONTAL: 21 / 279}, 0.5),
    "deja_vu": ({Lobe.TEMPORAL: 285 / 298, Lobe.FRONTAL: 13 / 298}, 0.5),
    "seizure_hypermotor": ({Lobe.FRONTAL: 101 / 164, Lobe.TEMPORAL: 63 / 164}, 0.5),
    "seizure_automatisms": ({Lobe.TEMPORAL: 509 / 530, Lobe.FRONTAL: 21 / 530}, 0.5),
    "seizure_version": ({Lobe.FRONTAL: 0.60, Lobe.TEMPORAL: 0.40}, 83 / 91),
}  # fmt: skip
"""Kind of seizure -> share of each lobe, and how often its side is opposite to the lesion."""

GENERAL_RATES = {"headache": 0.56, "nausea_vomiting": 0.37, "confusion": 0.50}
_SIXTH_NERVE = 0.07


@dataclass(frozen=True)
class LobeCohortConfiguration:
    """How the patients are drawn.

    Attributes:
        patients: how many.
        seed: where the random numbers start.
        listed: probability of a deficit that the table lists under the lesion's lobe.
        elsewhere: probability of one that it does not.
        side_confused: share of sides told wrongly.
    """

    patients: int = 800
    seed: int = 31
    listed: float = 0.25
    elsewhere: float = 0.02
    side_confused: float = 0.03


def simulate_lobe_cohort(
    atlas: Atlas,
    definitions: Mapping[str, SymptomDefinition],
    configuration: LobeCohortConfiguration = LobeCohortConfiguration(),
) -> list[SimulatedPatient]:
    """Draw the patients; the same arguments give the same ones.

    Args:
        atlas: where lesions lie.
        definitions: only used to know which identifiers exist and which ask for a side.
        configuration: how they are drawn.
    """
    drawer = LesionDrawer(atlas, CohortConfiguration())
    seeds = np.random.SeedSequence(configuration.seed).spawn(configuration.patients)
    return [_patient(drawer, definitions, configuration, np.random.default_rng(seed)) for seed in seeds]


def _patient(
    drawer: LesionDrawer,
    definitions: Mapping[str, SymptomDefinition],
    configuration: LobeCohortConfiguration,
    generator: np.random.Generator,
) -> SimulatedPatient:
    lesion = drawer.draw(generator)
    handedness = Handedness.RIGHT if generator.random() < 0.9 else Handedness.LEFT
    # right-hemisphere language: Knecht 2000, Brain 123:2512
    right_dominant = generator.random() < (0.04 if handedness is Handedness.RIGHT else 0.27)
    dominant = Side.RIGHT if right_dominant else Side.LEFT
    told = _deficits(lesion.lobe, lesion.side, dominant, configuration, generator)
    told.update(_seizures(lesion.lobe, lesion.side, generator))
    told.update({name: None for name, rate in GENERAL_RATES.items() if generator.random() < rate})
    if generator.random() < _SIXTH_NERVE:
        told["cn6_palsy"] = (Side.LEFT, Side.RIGHT)[generator.integers(2)]
    answers = tuple(
        _answer(name, side, definitions[name], configuration, generator)
        for name, side in told.items()
        if name in definitions
    )
    return SimulatedPatient(lesion.occupancy, answers, handedness, lesion.lobe, lesion.volume_ml)


def _deficits(
    lobe: Lobe,
    side: Side,
    dominant: Side,
    configuration: LobeCohortConfiguration,
    generator: np.random.Generator,
) -> dict[str, Side | None]:
    found: dict[str, Side | None] = {}
    for name, (lobes, rule) in LISTED.items():
        possible = {"dominant": side is dominant, "right_only": side is Side.RIGHT}.get(rule, True)
        rate = configuration.listed if lobe in lobes and possible else configuration.elsewhere
        if generator.random() < rate:
            lateral = rule in ("contra", "right_only")
            found[name] = side.mirrored if lateral else side if rule == "ipsi" else None
    return found


def _seizures(lobe: Lobe, side: Side, generator: np.random.Generator) -> dict[str, Side | None]:
    if generator.random() >= SEIZURE_RATE.get(lobe, 0.05):
        return {}
    names = list(SEIZURE_KINDS)
    weights = np.array([SEIZURE_KINDS[name][0].get(lobe, 0.0) for name in names])
    if not weights.sum() or generator.random() < 0.4:
        return {"seizure_gtc": None}
    name = names[generator.choice(len(names), p=weights / weights.sum())]
    opposite = generator.random() < SEIZURE_KINDS[name][1]
    return {name: side.mirrored if opposite else side}


def _answer(
    name: str,
    side: Side | None,
    definition: SymptomDefinition,
    configuration: LobeCohortConfiguration,
    generator: np.random.Generator,
) -> ReportedSymptom:
    if not definition.needs_side:
        return ReportedSymptom(name, SymptomState.PRESENT, ReportedSide.NONE)
    # a deficit that belongs to no lobe of this patient still has a side of its own
    named: Side = side if side in (Side.LEFT, Side.RIGHT) else (Side.LEFT, Side.RIGHT)[generator.integers(2)]
    if generator.random() < configuration.side_confused:
        named = named.mirrored
    return ReportedSymptom(name, SymptomState.PRESENT, ReportedSide(named.value))
