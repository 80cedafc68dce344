"""What the simulated cohort believes about symptoms; on purpose not the knowledge base the score uses.

Where the score multiplies region occupancies by region weights, the cohort measures distances from a lesion
to landmarks (MNI mm, right hemisphere, mirrored for the left). Landmarks follow common usage, for example the
hand knob (Yousry 1997, Brain 120:141) and Meyer's loop (Ebeling & Reulen 1988, Acta Neurochir 92:29); most
coordinates are rounded and this project's own reading of the MNI template. Rates at a destroyed landmark
(``peak``) are set so that the cohort's totals resemble published presentations: weakness 27-37, language
21-25, sensory 18, visual 20-23 % (Snyder 1993, J Emerg Med 11:253; Recht 1989, Neurology 39:48), brainstem
gait 61, diplopia 40, weakness 42 % (Guillamo 2001, Brain 124:2528).
"""

from __future__ import annotations

from dataclasses import dataclass

from medsynth_app.clinical.knowledge.symptom_model import LateralityRule
from medsynth_app.imaging.atlas.brain_regions import Lobe

LANDMARKS_MM: dict[str, tuple[float, float, float]] = {
    "hand_knob": (38, -24, 54),
    "face_motor": (54, -6, 32),
    "leg_motor": (7, -28, 64),
    "corona_radiata": (26, -20, 28),
    "internal_capsule": (20, -12, 6),
    "supplementary_motor": (6, 0, 60),
    "frontal_eye_field": (28, -2, 52),
    "dorsolateral_frontal": (42, 32, 28),
    "frontal_pole": (24, 56, 8),
    "medial_frontal": (6, 42, 24),
    "orbitofrontal": (20, 36, -16),
    "broca": (50, 20, 14),
    "anterior_insula": (37, 16, 0),
    "posterior_insula": (39, -10, 4),
    "wernicke": (58, -40, 12),
    "middle_temporal": (58, -34, -8),
    "arcuate": (38, -36, 28),
    "basal_temporal": (46, -44, -18),
    "temporal_pole": (42, 14, -30),
    "hippocampus": (28, -20, -16),
    "amygdala": (22, -4, -18),
    "heschl": (46, -20, 8),
    "hand_sensory": (44, -30, 52),
    "face_sensory": (57, -14, 36),
    "leg_sensory": (8, -40, 66),
    "superior_parietal": (24, -58, 60),
    "supramarginal": (54, -38, 36),
    "angular": (46, -62, 36),
    "sensory_thalamus": (16, -20, 4),
    "anterior_thalamus": (7, -8, 10),
    "putamen": (26, 4, 2),
    "calcarine": (10, -82, 6),
    "lingual": (14, -68, -4),
    "optic_radiation": (33, -56, 8),
    "meyers_loop": (36, -10, -14),
    "lateral_occipital": (36, -80, 8),
    "fusiform": (34, -56, -16),
    "genu": (4, 26, 6),
    "hypothalamus": (4, -4, -10),
    "chiasm": (2, 2, -16),
    "cerebral_peduncle": (10, -20, -14),
    "tectum": (4, -32, -6),
    "pons": (6, -26, -34),
    "medulla": (4, -38, -52),
    "vermis": (2, -62, -22),
    "cerebellar_hemisphere": (28, -62, -36),
}


@dataclass(frozen=True)
class SimulatedSymptom:
    """How a symptom arises in the cohort.

    Attributes:
        id: identifier in the knowledge base.
        rule: side of the lesion relative to the symptom.
        landmarks: any of these places may cause it; the nearest counts.
        peak: probability when the lesion covers a landmark.
    """

    id: str
    rule: LateralityRule
    landmarks: tuple[str, ...]
    peak: float


_CONTRA = LateralityRule.CONTRALATERAL
_IPSI = LateralityRule.IPSILATERAL
_DOMINANT = LateralityRule.DOMINANT
_NONDOMINANT = LateralityRule.NONDOMINANT
_EITHER = LateralityRule.NON_LATERALISING

