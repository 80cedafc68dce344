"""Phantoms of all six types: repeatable, labelled, and every condition changes what it should."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.provenance.marking import is_marked_synthetic
from medsynth_app.synthesis.generator import GenerationRequest, Synthetic
from medsynth_app.synthesis.phantoms.generator import PhantomGenerator
from medsynth_app.synthesis.phantoms.request import PHANTOM_CONDITIONS, VOLUME_KINDS, VOLUME_TYPES
from medsynth_app.synthesis.previews import preview_png
from medsynth_app.synthesis.writing import write_synthetic

COARSE = {"ct_chest": "8,8,8", "ct_abdomen": "7,7,7", "ct_head": "5,5,5", "mri_brain": "5,5,5",
          "mri_heart": "5,5,5", "mri_spine": "5,4,4"}  # fmt: skip


@lru_cache(maxsize=64)
def _made(volume_type: str, seed: int, given: tuple[tuple[str, Any], ...]) -> Synthetic:
    conditions = {"volume_type": volume_type, "spacing_mm": COARSE[volume_type], **dict(given)}
    return PhantomGenerator().generate(GenerationRequest(seed, PHANTOM_CONDITIONS.parse(conditions)))


def made(volume_type: str, seed: int = 1, **given: Any) -> Synthetic:
    return _made(volume_type, seed, tuple(sorted(given.items())))


def inside(result: Synthetic, *structures: str) -> np.ndarray:
    """The image's values inside of structures."""
    assert result.label is not None
    return result.array[0][np.isin(result.label, [result.label_names[name] for name in structures])]


@pytest.mark.parametrize("volume_type", VOLUME_KINDS)
def test_every_type_answers_with_several_structures(volume_type: str) -> None:
    result = made(volume_type)
    kind = VOLUME_TYPES[volume_type]
    assert result.array.dtype == np.int16
    found = [name for name in kind.structures if result.facts["volumes_ml"][name] > 0]
    assert len(found) >= len(kind.structures) - 1, f"only {found}"
    assert np.allclose(
        np.linalg.norm(result.affine[:3, :3], axis=0), [float(s) for s in COARSE[volume_type].split(",")]
    )
    assert preview_png(result)[:4] == b"\x89PNG"


@pytest.mark.parametrize("volume_type", VOLUME_KINDS)
def test_same_seed_same_bytes_other_seed_other_body(volume_type: str, tmp_path: Path) -> None:
    _made.cache_clear()
    first = made(volume_type)
    _made.cache_clear()
    again = made(volume_type)
    assert first is not again
    for name, result in (("a", first), ("b", again)):
        write_synthetic(result, tmp_path / f"{name}.nii")
    assert (tmp_path / "a.nii").read_bytes() == (tmp_path / "b.nii").read_bytes()
    assert (first.label != made(volume_type, seed=2).label).mean() > 0.005


def test_hounsfield_units_are_those_of_the_tissues() -> None:
    chest, abdomen = made("ct_chest"), made("ct_abdomen")
    assert np.median(inside(chest, "lung_left", "lung_right")) == pytest.approx(-850, abs=30)
    assert np.median(inside(chest, "heart")) == pytest.approx(43, abs=10)
    assert np.median(inside(abdomen, "liver")) == pytest.approx(57, abs=8)
    assert np.median(inside(abdomen, "gallbladder")) < 35
    assert chest.array.min() == -1024
    assert inside(chest, "spine").max() > 250


@pytest.mark.parametrize(
    ("volume_type", "pathology"),
    [(kind, name) for kind in VOLUME_KINDS for name in VOLUME_TYPES[kind].pathologies],
)
def test_every_pathology_changes_the_image_and_severity_how_much(volume_type: str, pathology: str) -> None:
    healthy = made(volume_type).array.astype(float)
    little, much = (
        made(volume_type, pathology=pathology, severity=s).array.astype(float) for s in (0.1, 1.0)
    )
    changes = [np.square(image - healthy).mean() for image in (little, much)]
    assert changes[1] > 1.15 * changes[0] > 0


