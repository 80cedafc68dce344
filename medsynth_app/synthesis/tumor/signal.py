"""Signal of a tissue under a spin-echo, inversion-recovery or FLAIR sequence.

Spin echo:           S = PD (1 - exp(-TR/T1)) exp(-TE/T2)
Inversion recovery:  S = PD |1 - 2 exp(-TI/T1) + exp(-TR/T1)| exp(-TE/T2)

(Bernstein, King, Zhou: Handbook of MRI Pulse Sequences, 2004, chapters 14.1 and 14.3; FLAIR is inversion
recovery with TI at the null of cerebrospinal fluid, Hajnal 1992.)

Relaxation times in ms:
- white and grey matter at 3 T: Wansapura 1999 (J Magn Reson Imaging 9:531). At 1.5 T, and all proton
  densities: chosen between the table of BrainWeb (Kwan 1999) and the review of Bottomley 1987.
- cerebrospinal fluid: T1 about 4.2 s at any field (Rooney 2007); T2 at the long end of what is reported.
- tumour tissues: reports vary widely. The values are modelling choices that give, under the default
  sequences, the contrast to white matter that clinical cases show. The drop of T1 in enhancing tumour and
  oedema after the contrast agent at 3 T (838 and 123 ms) is the mean that was measured in 33 glioblastomas
  ("Quantitative T1 mapping indicates tumor infiltration beyond the enhancing part of glioblastomas", NMR
  Biomed 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from medsynth_app.errors import InvalidValueError

FIELD_STRENGTHS_T = (1.5, 3.0)


class Tissue(str, Enum):
    """What a voxel of a tumour case is made of."""

    WHITE_MATTER = "white_matter"
    GREY_MATTER = "grey_matter"
    CEREBROSPINAL_FLUID = "cerebrospinal_fluid"
    EDEMA = "edema"
    SOLID_TUMOR = "solid_tumor"
    NECROSIS = "necrosis"
    ENHANCING_TUMOR = "enhancing_tumor"
    VESSEL = "vessel"


@dataclass(frozen=True)
class Relaxation:
    """Magnetic properties of a tissue.

    Attributes:
        t1_ms: longitudinal relaxation time.
        t2_ms: transverse relaxation time.
        proton_density: relative to water, 0..1.
        contrast_t1_ms: T1 some minutes after the contrast agent; equal to ``t1_ms`` where none arrives.
    """

    t1_ms: float
    t2_ms: float
    proton_density: float
    contrast_t1_ms: float


RELAXATION: dict[float, dict[Tissue, Relaxation]] = {
    3.0: {
        Tissue.WHITE_MATTER: Relaxation(832, 80, 0.72, 815),
        Tissue.GREY_MATTER: Relaxation(1331, 110, 0.82, 1280),
        Tissue.CEREBROSPINAL_FLUID: Relaxation(4163, 1500, 1.00, 4163),
        Tissue.EDEMA: Relaxation(1450, 215, 0.90, 1327),
        Tissue.SOLID_TUMOR: Relaxation(1500, 185, 0.88, 1420),
        Tissue.NECROSIS: Relaxation(2250, 420, 0.97, 2050),
        Tissue.ENHANCING_TUMOR: Relaxation(1480, 165, 0.89, 642),
        Tissue.VESSEL: Relaxation(1650, 40, 0.80, 450),
    },
    1.5: {
        Tissue.WHITE_MATTER: Relaxation(560, 82, 0.74, 550),
        Tissue.GREY_MATTER: Relaxation(950, 105, 0.84, 920),
        Tissue.CEREBROSPINAL_FLUID: Relaxation(4200, 1800, 1.00, 4200),
        Tissue.EDEMA: Relaxation(1100, 230, 0.90, 1010),
        Tissue.SOLID_TUMOR: Relaxation(1120, 200, 0.88, 1060),
        Tissue.NECROSIS: Relaxation(1900, 460, 0.97, 1750),
        Tissue.ENHANCING_TUMOR: Relaxation(1100, 175, 0.89, 470),
        Tissue.VESSEL: Relaxation(1440, 60, 0.80, 330),
    },
}


@dataclass(frozen=True)
class SequenceParameters:
    """Timing of one pulse sequence.

    Attributes:
        repetition_time_ms: TR, 100 to 20,000.
        echo_time_ms: TE, 1 to 400, shorter than TR.
        inversion_time_ms: TI, 50 to 5,000, shorter than TR; None for a spin echo without inversion.

    Raises:
        InvalidValueError: a time outside its range, or TE or TI not shorter than TR.
    """

    repetition_time_ms: float
    echo_time_ms: float
    inversion_time_ms: float | None = None

    def __post_init__(self) -> None:
        _check_time("repetition_time_ms", self.repetition_time_ms, 100, 20000)
        _check_time("echo_time_ms", self.echo_time_ms, 1, 400)
        _check_shorter("echo_time_ms", self.echo_time_ms, self.repetition_time_ms)
        if self.inversion_time_ms is not None:
            _check_time("inversion_time_ms", self.inversion_time_ms, 50, 5000)
            _check_shorter("inversion_time_ms", self.inversion_time_ms, self.repetition_time_ms)


def _check_time(field: str, value: object, low: float, high: float) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator]
        raise InvalidValueError(f"{field}: {value!r} must be a number between {low} and {high} ms")


def _check_shorter(field: str, value: float, repetition_time_ms: float) -> None:
    if value >= repetition_time_ms:
        raise InvalidValueError(
            f"{field}: {value} ms must be shorter than repetition_time_ms ({repetition_time_ms} ms)"
        )


def relaxation(tissue: Tissue, field_strength_t: float) -> Relaxation:
    """The properties of ``tissue`` at 1.5 or 3 tesla.

    Raises:
        InvalidValueError: no values are known at that field strength.
    """
    if field_strength_t not in RELAXATION:
        raise InvalidValueError(
            f"field_strength_t: {field_strength_t!r} is not known, allowed are {list(FIELD_STRENGTHS_T)}"
        )
    return RELAXATION[field_strength_t][tissue]


def signal(
    properties: Relaxation, parameters: SequenceParameters, *, contrast: float = 0.0, water: float = 1.0
) -> float:
    """Signal of a homogeneous tissue, relative to fully relaxed water (0..1).

    Args:
        properties: the tissue.
        parameters: timing; with an inversion time the inversion-recovery equation is used.
        contrast: how much of the contrast agent arrived, 0 (none) to 1; relaxation *rates* add up.
        water: factor on T1 and T2 for looser (> 1) or denser (< 1) tissue.
    """
    rate = 1.0 / properties.t1_ms
    rate += contrast * (1.0 / properties.contrast_t1_ms - 1.0 / properties.t1_ms)
    t1 = water / rate
    t2 = water * properties.t2_ms
    recovered = 1.0 - math.exp(-parameters.repetition_time_ms / t1)
    if parameters.inversion_time_ms is not None:
        inverted = 2.0 * math.exp(-parameters.inversion_time_ms / t1)
        recovered = abs(1.0 - inverted + math.exp(-parameters.repetition_time_ms / t1))
    return properties.proton_density * recovered * math.exp(-parameters.echo_time_ms / t2)