DEFICITS: tuple[SimulatedSymptom, ...] = (
    SimulatedSymptom(
        "hemiparesis",
        _CONTRA,
        ("hand_knob", "corona_radiata", "internal_capsule", "cerebral_peduncle", "pons"),
        0.50,
    ),
    SimulatedSymptom("arm_weakness", _CONTRA, ("hand_knob", "corona_radiata", "internal_capsule"), 0.50),
    SimulatedSymptom("leg_weakness", _CONTRA, ("leg_motor", "corona_radiata", "internal_capsule"), 0.40),
    SimulatedSymptom("face_weakness_central", _CONTRA, ("face_motor", "internal_capsule"), 0.40),
    SimulatedSymptom("hand_clumsiness", _CONTRA, ("hand_knob", "hand_sensory", "supplementary_motor"), 0.30),
    SimulatedSymptom(
        "spasticity_hyperreflexia", _CONTRA, ("corona_radiata", "internal_capsule", "pons"), 0.25
    ),
    SimulatedSymptom("babinski", _CONTRA, ("leg_motor", "internal_capsule", "pons"), 0.20),
    SimulatedSymptom(
        "dysarthria", _EITHER, ("face_motor", "internal_capsule", "pons", "cerebellar_hemisphere"), 0.25
    ),
    SimulatedSymptom(
        "aphasia_unspecified",
        _DOMINANT,
        ("broca", "wernicke", "middle_temporal", "supramarginal", "anterior_insula", "arcuate"),
        0.60,
    ),
    SimulatedSymptom("aphasia_expressive", _DOMINANT, ("broca", "anterior_insula", "face_motor"), 0.50),
    SimulatedSymptom("aphasia_receptive", _DOMINANT, ("wernicke", "middle_temporal", "arcuate"), 0.45),
    SimulatedSymptom(
        "anomia", _DOMINANT, ("middle_temporal", "basal_temporal", "wernicke", "angular", "broca"), 0.55
    ),
    SimulatedSymptom("alexia", _DOMINANT, ("angular", "fusiform", "lingual"), 0.20),
    SimulatedSymptom("agraphia", _DOMINANT, ("angular", "superior_parietal"), 0.20),
    SimulatedSymptom("acalculia", _DOMINANT, ("angular",), 0.25),
    SimulatedSymptom("limb_apraxia", _DOMINANT, ("supramarginal", "superior_parietal"), 0.18),
    SimulatedSymptom("hemisensory_loss", _CONTRA, ("hand_sensory", "leg_sensory", "sensory_thalamus"), 0.50),
    SimulatedSymptom(
        "paresthesia_unilateral", _CONTRA, ("hand_sensory", "face_sensory", "sensory_thalamus"), 0.35
    ),
    SimulatedSymptom("astereognosis", _CONTRA, ("hand_sensory", "superior_parietal"), 0.22),
    SimulatedSymptom("impaired_proprioception", _CONTRA, ("leg_sensory", "superior_parietal"), 0.18),
    SimulatedSymptom("neglect", _CONTRA, ("supramarginal", "angular", "wernicke"), 0.30),
    SimulatedSymptom("constructional_apraxia", _NONDOMINANT, ("angular", "superior_parietal"), 0.25),
    SimulatedSymptom("homonymous_hemianopia", _CONTRA, ("calcarine", "optic_radiation", "lingual"), 0.70),
    SimulatedSymptom("quadrantanopia_superior", _CONTRA, ("meyers_loop", "lingual"), 0.30),
    SimulatedSymptom("quadrantanopia_inferior", _CONTRA, ("optic_radiation", "angular"), 0.20),
    SimulatedSymptom("visual_field_defect", _CONTRA, ("optic_radiation", "calcarine", "meyers_loop"), 0.35),
    SimulatedSymptom("prosopagnosia", _NONDOMINANT, ("fusiform",), 0.12),
    SimulatedSymptom(
        "personality_change", _EITHER, ("orbitofrontal", "medial_frontal", "frontal_pole"), 0.35
    ),
    SimulatedSymptom("apathy", _EITHER, ("medial_frontal", "genu", "anterior_thalamus"), 0.32),
    SimulatedSymptom("disinhibition", _EITHER, ("orbitofrontal", "temporal_pole"), 0.25),
    SimulatedSymptom("executive_dysfunction", _EITHER, ("dorsolateral_frontal", "frontal_pole"), 0.32),
    SimulatedSymptom("urinary_incontinence", _EITHER, ("medial_frontal", "supplementary_motor"), 0.15),
    SimulatedSymptom("gait_disturbance", _EITHER, ("medial_frontal", "vermis", "pons", "leg_motor"), 0.25),
    SimulatedSymptom("slowed_thinking", _EITHER, ("genu", "medial_frontal", "anterior_thalamus"), 0.22),
    SimulatedSymptom(
        "memory_impairment", _EITHER, ("hippocampus", "anterior_thalamus", "temporal_pole"), 0.35
    ),
    SimulatedSymptom("anterograde_amnesia", _EITHER, ("hippocampus", "anterior_thalamus"), 0.12),
    SimulatedSymptom("limb_ataxia", _IPSI, ("cerebellar_hemisphere",), 0.60),
    SimulatedSymptom("dysmetria", _IPSI, ("cerebellar_hemisphere",), 0.40),
    SimulatedSymptom("nystagmus", _IPSI, ("cerebellar_hemisphere", "pons", "vermis"), 0.30),
    SimulatedSymptom("gait_ataxia", _EITHER, ("vermis", "cerebellar_hemisphere", "pons"), 0.60),
    SimulatedSymptom("truncal_ataxia", _EITHER, ("vermis",), 0.45),
    SimulatedSymptom("vertigo", _EITHER, ("cerebellar_hemisphere", "vermis", "pons"), 0.25),
    SimulatedSymptom("diplopia", _EITHER, ("pons", "tectum", "cerebral_peduncle"), 0.40),
    SimulatedSymptom("cn3_palsy", _IPSI, ("cerebral_peduncle", "tectum"), 0.20),
    SimulatedSymptom("facial_palsy_peripheral", _IPSI, ("pons",), 0.25),
    SimulatedSymptom("dysphagia", _EITHER, ("medulla", "pons"), 0.35),
    SimulatedSymptom("thalamic_pain", _CONTRA, ("sensory_thalamus",), 0.08),
    SimulatedSymptom("dystonia_unilateral", _CONTRA, ("putamen",), 0.07),
    SimulatedSymptom("hypersomnia", _EITHER, ("hypothalamus", "anterior_thalamus"), 0.18),
    SimulatedSymptom("diabetes_insipidus", _EITHER, ("hypothalamus",), 0.15),
    SimulatedSymptom("bitemporal_hemianopia", _EITHER, ("chiasm",), 0.08),
)