@pytest.mark.parametrize(
    ("volume_type", "structure"), [("ct_abdomen", "liver"), ("ct_abdomen", "aorta"), ("ct_chest", "heart")]
)
def test_contrast_agent_brightens_vessels_and_organs(volume_type: str, structure: str) -> None:
    plain, enhanced = (
        np.median(inside(made(volume_type, contrast_agent=c), structure)) for c in (False, True)
    )
    assert enhanced > plain + 25


def test_contrast_agent_brightens_a_tumour_in_t1() -> None:
    given = {"pathology": "tumor", "severity": 0.9, "sequence": "t1"}
    plain, enhanced = (made("mri_brain", contrast_agent=c, **given) for c in (False, True))
    assert np.percentile(inside(enhanced, "lesion"), 80) > 1.3 * np.percentile(inside(plain, "lesion"), 80)


def test_a_lesion_lies_where_it_was_asked_for_and_has_its_size() -> None:
    place = (70.0, 0.0, 85.0)
    small, large = (
        made("ct_abdomen", pathology="liver_tumor", lesion_position_mm="70,0,85", lesion_size_mm=d)
        for d in (30, 60)
    )
    volumes = []
    for result in (small, large):
        voxels = np.argwhere(result.label == result.label_names["lesion"])
        centroid = (result.affine @ [*voxels.mean(axis=0), 1.0])[:3]
        assert np.linalg.norm(centroid - place) < 14
        volumes.append(result.facts["volumes_ml"]["lesion"])
    assert volumes[1] > 4 * volumes[0]
    assert volumes[1] == pytest.approx(4 / 3 * np.pi * 3.0**3, rel=0.5)


def test_age_widens_the_fluid_of_the_brain_and_dries_discs() -> None:
    young, old = (made("mri_brain", age=a).facts["volumes_ml"] for a in (25, 90))
    assert old["white_matter"] + old["grey_matter"] < 0.97 * (young["white_matter"] + young["grey_matter"])
    discs = [np.percentile(inside(made("mri_spine", age=a), "discs"), 90) for a in (20, 90)]
    assert discs[1] < 0.8 * discs[0]


def test_age_and_sex_thin_the_bone() -> None:
    values = [
        np.median(inside(made("ct_abdomen", age=a, sex=s), "spine"))
        for a, s in ((30, "male"), (90, "female"))
    ]
    assert values[1] < values[0] - 20


@pytest.mark.parametrize("volume_type", VOLUME_KINDS)
def test_women_are_smaller(volume_type: str) -> None:
    volumes = []
    for sex in ("female", "male"):
        found = made(volume_type, sex=sex).facts["volumes_ml"]
        volumes.append(
            sum(v for name, v in found.items() if name not in ("bowel", "spine", "ribs", "spinal_canal"))
        )
    assert volumes[0] < volumes[1]


@pytest.mark.parametrize("volume_type", ["ct_chest", "mri_brain"])
def test_thick_slices_blur_along_the_body(volume_type: str) -> None:
    thin, thick = (made(volume_type, slice_thickness_mm=t).array[0].astype(float) for t in (4, 18))
    steps = [np.abs(np.diff(image, axis=2)).mean() for image in (thin, thick)]
    assert steps[1] < 0.75 * steps[0]


def test_region_cuts_the_field_of_view() -> None:
    upper, lower = made("ct_chest", region="upper"), made("ct_chest", region="lower")
    assert upper.array.shape[3] < made("ct_chest").array.shape[3]
    assert upper.facts["volumes_ml"]["liver"] == 0 < lower.facts["volumes_ml"]["liver"]
    assert upper.affine[2, 3] > lower.affine[2, 3]


def test_regions_of_the_spine_have_other_vertebrae() -> None:
    volumes = [
        made("mri_spine", region=r).facts["volumes_ml"]["discs"] for r in ("lumbar", "thoracic", "cervical")
    ]
    assert volumes[0] > volumes[1] > volumes[2] > 0


