"""Which series is which sequence: the words that scanners and readers really use, the times, the choice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medsynth_app.imaging.dicom.sequence_mapping import parse_sequence_mapping
from medsynth_app.imaging.dicom.series_facts import SeriesFacts
from medsynth_app.imaging.dicom.series_roles import modality_of, resolve

DESCRIPTIONS = [
    ("FLAIR", "flair"),
    ("AX T2 FLAIR", "flair"),
    ("t2_tirm_tra_dark-fluid_4mm", "flair"),
    ("Sag 3D FLAIR CUBE", "flair"),
    ("t2_space_dark-fluid_sag_p2_iso", "flair"),
    ("AX FLAIR POST", "flair"),
    ("BraTS-GLI-00001-000-t2f", "flair"),
    ("T1", "t1"),
    ("AX T1", "t1"),
    ("t1_se_tra", "t1"),
    ("SAG T1 FLAIR", "t1"),
    ("t1_mprage_sag_p2_iso", "t1"),
    ("3D T1 TFE native", "t1"),
    ("AX T1 W/O", "t1"),
    ("T1 non-contrast", "t1"),
    ("T1 AX PRE GD", "t1"),
    ("FSPGR 3D", "t1"),
    ("T1 ohne KM", "t1"),
    ("sT1W_3D_TFE", "t1"),
    ("t1n", "t1"),
    ("T1ce", "t1ce"),
    ("T1 contrast-enhanced", "t1ce"),
    ("AX T1 POST", "t1ce"),
    ("t1_mprage_tra_KM", "t1ce"),
    ("AX T1 +C", "t1ce"),
    ("T1+Gd", "t1ce"),
    ("SAG MPRAGE GAD", "t1ce"),
    ("3D T1 C+", "t1ce"),
    ("CE-sT1W_3D_TFE", "t1ce"),
    ("t1_vibe_post_contrast", "t1ce"),
    ("T1 조영", "t1ce"),
    ("T2", "t2"),
    ("AX T2 FSE", "t2"),
    ("t2_tse_tra_512", "t2"),
    ("T2W_TSE", "t2"),
    ("t2w", "t2"),
    ("DWI b1000", None),
    ("ep2d_diff_3scan_trace_ADC", None),
    ("localizer", None),
    ("3-plane LOC", None),
    ("T2* GRE", None),
    ("t2_fl2d_tra_hemo", None),
    ("SWI_Images", None),
    ("T1 perfusion DCE", None),
    ("TOF_3D_multi-slab", None),
    ("T1 subtraction", None),
    ("STIR COR", None),
    ("", None),
]  # fmt: skip


@pytest.mark.parametrize(("description", "expected"), DESCRIPTIONS)
def test_words(description: str, expected: str | None) -> None:
    assert modality_of(SeriesFacts("1.2", description=description)) == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"protocol": "t1_mprage"}, "t1"),
        ({"description": "AX BRAIN", "protocol": "T2 TSE"}, "t2"),
        ({"description": "AX BRAIN", "sequence_name": "*tfl3d1"}, "t1"),
        ({"description": "AX T1", "contrast_agent": "Gadovist"}, "t1ce"),
        ({"description": "AX T1", "contrast_agent": "NONE"}, "t1"),
        ({"description": "AX T1 PRE", "contrast_agent": "Gadovist"}, "t1"),
        ({"description": "AX T2", "contrast_agent": "Gadovist"}, "t2"),
        ({"description": "AX", "echo_time_ms": 120, "repetition_time_ms": 9000, "inversion_time_ms": 2500}, "flair"),
        ({"echo_time_ms": 90, "repetition_time_ms": 9000, "scanning_sequence": ("SE", "IR")}, "flair"),
        ({"echo_time_ms": 100, "repetition_time_ms": 5000, "scanning_sequence": ("SE",)}, "t2"),
        ({"echo_time_ms": 10, "repetition_time_ms": 500}, "t1"),
        ({"echo_time_ms": 10, "repetition_time_ms": 500, "contrast_agent": "8 ml"}, "t1ce"),
        ({"echo_time_ms": 3, "repetition_time_ms": 2300, "inversion_time_ms": 900, "scanning_sequence": ("GR", "IR")},
         "t1"),
        ({"echo_time_ms": 45, "repetition_time_ms": 2500}, None),
        ({"description": "AX T1", "modality": "CT"}, None),
    ],
)  # fmt: skip
def test_other_attributes(facts: dict[str, Any], expected: str | None) -> None:
    assert modality_of(SeriesFacts("1.2", **facts)) == expected


def study(*descriptions: str) -> list[SeriesFacts]:
    grid = (256.0, 256.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    return [
        SeriesFacts(f"1.{n}", description=d, number=n, frame_of_reference="1.9", grid=grid)
        for n, d in enumerate(descriptions)
    ]


def uids(series: list[SeriesFacts], chosen: str = "1.0", mapping: str = "") -> dict[str, str]:
    found = resolve(series, chosen, parse_sequence_mapping(mapping)).series
    return {name: facts.uid for name, facts in found.items()}


def test_a_plain_study() -> None:
    found = uids(study("localizer", "FLAIR", "T1", "T1 post", "T2", "ADC"))
    assert found == {"flair": "1.1", "t1": "1.2", "t1ce": "1.3", "t2": "1.4"}


@pytest.mark.parametrize("chosen", ["1.3", "1.4"])
def test_of_several_candidates_the_opened_one_is_taken(chosen: str) -> None:
    series = study("FLAIR", "T1", "T1 post", "T2 tra", "T2 cor")
    assert uids(series, chosen)["t2"] == chosen


def test_of_several_candidates_the_one_on_the_grid_of_the_opened_one_is_taken() -> None:
    series = study("FLAIR", "T2 tra", "T2 cor")
    series[2] = replace(series[2], grid=(256.0, 256.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0))
    resolution = resolve(series, "1.0")
    assert resolution.series["t2"].uid == "1.1"
    assert resolution.notes == ("t2: took 'T2 tra' (series 1) of 2 candidates",)


def test_a_repeated_series_replaces_the_first() -> None:
    assert uids(study("FLAIR", "AX T2", "AX T2"))["t2"] == "1.2"


def test_ambiguous_and_missing_sequences_are_named() -> None:
    resolution = resolve(study("FLAIR", "T2 tra", "T2 fs", "DWI"), "1.0")
    assert sorted(resolution.series) == ["flair"]
    assert resolution.problems["t2"] == "several series may be it: 'T2 tra', 'T2 fs'"
    assert resolution.problems["t1ce"] == "no series is it; the study holds 'FLAIR', 'T2 tra', 'T2 fs', 'DWI'"


def test_an_operators_mapping_decides() -> None:
    series = study("Kopf A", "Kopf B", "T1 post", "T1 post dyn", "T2")
    found = uids(series, "1.4", r"flair=kopf a;t1=^kopf b$;t1ce=^t1 post$")
    assert found == {"flair": "1.0", "t1": "1.1", "t1ce": "1.2", "t2": "1.4"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("t3=x", "SEQUENCE=REGEX with SEQUENCE one of flair, t1, t1ce, t2"),
        ("flair", "must be SEQUENCE=REGEX"),
        ("flair=", "must have 1 to 100 characters"),
        (f"flair={'x' * 101}", "must have 1 to 100 characters, has 101"),
        ("flair=(", "is no regular expression"),
        ("flair=.*", "matches every series"),
        ("flair=a;FLAIR=b", "flair is there twice"),
    ],
)
def test_a_bad_mapping_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(Exception, match=complaint.replace("(", r"\(")) as caught:
        parse_sequence_mapping(text)
    assert caught.value.status == 422  # type: ignore[attr-defined]


def test_an_empty_mapping_is_none() -> None:
    assert parse_sequence_mapping(" ; ") == {}