NEGLECT_LEFT_HEMISPHERE_SHARE = 0.3
"""Right-sided neglect after left lesions is this much as common as the reverse."""


@dataclass(frozen=True)
class SimulatedSeizure:
    """A kind of seizure in the cohort.

    Attributes:
        id: identifier in the knowledge base.
        landmarks: where it starts.
        rule: side of the focus relative to the symptom.
        rule_holds: share of patients in whom the rule holds (Semio2Brain counts, Alim-Marvasti 2022, Brain
            Communications fcac130: contralateral of all lateralised).
        peak: relative weight among the kinds.
    """

    id: str
    landmarks: tuple[str, ...]
    rule: LateralityRule
    rule_holds: float
    peak: float


SEIZURES: tuple[SimulatedSeizure, ...] = (
    SimulatedSeizure(
        "seizure_focal_motor", ("hand_knob", "face_motor", "supplementary_motor"), _CONTRA, 44 / 53, 1.0
    ),
    SimulatedSeizure("seizure_focal_sensory", ("hand_sensory", "face_sensory"), _CONTRA, 42 / 46, 0.8),
    SimulatedSeizure("seizure_visual", ("calcarine", "lateral_occipital", "fusiform"), _CONTRA, 0.85, 0.7),
    SimulatedSeizure("seizure_auditory", ("heschl",), _CONTRA, 27 / 32, 0.4),
    SimulatedSeizure("seizure_version", ("frontal_eye_field", "supplementary_motor"), _CONTRA, 83 / 91, 0.6),
    SimulatedSeizure(
        "seizure_impaired_awareness",
        ("hippocampus", "amygdala", "temporal_pole", "medial_frontal"),
        _EITHER,
        1.0,
        0.8,
    ),
    SimulatedSeizure(
        "seizure_epigastric", ("amygdala", "hippocampus", "posterior_insula"), _EITHER, 1.0, 0.5
    ),
    SimulatedSeizure("seizure_automatisms", ("hippocampus", "amygdala"), _EITHER, 1.0, 0.5),
    SimulatedSeizure("seizure_olfactory", ("amygdala", "orbitofrontal"), _EITHER, 1.0, 0.2),
    SimulatedSeizure("deja_vu", ("hippocampus", "temporal_pole"), _EITHER, 1.0, 0.3),
    SimulatedSeizure("seizure_hypermotor", ("medial_frontal", "orbitofrontal"), _EITHER, 1.0, 0.3),
    SimulatedSeizure("seizure_speech_arrest", ("broca", "wernicke"), _DOMINANT, 1.0, 0.5),
)

SEIZURE_ODDS: dict[Lobe, float] = {
    # Xing 2015 (2047 gliomas); insular and limbic as temporal, others from Audrey 2024's low rates
    Lobe.FRONTAL: 1.56,
    Lobe.TEMPORAL: 1.07,
    Lobe.PARIETAL: 0.77,
    Lobe.OCCIPITAL: 0.34,
    Lobe.INSULAR: 1.07,
    Lobe.LIMBIC: 1.07,
    Lobe.CORPUS_CALLOSUM: 0.4,
    Lobe.DEEP: 0.3,
    Lobe.VENTRICLE: 0.3,
    Lobe.BRAINSTEM: 0.05,
    Lobe.CEREBELLUM: 0.05,
}
"""Odds ratio of a seizure by the lobe of a lesion's centre."""

PRESSURE_RATES: dict[str, float] = {
    # Snyder 1993, emergency department, n = 101
    "headache": 0.56,
    "nausea_vomiting": 0.37,
    "papilledema": 0.28,
    "confusion": 0.30,
    "drowsiness": 0.15,
    "fatigue": 0.30,
    "depression": 0.15,
}
"""Share of patients with signs of raised pressure or general illness; large lesions have more."""
