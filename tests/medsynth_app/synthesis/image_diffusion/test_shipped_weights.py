"""What the shipped weights promise: every condition that they accept changes the picture in the stated way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.image_diffusion.generator import ImageDiffusionGenerator, draw
from medsynth_app.synthesis.image_diffusion.request import DIFFUSION_CONDITIONS, DiffusionRequest
from medsynth_app.synthesis.image_diffusion.weights import NAME, DiffusionModel
from medsynth_app.synthesis.weights import WeightsStore

SEEDS = list(range(6))
LEFT, RIGHT, SIZE = (0.38, 0.45), (0.62, 0.45), 0.2


@pytest.fixture(scope="module")
def model() -> DiffusionModel:
    path = WeightsStore().find(NAME)
    assert isinstance(path, Path)
    return DiffusionModel.from_file(path)


def make(model: DiffusionModel, **given: Any) -> np.ndarray:
    """(6, R, R) float."""
    conditions = DIFFUSION_CONDITIONS.parse({"steps": 6, **given})
    asked = [DiffusionRequest.from_conditions(conditions, model, None, seed) for seed in SEEDS]
    return np.stack(draw(model, asked, SEEDS)).astype(np.float64)


def disc(middle: tuple[float, float], side: int) -> np.ndarray:
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    return np.hypot(x - middle[0], y - middle[1]) < SIZE / 3


def test_all_modalities_but_mammography_are_there(model: DiffusionModel) -> None:
    assert model.vocabulary.modality == ("chest_xray", "ct", "mri", "retina", "ultrasound")
    assert model.resolution >= 128
    assert model.grey == ("chest_xray", "ct", "mri", "ultrasound")


@pytest.mark.parametrize(
    ("modality", "pathology", "sign"),
    [
        ("mri", "tumour", 1),
        ("ct", "haemorrhage", 1),
        ("ultrasound", "benign", -1),
        ("ultrasound", "malignant", -1),
    ],
)
def test_the_lesion_lies_where_it_was_told(
    model: DiffusionModel, modality: str, pathology: str, sign: int
) -> None:
    """Bright in FLAIR and CT, dark in ultrasound: the side that was told differs from the other."""
    further = {"sequence": "flair"} if modality == "mri" else {}
    left, right = (
        make(
            model,
            modality=modality,
            pathology=pathology,
            lesion_position=list(place),
            lesion_size=SIZE,
            **further,
        )
        for place in (LEFT, RIGHT)
    )
    here, there = disc(LEFT, left.shape[1]), disc(RIGHT, left.shape[1])
    moved = (left - right)[:, here].mean(axis=1) + (right - left)[:, there].mean(axis=1)
    assert (sign * moved > 0).mean() >= 5 / 6
    assert sign * moved.mean() / 2 > 20, "grey levels of 255"


@pytest.mark.parametrize("pathology", ["pneumonia", "covid-19"])
def test_severity_makes_lungs_opaque(model: DiffusionModel, pathology: str) -> None:
    opacity = []
    for severity in (0.0, 0.5, 1.0):
        pictures = make(model, modality="chest_xray", pathology=pathology, severity=severity)
        side = pictures.shape[1]
        rows, middle = (
            slice(side // 4, 5 * side // 8),
            pictures[:, 3 * side // 8 : 5 * side // 8, 7 * side // 16 : 9 * side // 16],
        )
        lungs = np.concatenate(
            [pictures[:, rows, a * side // 25 : b * side // 25] for a, b in ((4, 10), (15, 21))], axis=2
        )
        opacity.append(float(np.median(lungs, axis=(1, 2)).mean() / np.median(middle, axis=(1, 2)).mean()))
    assert opacity == sorted(opacity)
    assert opacity[2] > opacity[0] + 0.03


@pytest.mark.parametrize(
    ("modality", "pathology"), [("ct", "haemorrhage"), ("mri", "tumour"), ("ultrasound", "benign")]
)
def test_severity_changes_the_size_of_a_lesion(model: DiffusionModel, modality: str, pathology: str) -> None:
    further = {"sequence": "flair"} if modality == "mri" else {}
    place = {"lesion_position": list(LEFT)}
    mild, severe = (
        make(model, modality=modality, pathology=pathology, severity=s, **place, **further)
        for s in (0.0, 1.0)
    )
    changed = np.abs(severe - mild)
    around = disc(LEFT, mild.shape[1])
    if modality != "ultrasound":  # there the middle is black both times
        assert changed[:, around].mean() > 1.5 * changed[:, ~around].mean()
    # What changes most lies between the small outline and the large one.
    small, large = (size / 2 for size in model.habits[f"{modality}/{pathology}"].sizes)
    y, x = (np.mgrid[: mild.shape[1], : mild.shape[1]] + 0.5) / mild.shape[1]
    distance = np.hypot(x - LEFT[0], y - LEFT[1])
    between, outside = (distance > small) & (distance < large), distance > large
    assert changed[:, between].mean() > 3.5 * changed[:, outside].mean()


@pytest.mark.parametrize(
    ("modality", "pathology", "further", "told"),
    [
        ("ultrasound", "benign", {}, None),
        ("ultrasound", "benign", {"lesion_size": 0.2}, 0.7),
        ("chest_xray", "pneumonia", {}, 0.7),
    ],
)
def test_severity_is_told_once(
    model: DiffusionModel, modality: str, pathology: str, further: dict[str, Any], told: float | None
) -> None:
    """By the size of the mask; as a number where the size is told otherwise, or there is no mask."""
    given = {"modality": modality, "pathology": pathology, "severity": 0.7, **further}
    asked = DiffusionRequest.from_conditions(DIFFUSION_CONDITIONS.parse(given), model, None, 0)
    assert asked.severity == told
    assert (asked.mask is None) == (modality == "chest_xray")


def test_sequences_differ_as_fluid_does(model: DiffusionModel) -> None:
    """Fluid is bright in T2 and dark in T1."""
    spread = {}
    for sequence in ("t1", "t2"):
        pictures = make(model, modality="mri", pathology="normal", sequence=sequence)
        spread[sequence] = np.median([np.percentile(p[p > 25], 98) / np.median(p[p > 25]) for p in pictures])
    assert spread["t2"] > spread["t1"] + 0.1


def test_a_fundus_is_red(model: DiffusionModel) -> None:
    pictures = make(model, modality="retina")
    middle = pictures[:, 40:88, 40:88].mean(axis=(0, 1, 2))
    assert middle[0] > 1.3 * middle[1] > 1.3 * middle[2]
    assert pictures[:, :6, :6].mean() < 20


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"modality": "mammography"}, "modality: the weights of diffusion have not learned mammography"),
        ({"modality": "mri", "pathology": "pneumonia"}, "pathology: 'pneumonia' is impossible in mri"),
        ({"modality": "chest_xray", "age": 60}, "age: has no effect in chest_xray"),
        (
            {"modality": "chest_xray", "pathology": "pneumonia", "lesion_size": 0.2},
            "lesion_size: needs a pathology",
        ),
    ],
)
def test_what_they_have_not_learned_is_refused(given: dict[str, Any], complaint: str) -> None:
    request = GenerationRequest(1, DIFFUSION_CONDITIONS.parse(given))
    with pytest.raises(InvalidValueError, match=complaint):
        ImageDiffusionGenerator(WeightsStore()).generate(request)
