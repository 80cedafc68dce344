"""Signal equations and the contrast they give."""

import math

import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.tumor.request import DEFAULT_SEQUENCES
from medsynth_app.synthesis.tumor.signal import (
    FIELD_STRENGTHS_T,
    Relaxation,
    SequenceParameters,
    Tissue,
    relaxation,
    signal,
)


def _levels(modality: str, field_strength_t: float, contrast: float = 0.0) -> dict[Tissue, float]:
    return {
        tissue: signal(relaxation(tissue, field_strength_t), DEFAULT_SEQUENCES[modality], contrast=contrast)
        for tissue in Tissue
    }


def test_spin_echo_equation() -> None:
    expected = 0.8 * (1 - math.exp(-500 / 1000)) * math.exp(-20 / 80)
    found = signal(Relaxation(1000, 80, 0.8, 1000), SequenceParameters(500, 20))
    assert found == pytest.approx(expected, rel=1e-12)


def test_inversion_at_the_null_of_a_tissue_removes_it() -> None:
    null_ms = 4000 * math.log(2)
    found = signal(Relaxation(4000, 2000, 1.0, 4000), SequenceParameters(19999, 100, null_ms))
    assert found < 0.01


@pytest.mark.parametrize("tesla", FIELD_STRENGTHS_T)
def test_default_sequences_give_the_contrast_radiologists_know(tesla: float) -> None:
    flair, t1, t2 = (_levels(name, tesla) for name in ("flair", "t1", "t2"))
    assert flair[Tissue.CEREBROSPINAL_FLUID] < 0.5 * flair[Tissue.WHITE_MATTER]
    assert flair[Tissue.EDEMA] > 1.3 * flair[Tissue.GREY_MATTER]
    white, grey, fluid = Tissue.WHITE_MATTER, Tissue.GREY_MATTER, Tissue.CEREBROSPINAL_FLUID
    assert t1[white] > t1[grey] > t1[Tissue.NECROSIS] > t1[fluid]
    assert t2[fluid] > t2[Tissue.EDEMA] > t2[grey] > t2[white]


@pytest.mark.parametrize("tesla", FIELD_STRENGTHS_T)
def test_contrast_agent_brightens_enhancing_tumour_only(tesla: float) -> None:
    before, after = _levels("t1ce", tesla), _levels("t1ce", tesla, contrast=1.0)
    assert before[Tissue.ENHANCING_TUMOR] < before[Tissue.WHITE_MATTER]
    assert after[Tissue.ENHANCING_TUMOR] > 1.35 * after[Tissue.WHITE_MATTER]
    assert after[Tissue.NECROSIS] < 0.85 * after[Tissue.WHITE_MATTER]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((50, 10), "repetition_time_ms: 50 must be a number between 100 and 20000"),
        ((600, 0), "echo_time_ms: 0 must be"),
        ((300, 300), "echo_time_ms: 300 ms must be shorter than repetition_time_ms"),
        ((2000, 10, 2500), "inversion_time_ms: 2500 ms must be shorter"),
        ((float("nan"), 10), "repetition_time_ms: nan"),
        (("600", 10), "repetition_time_ms: '600'"),
    ],
)
def test_impossible_timings_are_refused(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        SequenceParameters(*arguments)


def test_unknown_field_strength_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"field_strength_t: 7.0 .* allowed are \[1.5, 3.0\]"):
        relaxation(Tissue.EDEMA, 7.0)
