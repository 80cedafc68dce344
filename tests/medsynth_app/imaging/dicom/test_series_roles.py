"""Which series is which sequence: the words that scanners and readers really use, the times, the choice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydicom.dataset import Dataset

from medsynth_app.imaging.dicom.sequence_mapping import parse_sequence_mapping
from medsynth_app.imaging.dicom.series_facts import SeriesFacts, facts_of
from medsynth_app.imaging.dicom.series_roles import modality_of, resolve, role_of

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


@pytest.mark.parametrize(
    ("facts", "expected", "against"),
    [
        ({"description": "t2_me2d_tra", "scanning_sequence": ("GR",), "echo_time_ms": 26.0}, None, ""),
        ({"description": "T2 tra", "scanning_sequence": ("GR",), "echo_time_ms": 26.0}, None,
         "'T2 tra' is a gradient echo (ScanningSequence GR, echo time 26 ms), no T2"),
        ({"description": "T2 tra", "scanning_sequence": ("SE",), "echo_time_ms": 26.0}, None,
         "an echo time of 26 ms, too short for T2"),
        ({"description": "T2 GRASE", "scanning_sequence": ("SE", "GR"), "echo_time_ms": 90.0}, "t2", ""),
        ({"description": "T2 SPACE", "scanning_sequence": ("SE",), "echo_time_ms": 408.0, "repetition_time_ms": 3200.0},
         "t2", ""),
        ({"description": "T2 tra", "repetition_time_ms": 600.0}, None, "a repetition time of 600 ms, too short for T2"),
        ({"description": "T2 map"}, None, "'T2 map' is a map of a quantity"),
        ({"description": "T2_Images", "image_type": ("DERIVED", "PRIMARY", "M", "T2 MAP")}, None, "ImageType 'T2 MAP'"),
        ({"description": "T2_Images", "image_type": ("ORIGINAL", "PRIMARY", "M", "ND", "NORM")}, "t2", ""),
        ({"description": "T2 tra", "protocol": "Brain mapping"}, "t2", ""),
        ({"description": "AX T1", "image_type": ("ORIGINAL", "PRIMARY", "P", "ND")}, None, "ImageType 'P'"),
        ({"description": "AX T1", "image_type": ("DERIVED", "SECONDARY", "MPR")}, "t1", ""),
        ({"description": "AX T1", "image_type": ("ORIGINAL", "PRIMARY", "IN_PHASE")}, "t1", ""),
        ({"description": "AX T1", "echo_time_ms": 95.0}, None, "an echo time of 95 ms, too long for T1"),
        ({"description": "AX T1", "repetition_time_ms": 6000.0, "scanning_sequence": ("SE",)}, None, "too long for T1"),
        ({"description": "T1 mp2rage UNI", "repetition_time_ms": 5000.0, "scanning_sequence": ("GR", "IR")}, "t1", ""),
        ({"description": "t1_mp2rage_INV2"}, None, ""),
        ({"description": "FLAIR", "inversion_time_ms": 860.0}, None, "an inversion time of 860 ms, too short"),
        ({"description": "FLAIR", "inversion_time_ms": 1650.0, "echo_time_ms": 390.0, "repetition_time_ms": 4800.0},
         "flair", ""),
        ({"description": "FLAIR", "scanning_sequence": ("IR",), "echo_time_ms": 125.0}, "flair", ""),
        ({"echo_time_ms": 80, "repetition_time_ms": 3000, "scanning_sequence": ("GR",)}, None, "is a gradient echo"),
    ],
)  # fmt: skip
def test_what_the_scanner_wrote_can_veto_words(facts: dict[str, Any], expected: str | None, against: str) -> None:
    role = role_of(SeriesFacts("1.2", **facts))
    assert role.modality == expected
    assert (against in role.veto[1]) if role.veto else not against


@pytest.mark.parametrize(
    ("description", "protocol", "agent", "expected", "doubt"),
    [
        ("AX T1 No Gd", "", "", "t1", ""),
        ("AX T1 -GD", "", "", "t1", ""),
        ("AX T1 (-GD)", "", "", "t1", ""),
        ("T1 CE(-)", "", "", "t1", ""),
        ("T1 CE (-)", "", "Gadovist", "t1", ""),
        ("T1 C-", "", "", "t1", ""),
        ("T1 Gd-", "", "", "t1", ""),
        ("T1 noncontrast", "", "", "t1", ""),
        ("T1 sin contraste", "", "", "t1", ""),
        ("T1 contrast: none", "", "", "t1", ""),
        ("T1 비조영", "", "", "t1", ""),
        ("T1 조영(-)", "", "", "t1", ""),
        ("T1 CE(+)", "", "", "t1ce", ""),
        ("T1 C(+)", "", "", "t1ce", ""),
        ("T1 +Gd", "", "", "t1ce", ""),
        ("CE-sT1W_3D_TFE", "", "", "t1ce", ""),
        ("T1 Gd-DTPA", "", "", "t1ce", ""),
        ("T1 조영 후", "", "", "t1ce", ""),
        ("T1-GD", "", "", "t1ce", "may mean with or without contrast agent"),
        ("T1-GD", "", "Gadovist", "t1ce", ""),
        ("AX T1", "Brain post op", "", "t1", ""),
        ("AX T1", "BRAIN POSTOP", "", "t1", ""),
        ("AX T1 post RT", "", "", "t1", ""),
        ("T1 posterior fossa", "", "", "t1", ""),
        ("AX T1", "Brain post op", "Gadovist", "t1ce", ""),
        ("AX T1 post", "Brain post op", "", "t1ce", "'post' may mean after the operation"),
        ("AX T1 post", "Brain post op", "Gadovist", "t1ce", ""),
        ("AX T1 post", "", "NONE", "t1", "but its agent is 'NONE'"),
        ("AX T1 post", "", "No contrast", "t1", "but its agent is 'No contrast'"),
        ("AX T1 +Gd", "", "NONE", "t1ce", "but ContrastBolusAgent denies it"),
        ("AX T1 pre-op Gd", "", "", "t1ce", ""),
        ("AX T1 Gd w/o FS", "", "", "t1ce", ""),
        ("AX T1", "BRAIN W/WO", "", "t1", ""),
        ("AX T1 post", "BRAIN W/WO", "", "t1ce", ""),
        ("AX T1", "Brain with Gd", "", "t1ce", "only its protocol says 'gd'"),
    ],
)  # fmt: skip
def test_words_about_contrast(description: str, protocol: str, agent: str, expected: str, doubt: str) -> None:
    role = role_of(SeriesFacts("1.2", description=description, protocol=protocol, contrast_agent=agent))
    assert role.modality == expected
    assert doubt in role.doubt
    assert bool(doubt) == bool(role.doubt)


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


def test_what_was_taken_is_said_with_its_reason() -> None:
    series = study("FLAIR", "T1", "T1-GD", "T2 tra", "T2 tse")
    series[3] = replace(series[3], scanning_sequence=("GR",), echo_time_ms=26.0)
    found = resolve(series, "1.0")
    assert found.series["t2"].uid == "1.4"
    assert found.reasons["t2"] == "description 'T2 tse'"
    assert found.reasons["t1ce"] == "description 'T1-GD'; description says 'gd'"
    assert [note for note in found.notes if note.startswith("t1ce: 'T1-GD'")] != []


def test_a_vetoed_series_is_explained_where_its_sequence_is_missing() -> None:
    series = study("FLAIR", "T1", "T1 post", "T2 tra")
    series[3] = replace(series[3], scanning_sequence=("GR",), echo_time_ms=26.0)
    assert "'T2 tra' is a gradient echo (ScanningSequence GR" in resolve(series, "1.0").problems["t2"]
    mapped = resolve(series, "1.0", parse_sequence_mapping("t2=^t2"))
    assert (mapped.series["t2"].uid, mapped.reasons["t2"]) == ("1.3", "sequence_mapping of the operator")


def test_facts_of_an_enhanced_image_come_from_its_groups() -> None:
    def item(**values: Any) -> Any:
        found = Dataset()
        for key, value in values.items():
            setattr(found, key, value)
        return found

    image = item(Modality="MR", EchoPulseSequence="GRADIENT", Rows=4, Columns=5, ImageType=["ORIGINAL", "PRIMARY"])
    image.ContrastBolusAgentSequence = [item(CodeMeaning="Gadobutrol")]
    shared = item(MRTimingAndRelatedParametersSequence=[item(RepetitionTime=2300.0)],
                  MRModifierSequence=[item(InversionRecovery="YES", InversionTimes=[900.0])],
                  PixelMeasuresSequence=[item(PixelSpacing=[1, 2])])  # fmt: skip
    frame = item(MREchoSequence=[item(EffectiveEchoTime=3.0)],
                 PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])])  # fmt: skip
    image.SharedFunctionalGroupsSequence, image.PerFrameFunctionalGroupsSequence = [shared], [frame]
    found = facts_of(image)
    assert (found.echo_time_ms, found.repetition_time_ms, found.inversion_time_ms) == (3.0, 2300.0, 900.0)
    assert found.scanning_sequence == ("GR", "IR")
    assert (found.contrast_agent, modality_of(found)) == ("Gadobutrol", "t1ce")
    assert found.grid == (4.0, 5.0, 1.0, 2.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
