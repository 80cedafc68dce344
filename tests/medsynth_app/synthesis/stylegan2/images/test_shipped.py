"""What the shipped picture weights promise: modalities look like themselves, classes and seeds make a difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.phantoms.images.request import IMAGE_MODALITIES
from medsynth_app.synthesis.stylegan2.images.generator import PICTURE_CONDITIONS, StyleGAN2PictureGenerator
from medsynth_app.synthesis.stylegan2.images.model import PictureModel, load_picture_model
from medsynth_app.synthesis.weights import WeightsStore

SEEDS = range(6)
SIDE = 128


@pytest.fixture(scope="module")
def model() -> PictureModel:
    return load_picture_model(WeightsStore())


def drawn(seed: int, **given: Any) -> np.ndarray:
    request = GenerationRequest(seed, PICTURE_CONDITIONS.parse(given))
    return StyleGAN2PictureGenerator(WeightsStore()).generate(request).array.astype(np.float64)


def average(modality: str, pathology: str = "normal") -> np.ndarray:
    return np.mean([drawn(seed, modality=modality, pathology=pathology) for seed in SEEDS], axis=0)


def inside_and_corners(picture: np.ndarray) -> tuple[float, float]:
    grey = picture.mean(axis=2) if picture.ndim == 3 else picture
    edges = (slice(8), slice(-8, None))
    corners = [grey[rows, columns].mean() for rows in edges for columns in edges]
    return float(grey[40:88, 40:88].mean()), float(max(corners))


def test_every_class_of_five_modalities_is_there(model: PictureModel) -> None:
    assert set(model.classes.modalities) == set(IMAGE_MODALITIES) - {"mammography"}
    assert {name: set(model.classes.pathologies(name)) for name in model.classes.modalities} == {
        "chest_xray": {"normal", "pneumonia", "covid-19"}, "ct": {"normal", "haemorrhage"},
        "mri": {"normal", "tumour"}, "retina": {"normal"}, "ultrasound": {"normal", "benign", "malignant"},
    }  # fmt: skip
    assert set(model.classes.grey) == {"chest_xray", "ct", "mri", "ultrasound"}


@pytest.mark.parametrize("modality", ["ct", "mri", "retina"])
def test_head_and_eye_lie_in_the_dark(modality: str) -> None:
    inside, corner = inside_and_corners(average(modality))
    assert inside > 60
    assert corner < 25


def test_bone_is_brighter_than_the_brain_it_holds() -> None:
    head = average("ct")
    middle = head[SIDE // 2]
    assert middle[:32].max() > middle[48:80].mean() + 50
    assert middle[-32:].max() > middle[48:80].mean() + 50


def test_lungs_are_darker_than_what_lies_between_them() -> None:
    chest = average("chest_xray")
    between = chest[40:72, 60:68].mean()
    assert between > chest[40:72, 24:44].mean() + 15
    assert between > chest[40:72, 84:104].mean() + 15


def test_a_fundus_is_red() -> None:
    red, green, blue = average("retina")[40:88, 40:88].mean(axis=(0, 1))
    assert red > green + 20 > blue + 20


@pytest.mark.parametrize(("modality", "pathology"), [
    ("chest_xray", "pneumonia"), ("chest_xray", "covid-19"), ("ct", "haemorrhage"), ("mri", "tumour"),
    ("ultrasound", "benign"), ("ultrasound", "malignant"),
])  # fmt: skip
def test_the_pathology_changes_the_picture_of_a_seed(modality: str, pathology: str) -> None:
    changed = drawn(1, modality=modality, pathology=pathology) - drawn(1, modality=modality)
    assert np.abs(changed).mean() > 2


@pytest.mark.parametrize(("modality", "pathology", "least"), [("ct", "haemorrhage", 30), ("mri", "tumour", 5)])
def test_a_lesion_is_brighter_than_the_brain_about_it(modality: str, pathology: str, least: float) -> None:
    """How far the brightest twentieth of the middle lies above its median, in grey levels of 255."""

    def brightness(shown: str) -> float:
        middles = [drawn(seed, modality=modality, pathology=shown)[32:96, 32:96] for seed in range(12)]
        return float(np.mean([np.percentile(middle, 97.5) - np.median(middle) for middle in middles]))

    assert brightness(pathology) > brightness("normal") + least


@pytest.mark.parametrize("modality", sorted(set(IMAGE_MODALITIES) - {"mammography"}))
def test_a_seed_repeats_and_another_differs(modality: str) -> None:
    first, second, other = (drawn(seed, modality=modality) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).mean() > 4


def test_truncation_narrows_the_variety() -> None:
    def spread(truncation: float) -> float:
        pictures = [drawn(seed, modality="ultrasound", truncation=truncation) for seed in SEEDS]
        return float(np.std(pictures, axis=0).mean())

    # the finest texture is noise of the seed, which truncation leaves
    assert spread(0.0) < 0.6 * spread(1.0)
    assert spread(0.0) < spread(0.5) < spread(1.0)