def test_sequences_have_their_contrast() -> None:
    fluid, white = {}, {}
    for sequence in ("t1", "t2", "flair"):
        result = made("mri_brain", sequence=sequence)
        fluid[sequence] = np.percentile(inside(result, "cerebrospinal_fluid"), 75)
        white[sequence] = np.median(inside(result, "white_matter"))
    assert fluid["t2"] > 1.5 * white["t2"]
    assert fluid["flair"] < white["flair"]
    assert np.median(inside(made("mri_brain", sequence="t1"), "grey_matter")) < white["t1"]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"volume_type": "ct_foot"}, "volume_type: 'ct_foot' must be one of ct_chest"),
        ({"pathology": "stroke"}, "pathology: 'stroke' must be one of none"),
        ({"pathology": "tumor"}, "pathology: 'tumor' is impossible in ct_chest, possible are none, nodule"),
        ({"severity": 1.5}, "severity: 1.5 must be between 0 and 1"),
        ({"severity": "much"}, "severity: 'much' must be a number"),
        ({"age": 5}, "age: 5 must be between 18 and 100"),
        ({"sex": "x"}, "sex: 'x' must be one of male, female"),
        ({"contrast_agent": "perhaps"}, "contrast_agent: 'perhaps' must be true or false"),
        ({"spacing_mm": "1,1"}, "spacing_mm: '1,1' must be 3 numbers"),
        ({"spacing_mm": "0,1,1"}, "spacing_mm: 0 must be between 0.7 and 10"),
        ({"spacing_mm": [0.7, 0.7, 0.7]}, "spacing_mm: .* voxels, at most 16000000"),
        (
            {"spacing_mm": "3,3,9", "slice_thickness_mm": 1},
            "slice_thickness_mm: 1 is impossible with slices 9 mm",
        ),
        ({"slice_thickness_mm": -1}, "slice_thickness_mm: -1 must be between 0 and 20"),
        ({"region": "lumbar"}, "region: 'lumbar' is impossible in ct_chest"),
        ({"sequence": "t1"}, "sequence: 't1' is impossible in ct_chest, possible are auto"),
        ({"lesion_size_mm": 10}, "lesion_size_mm: needs a pathology with a lesion: nodule, pneumonia"),
        ({"lesion_position_mm": "0,0,0"}, "lesion_position_mm: needs a pathology with a lesion"),
        (
            {"pathology": "nodule", "lesion_size_mm": 120},
            "lesion_size_mm: 120 must be between 2 and 56.25 for nodule",
        ),
        (
            {"pathology": "nodule", "lesion_position_mm": [900, 0, 0]},
            "lesion_position_mm: 900 lies outside the field",
        ),
        ({"colour": 3}, "colour: is no condition of this generator"),
    ],
)
def test_wrong_and_impossible_conditions_are_refused_by_name(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidValueError, match=complaint):
        PHANTOM_CONDITIONS.parse(given)


def test_a_lesion_outside_its_organ_is_refused_with_a_place_inside() -> None:
    with pytest.raises(
        InvalidValueError, match="lesion_position_mm: 0,-80,0 lies outside lung_left and lung_right"
    ):
        made("ct_chest", pathology="nodule", lesion_position_mm="0,-80,0")


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
def test_the_mark_and_the_spacing_survive_itk(ending: str, tmp_path: Path) -> None:
    result = made("ct_chest")
    write_synthetic(result, tmp_path / f"first{ending}")
    image = sitk.ReadImage(str(tmp_path / f"first{ending}"))
    assert image.GetSpacing() == pytest.approx((8.0, 8.0, 8.0), abs=1e-4)
    sitk.WriteImage(image, str(tmp_path / f"second{ending}"))
    again = sitk.ReadImage(str(tmp_path / f"second{ending}"))
    texts = [again.GetMetaData(key) for key in again.GetMetaDataKeys()]
    assert any("SYNTHETIC" in text for text in texts)
    assert is_marked_synthetic(tmp_path / f"second{ending}")
    if ending == ".nii.gz":
        loaded: Any = nib.load(tmp_path / f"second{ending}")
        np.testing.assert_allclose(loaded.affine, result.affine, atol=1e-3)
