"""How tissues look: Hounsfield units, or relaxation times that a sequence turns into signal.

HU: mean values as radiology textbooks give them (lung -850, fat -100, fluid 0 to 15, soft tissue 30 to 60,
trabecular bone 150 to 300, cortical bone above 700; portal-venous enhancement of organs).
Relaxation times at 1.5 T in ms and proton densities: orders of magnitude as in Bottomley 1987 and de Bazelaire
2004 (abdomen), chosen so that the contrast looks as in clinical images; modelling choices, no measurements.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from medsynth_app.synthesis.phantoms.canvas import Tissue


@dataclass(frozen=True)
class Matter:
    """What a tissue is.

    Attributes:
        hu: native Hounsfield units.
        enhanced_hu: some seventy seconds after contrast agent.
        t1_ms / t2_ms: relaxation times; t1_enhanced_ms: after contrast agent.
        density: of protons, relative to water.
        texture / grain: relative roughness, 1 as in soft tissue.
    """

    hu: float
    enhanced_hu: float
    t1_ms: float = 900.0
    t2_ms: float = 60.0
    t1_enhanced_ms: float = 0.0
    density: float = 0.8
    texture: float = 1.0
    grain: float = 1.0


MATTER: dict[str, Matter] = {
    "air": Matter(-1000, -1000, 1000, 1, 1000, 0.0, 0, 0),
    "gas": Matter(-950, -950, 1000, 1, 1000, 0.0, 0, 0),
    "skin": Matter(20, 30, 300, 40, 300, 0.7),
    "fat": Matter(-102, -100, 260, 85, 260, 0.9, 1.6, 1.2),
    "muscle": Matter(52, 62, 870, 45, 780, 0.8, 1.4, 1.6),
    "fluid": Matter(8, 10, 3500, 900, 3500, 1.0, 0.4, 0.4),
    "blood": Matter(42, 165, 1400, 220, 300, 0.95, 0.3, 0.3),
    "arterial_blood": Matter(42, 190, 1400, 220, 250, 0.95, 0.3, 0.3),
    "flowing_blood": Matter(42, 170, 1400, 12, 400, 0.5, 0.4, 0.4),
    "myocardium": Matter(45, 105, 1000, 48, 650, 0.82),
    "scar": Matter(35, 85, 1050, 62, 280, 0.85, 2.0, 1.0),
    "lung": Matter(-855, -845, 1100, 25, 1000, 0.12, 5.0, 4.0),
    "consolidated_lung": Matter(25, 55, 1100, 70, 700, 0.75, 6.0, 4.0),
    "ground_glass": Matter(-480, -460, 1100, 40, 800, 0.4, 11.0, 6.0),
    "emphysema": Matter(-975, -975, 1100, 10, 1000, 0.04, 1.0, 1.0),
    "tumor": Matter(38, 78, 1200, 95, 550, 0.88, 3.0, 1.5),
    "liver": Matter(58, 112, 620, 48, 420, 0.8, 0.8, 1.2),
    "fatty_liver": Matter(-5, 40, 420, 60, 330, 0.85, 2.0, 1.2),
    "liver_tumor": Matter(38, 66, 1100, 85, 800, 0.88, 3.0, 1.5),
    "spleen": Matter(48, 118, 1050, 80, 500, 0.86, 0.8, 1.2),
    "kidney_cortex": Matter(34, 185, 960, 85, 320, 0.87),
    "kidney_medulla": Matter(30, 140, 1400, 90, 450, 0.9),
    "pancreas": Matter(38, 92, 650, 55, 430, 0.8, 3.0, 2.0),
    "bowel_wall": Matter(38, 85, 850, 60, 550, 0.8),
    "bowel_content": Matter(22, 24, 1400, 180, 1400, 0.85, 6.0, 4.0),
    "stool": Matter(10, 10, 900, 60, 900, 0.6, 60.0, 40.0),
    "trabecular_bone": Matter(190, 200, 520, 62, 480, 0.62, 12.0, 14.0),
    "cortical_bone": Matter(880, 880, 800, 5, 800, 0.12, 20.0, 16.0),
    "cartilage": Matter(95, 100, 1000, 35, 950, 0.7),
    "calcification": Matter(780, 780, 900, 5, 900, 0.2),
    "disc_nucleus": Matter(75, 78, 1350, 135, 1300, 0.9, 1.5, 1.0),
    "disc_ring": Matter(95, 98, 900, 28, 880, 0.6),
    "dry_disc": Matter(85, 88, 900, 32, 880, 0.6),
    "cord": Matter(36, 40, 870, 78, 850, 0.8, 0.5, 0.5),
    "nerve": Matter(36, 40, 870, 75, 850, 0.8),
    "ligament": Matter(70, 75, 900, 15, 890, 0.35),
    "metastasis": Matter(70, 110, 1150, 105, 480, 0.88, 5.0, 3.0),
    "marrow_oedema": Matter(170, 185, 1100, 105, 600, 0.85, 8.0, 6.0),
    "white_matter": Matter(27, 30, 600, 80, 590, 0.72, 0.5, 0.6),
    "grey_matter": Matter(37, 43, 1000, 100, 970, 0.83, 0.5, 0.6),
    "cerebrospinal_fluid": Matter(6, 6, 4000, 1500, 4000, 1.0, 0.3, 0.4),
    "fresh_blood": Matter(70, 71, 850, 38, 830, 0.8, 4.0, 1.5),
    "infarct": Matter(19, 20, 1400, 160, 1350, 0.88, 2.0, 1.0),
    "oedema": Matter(20, 21, 1250, 190, 1200, 0.9, 3.0, 1.0),
    "necrosis": Matter(14, 15, 2200, 400, 2100, 0.97, 4.0, 1.5),
    "enhancing_tumor": Matter(40, 88, 1200, 140, 470, 0.88, 3.0, 1.5),
    "white_matter_lesion": Matter(20, 21, 1150, 170, 1100, 0.86, 1.5, 1.0),
    "eye": Matter(8, 8, 3800, 700, 3800, 1.0),
    "lens": Matter(85, 85, 900, 30, 900, 0.6),
}

HU_TEXTURE, HU_GRAIN = 3.5, 3.5
SIGNAL_TEXTURE, SIGNAL_GRAIN = 0.035, 0.03
"""Roughness of soft tissue: HU, and share of the signal."""
SEQUENCES = ("t1", "t2", "flair", "bssfp")


def ct_tissues(contrast: bool, bone_density: float = 1.0) -> dict[str, Tissue]:
    """Every tissue's look in CT.

    Args:
        contrast: after contrast agent.
        bone_density: factor on the HU of trabecular bone.
    """
    looks = {}
    for name, matter in MATTER.items():
        value = matter.enhanced_hu if contrast else matter.hu
        if name == "trabecular_bone":
            value *= bone_density
        looks[name] = Tissue(value, HU_TEXTURE * matter.texture, HU_GRAIN * matter.grain)
    return looks


def mr_tissues(sequence: str, contrast: bool) -> dict[str, Tissue]:
    """Every tissue's look in MR, in shares of the signal of fully relaxed water."""
    looks = {}
    for name, matter in MATTER.items():
        value = mr_signal(matter, sequence, contrast)
        looks[name] = Tissue(
            value,
            SIGNAL_TEXTURE * value * min(matter.texture, 4.0),
            SIGNAL_GRAIN * value * min(matter.grain, 4.0),
        )
    return looks


def mr_signal(matter: Matter, sequence: str, contrast: bool) -> float:
    """Signal of a tissue: spin echo (t1, t2), inversion recovery (flair) or balanced steady state (bssfp).

    S = PD (1 - exp(-TR/T1)) exp(-TE/T2); flair PD |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2);
    bssfp PD sin a / ((T1/T2 + 1) - cos a (T1/T2 - 1)) at a = 60 degrees (Bernstein 2004, chapters 14.1, 14.3).
    """
    t1 = matter.t1_enhanced_ms if contrast and matter.t1_enhanced_ms else matter.t1_ms
    t2 = matter.t2_ms
    if sequence == "bssfp":
        ratio, angle = t1 / t2, math.radians(60.0)
        return matter.density * math.sin(angle) / ((ratio + 1.0) - math.cos(angle) * (ratio - 1.0))
    if sequence == "flair":
        recovered = abs(1.0 - 2.0 * math.exp(-2200.0 / t1) + math.exp(-9000.0 / t1))
        return matter.density * recovered * math.exp(-110.0 / t2)
    repetition, echo = (550.0, 10.0) if sequence == "t1" else (4000.0, 95.0)
    return matter.density * (1.0 - math.exp(-repetition / t1)) * math.exp(-echo / t2)
