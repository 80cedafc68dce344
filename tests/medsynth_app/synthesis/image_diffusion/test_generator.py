"""Tiny weights answer repeatably, and refuse by name what they have not learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.generator import GenerationRequest, Synthetic
from medsynth_app.synthesis.image_diffusion.generator import ImageDiffusionGenerator
from medsynth_app.synthesis.image_diffusion.request import DIFFUSION_CONDITIONS
from medsynth_app.synthesis.weights import WeightsStore

BLEEDING = {"modality": "ct", "pathology": "haemorrhage"}


def make(store: WeightsStore, seed: int = 1, label: Path | None = None, **given: Any) -> Synthetic:
    conditions = DIFFUSION_CONDITIONS.parse({"steps": 2, **given})
    return ImageDiffusionGenerator(store).generate(GenerationRequest(seed, conditions, label=label))


def test_the_same_seed_gives_the_same_bytes(store: WeightsStore) -> None:
    first, second, other = (make(store, seed, **BLEEDING) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.array, second.array)
    assert (first.array != other.array).any()
    assert first.mark.weights_hash


def test_grey_modalities_are_grey_and_coloured_ones_are_not(store: WeightsStore) -> None:
    assert make(store, **BLEEDING).array.shape == (32, 32)
    assert make(store, modality="retina").array.shape == (32, 32, 3)


def test_the_size_of_the_answer(store: WeightsStore) -> None:
    made = make(store, **BLEEDING, size=64, lesion_position=[0.5, 0.5])
    assert made.array.shape == made.grid == (64, 64)
    assert made.label is not None
    assert made.label.shape == (64, 64)
    assert made.facts["drawn_pixels"] == 32


def test_the_lesion_lies_where_it_was_told(store: WeightsStore) -> None:
    made = make(store, **BLEEDING, lesion_position="0.4,0.6", lesion_size=0.3)
    assert made.label is not None
    rows, columns = np.nonzero(made.label)
    assert (columns.mean() / 32, rows.mean() / 32) == pytest.approx((0.4, 0.6), abs=0.06)
    assert 0.5 < made.label.mean() / (np.pi * 0.15**2) < 1.6


def test_a_mask_is_a_condition(store: WeightsStore, tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[16:32, 16:32] = 1
    Image.fromarray(mask).save(tmp_path / "mask.png")
    made = make(store, label=tmp_path / "mask.png", **BLEEDING)
    assert made.label is not None
    assert made.label[8:16, 8:16].all()
    assert made.label.sum() == 64


@pytest.mark.parametrize("scheduler", ["rflow", "ddim"])
def test_schedulers_and_guidance(store: WeightsStore, scheduler: str) -> None:
    made = [make(store, **BLEEDING, scheduler=scheduler, steps=5, guidance=g) for g in (1, 3)]
    assert (made[0].array != made[1].array).any()


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"modality": "mri"}, "modality: the weights of diffusion have not learned mri, only ct, retina"),
        ({"modality": "pet"}, "modality: 'pet' must be one of"),
        (
            {"modality": "ct", "pathology": "pneumonia"},
            "pathology: 'pneumonia' is impossible in ct .*haemorrhage",
        ),
        ({**BLEEDING, "age": 50}, "age: has no effect in ct with these weights"),
        ({**BLEEDING, "sex": "male"}, "sex: has no effect in ct"),
        ({**BLEEDING, "severity": 2}, "severity: 2 must be between 0 and 1"),
        ({"modality": "ct", "severity": 0.5}, "severity: 0.5 needs a pathology"),
        ({"modality": "retina", "severity": 0.5}, "severity: has no effect in retina"),
        ({"modality": "mammography", "sex": "male"}, "sex: 'male' is impossible in mammography"),
        (
            {"modality": "ct", "lesion_position": [0.5, 0.5]},
            "lesion_position: needs a pathology .* haemorrhage",
        ),
        (
            {**BLEEDING, "lesion_position": [0.02, 0.5]},
            "lesion_position: 0.02, 0.5 lies outside of where haemorrhage",
        ),
        ({**BLEEDING, "lesion_size": 0.7}, "lesion_size: 0.7 must be between"),
        ({"modality": "retina", "lesion_size": 0.1}, "lesion_size: needs a pathology .* none in retina"),
        (
            {**BLEEDING, "scheduler": "ddpm", "steps": 20},
            "steps: 20 is not possible with scheduler ddpm.*1000",
        ),
        ({**BLEEDING, "scheduler": "euler"}, "scheduler: 'euler' must be one of rflow, ddim, ddpm"),
        ({**BLEEDING, "guidance": 0.5}, "guidance: 0.5 must be between 1 and 8"),
        ({**BLEEDING, "sequence": "t9"}, "sequence: has no effect in ct"),
    ],
)
def test_what_was_not_learned_is_refused_by_name(
    store: WeightsStore, given: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InvalidValueError, match=complaint):
        make(store, **given)


def test_a_mask_and_a_position_contradict_each_other(store: WeightsStore, tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(InvalidValueError, match="label: a mask says where"):
        make(store, label=tmp_path / "mask.png", **BLEEDING, lesion_size=0.2)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "empty.png")
    with pytest.raises(InvalidValueError, match="label: is empty"):
        make(store, label=tmp_path / "empty.png", **BLEEDING)


def test_without_weights_it_says_so() -> None:
    with pytest.raises(InvalidValueError, match="diffusion has no weights .*phantom") as error:
        make(WeightsStore(()), **BLEEDING)
    assert error.value.code == "weights_missing"
