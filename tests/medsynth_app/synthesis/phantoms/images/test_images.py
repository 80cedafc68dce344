"""Pictures of six modalities: repeatable, labelled, and every condition changes what it should."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.provenance.marking import is_marked_synthetic
from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.generator import GenerationRequest, Synthetic
from medsynth_app.synthesis.phantoms.images.request import IMAGE_CONDITIONS, MODALITIES
from medsynth_app.synthesis.weights import WeightsStore
from medsynth_app.synthesis.writing import write_result_label, write_synthetic

SICK = [(modality, name) for modality, row in MODALITIES.items() for name in row.pathologies]
FOCAL = [(m, name) for m, row in MODALITIES.items() for name, disease in row.pathologies.items() if disease.is_focal]
PLACES = {"chest_xray": ((0.28, 0.5), (0.75, 0.4)), "ct": ((0.4, 0.35), (0.62, 0.62)),
          "mri": ((0.4, 0.35), (0.62, 0.62)),
          "mammography": ((0.3, 0.6), (0.5, 0.5)), "ultrasound": ((0.3, 0.4), (0.65, 0.5))}  # fmt: skip


@lru_cache(maxsize=256)
def _made(modality: str, seed: int, given: tuple[tuple[str, Any], ...]) -> Synthetic:
    conditions = IMAGE_CONDITIONS.parse({"modality": modality, "size": 128, **dict(given)})
    generator = CATALOGUE.row("image_synthesis", "phantom").build(WeightsStore(()))
    return generator.generate(GenerationRequest(seed, conditions))


def made(modality: str, seed: int = 1, **given: Any) -> Synthetic:
    return _made(modality, seed, tuple(sorted(given.items())))


def grey(modality: str, **given: Any) -> np.ndarray:
    """Mean of the colours as float."""
    array = made(modality, **given).array.astype(float)
    return array.mean(axis=2) if array.ndim == 3 else array


def mask(modality: str, **given: Any) -> np.ndarray:
    label = made(modality, **given).label
    assert label is not None
    return label > 0


def box(picture: np.ndarray, x: tuple[float, float], y: tuple[float, float]) -> np.ndarray:
    """A part of a picture, limits in shares."""
    size = picture.shape[0]
    return picture[int(y[0] * size) : int(y[1] * size), int(x[0] * size) : int(x[1] * size)]


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_seed_fixes_the_bytes_and_another_shows_someone_else(modality: str, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        _made.cache_clear()
        write_synthetic(made(modality, seed), tmp_path / f"{name}.png")
    first, again, other = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert first == again
    assert is_marked_synthetic(tmp_path / "a.png")
    pictures = [made(modality, seed).array.astype(float) for seed in (3, 4)]
    assert np.abs(pictures[0] - pictures[1]).mean() > 4, "more than noise"
    assert first != other


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("size", [64, 200])
def test_the_size_is_the_picture_s(modality: str, size: int) -> None:
    result = made(modality, size=size)
    assert result.array.shape == ((size, size, 3) if modality == "retina" else (size, size))
    assert result.label is None, "nothing is wrong in a normal picture"
    assert 15 < result.array.mean() < 180
    assert result.array.std() > 20


def test_a_larger_picture_shows_the_same_anatomy() -> None:
    for modality in ("chest_xray", "mammography", "mri"):
        small = grey(modality, size=128)
        large = grey(modality, size=256).reshape(128, 2, 128, 2).mean(axis=(1, 3))
        assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(("modality", "pathology"), SICK)
def test_severity_changes_more_of_the_same_picture(modality: str, pathology: str) -> None:
    healthy = grey(modality)
    changes = [
        np.abs(grey(modality, pathology=pathology, severity=severity) - healthy).sum()
        for severity in (0.0, 0.5, 1.0)
    ]
    assert changes[0] > 50
    assert changes[1] > 1.2 * changes[0]
    assert changes[2] > 1.2 * changes[1]


@pytest.mark.parametrize(("modality", "pathology"), FOCAL)
def test_the_lesion_lies_where_it_was_asked_for(modality: str, pathology: str) -> None:
    for x, y in PLACES[modality]:
        given = {"pathology": pathology, "lesion_position": f"{x},{y}", "lesion_size": 0.12}
        rows, columns = np.nonzero(mask(modality, **given))
        assert (columns.mean() / 128, rows.mean() / 128) == pytest.approx((x, y), abs=0.03)
        change = np.abs(grey(modality, **given) - grey(modality))
        near = np.hypot(*(np.indices(change.shape) / 128 - np.array([y, x])[:, None, None])) < 0.12
        assert change[near].mean() > 5 * change[~near].mean() or pathology in ("benign", "malignant")
        assert change[near].mean() > 2


@pytest.mark.parametrize(("modality", "pathology"), FOCAL)
def test_the_lesion_has_the_size_that_was_asked_for(modality: str, pathology: str) -> None:
    x, y = PLACES[modality][0]
    given = {"pathology": pathology, "lesion_position": f"{x},{y}"}
    small, large = (mask(modality, **given, lesion_size=size).sum() for size in (0.06, 0.12))
    assert 2.5 < large / small < 6
    assert np.sqrt(4 * large / np.pi) / 128 == pytest.approx(0.12, rel=0.25)


@pytest.mark.parametrize(
    ("modality", "pathology", "sign"),
    [("chest_xray", "pneumonia", 1), ("chest_xray", "covid-19", 1), ("chest_xray", "nodule", 1),
     ("ct", "haemorrhage", 1), ("ct", "infarct", -1),
     ("mri", "tumour", 1), ("mri", "white_matter_lesions", 1), ("mammography", "mass", 1),
     ("mammography", "microcalcifications", 1), ("ultrasound", "benign", -1), ("ultrasound", "malignant", -1),
     ("retina", "drusen", 1), ("retina", "haemorrhages", -1)],
)  # fmt: skip
def test_lesions_are_brighter_or_darker_as_the_disease_is(modality: str, pathology: str, sign: int) -> None:
    where = mask(modality, pathology=pathology, severity=0.6)
    change = (grey(modality, pathology=pathology, severity=0.6) - grey(modality))[where]
    assert sign * change.mean() > 4
    assert sign * np.median(change) >= 0


def test_covid_is_in_both_lungs_and_near_their_walls() -> None:
    where = mask("chest_xray", pathology="covid-19", severity=0.7)
    left, right = where[:, :64].sum(), where[:, 64:].sum()
    assert min(left, right) > 0.2 * (left + right)
    away = np.abs(np.nonzero(where)[1] / 128 - 0.5)
    assert np.median(away) > 0.2
    one_sided = mask("chest_xray", pathology="pneumonia")
    assert min(one_sided[:, :64].sum(), one_sided[:, 64:].sum()) == 0


def test_benign_is_wide_and_bright_behind_malignant_tall_and_shadowed() -> None:
    given = {"lesion_position": "0.5,0.42", "lesion_size": 0.2, "severity": 0.8}
    sides, behind = {}, {}
    for pathology in ("benign", "malignant"):
        rows, columns = np.nonzero(mask("ultrasound", pathology=pathology, **given))
        sides[pathology] = np.ptp(columns) / np.ptp(rows)
        change = grey("ultrasound", pathology=pathology, **given) - grey("ultrasound")
        behind[pathology] = box(change, (0.46, 0.54), (0.57, 0.68)).mean()
    assert sides["benign"] > 1.3
    assert sides["malignant"] < 1.05
    assert behind["benign"] > 10
    assert behind["malignant"] < -30


def test_a_malignant_outline_is_rougher() -> None:
    def roughness(pathology: str) -> float:
        where = mask("ultrasound", pathology=pathology, lesion_position="0.5,0.42", lesion_size=0.3, size=256)
        return float((binary_dilation(where) & ~where).sum() / np.sqrt(where.sum()))

    assert roughness("malignant") > 1.04 * roughness("benign")


def _lower_left_lung(picture: np.ndarray) -> float:
    return -float(box(picture, (0.58, 0.75), (0.55, 0.72)).mean())


def _fluid(picture: np.ndarray) -> float:
    middle = box(picture, (0.35, 0.65), (0.3, 0.7))
    return -float((middle < 0.55 * np.median(middle)).mean())


def _gland_under_the_fat(picture: np.ndarray) -> float:
    return float(box(picture, (0.0, 1.0), (0.16, 0.3)).mean())


AGEING: dict[str, Callable[[np.ndarray], float]] = {
    "chest_xray": _lower_left_lung,
    "ct": _fluid,
    "mri": _fluid,
    "mammography": lambda picture: float(picture.mean()),
    "ultrasound": _gland_under_the_fat,
}
"""What falls with age: darkness beside the widening heart, tissue between the fluid, dense gland."""


@pytest.mark.parametrize("modality", AGEING)
@pytest.mark.parametrize("seed", [1, 2])
def test_age_shows(modality: str, seed: int) -> None:
    young, middle, old = (AGEING[modality](grey(modality, seed=seed, age=age)) for age in (25, 55, 90))
    assert young > middle > old


def test_old_lenses_are_yellow() -> None:
    young, old = (made("retina", age=age).array.astype(float).mean(axis=(0, 1)) for age in (20, 90))
    assert old[2] / old[0] < 0.7 * young[2] / young[0]


@pytest.mark.parametrize("modality", ["ct", "mri"])
def test_men_s_heads_are_wider(modality: str) -> None:
    def width(sex: str) -> int:
        return int(np.ptp(np.nonzero((grey(modality, sex=sex) > 90).sum(axis=0) > 3)[0]))

    assert width("male") > width("female")


def test_breasts_lie_over_a_woman_s_lungs() -> None:
    female, male = (box(grey("chest_xray", sex=sex), (0.2, 0.35), (0.58, 0.7)).mean() for sex in ("female", "male"))
    assert female > male + 8


def test_men_s_discs_are_larger() -> None:
    female, male = ((made("retina", sex=sex, size=256).array[..., 1] > 175).sum() for sex in ("female", "male"))
    assert male > 1.02 * female


def test_what_is_labelled_is_a_picture_too(tmp_path: Path) -> None:
    result = made("ct", pathology="haemorrhage")
    write_result_label(result, tmp_path / "label.png")
    assert is_marked_synthetic(tmp_path / "label.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "label.png")), result.label)
    assert result.facts["lesion_share"] == pytest.approx(float(result.label.mean()), abs=1e-5)
    with pytest.raises(InvalidValueError, match="this image has no label"):
        write_result_label(made("ct"), tmp_path / "none.png")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"modality": "pet"}, "modality: 'pet' must be one of chest_xray, ct, mri, mammography, ultrasound, retina"),
        ({"modality": 7}, "modality: 7 must be a text"),
        ({"pathology": "drusen"}, "pathology: 'drusen' is impossible in chest_xray, possible are normal, pneumonia"),
        ({"pathology": "plague"}, "pathology: 'plague' must be one of normal"),
        ({"severity": 2}, "severity: 2 must be between 0 and 1"),
        ({"severity": "much"}, "severity: 'much' must be a number"),
        ({"severity": float("nan")}, "severity: nan must be a number"),
        ({"modality": "mammography", "sex": "male"}, "sex: 'male' is impossible in mammography, possible are female"),
        ({"modality": "ultrasound", "sex": "male"}, "sex: 'male' is impossible in ultrasound"),
        ({"age": 5}, "age: 5 must be between 18 and 100"),
        ({"age": 40.5}, "age: 40.5 must be a whole number"),
        ({"size": 2048}, "size: 2048 must be between 64 and 512"),
        ({"size": 1}, "size: 1 must be between"),
        ({"lesion_position": "0.5,0.5"}, "lesion_position: needs a pathology with a single lesion: pneumonia"),
        ({"pathology": "covid-19", "lesion_size": 0.2}, "lesion_size: needs a pathology with a single lesion"),
        ({"modality": "retina", "pathology": "drusen", "lesion_size": 0.2}, "lesion_size: .*none in retina"),
        ({"pathology": "pneumonia", "lesion_position": "2,0"}, "lesion_position: 2 must be between 0 and 1"),
        ({"pathology": "pneumonia", "lesion_position": "0.5"}, "lesion_position: .* must be 2 numbers"),
        ({"pathology": "pneumonia", "lesion_position": "1,1"}, "lesion_position: 1, 1 lies outside of the lungs"),
        ({"pathology": "pneumonia", "lesion_size": 0.01}, "lesion_size: 0.01 must be between 0.06 and 0.425"),
        ({"colour": "red"}, "colour: is no condition of this generator"),
    ],
)
def test_the_impossible_is_refused_by_name(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidValueError, match=complaint):
        made(**{"modality": "chest_xray", **given})
