"""Images and masks that cannot be used: each has its stable code, or is answered as not assessable."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from fastapi.testclient import TestClient

from medsynth_app.clinical import assessment
from medsynth_app.clinical.site.located_cache import ContentCache
from medsynth_app.imaging.atlas.atlas import Atlas
from medsynth_app.imaging.atlas.brain_regions import Side
from medsynth_app.imaging.atlas.registration import register_to_atlas

PATH = "/medsynth/api/cross-check"
Spoil = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@pytest.fixture
def send(
    client: TestClient, tmp_path: Path, atlas: Atlas, mask_of: Callable[[str, Side], np.ndarray]
) -> Callable[..., Any]:
    """Sends a head and a mask in the left hand area, each spoiled or not."""

    def post(image: Spoil | None = None, label: Spoil | None = None, **fields: Any) -> Any:
        head = (atlas.labels > 0).astype(np.float32) * 100
        sent = {"image": (head, image), "label": (mask_of("M1_HAND", Side.LEFT), label)}
        contents = {}
        for name, (whole, spoil) in sent.items():
            array, affine = spoil(whole, atlas.affine) if spoil else (whole, atlas.affine)
            nib.save(nib.Nifti1Image(array, affine), tmp_path / f"{name}.nii.gz")
            contents[name] = (f"{name}.nii.gz", (tmp_path / f"{name}.nii.gz").read_bytes())
        asked = {"symptoms": [{"id": "arm_weakness", "side": "right"}], **fields}
        return client.post(PATH, data={"params": json.dumps(asked)}, files=contents)

    return post


def not_a_number(array: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    spoiled = array.astype(np.float32)
    spoiled[40, 40, 40] = np.nan
    return spoiled, affine


def four_dimensional(array: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([array, array], axis=-1), affine


def value_of(value: float) -> Spoil:
    return lambda array, affine: (np.where(array > 0, value, 0).astype(np.float32), affine)


def moved_by(millimetres: float) -> Spoil:
    def move(array: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        moved = affine.copy()
        moved[1, 3] += millimetres
        return array, moved

    return move


def one_slice_less(array: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return array[..., :-1], affine


@pytest.mark.parametrize(
    ("image", "label", "code", "named"),
    [
        (not_a_number, None, "invalid_value", "image"),
        (four_dimensional, None, "not_scalar", "image"),
        (None, not_a_number, "invalid_value", "label"),
        (None, four_dimensional, "invalid_value", "label"),
        (None, value_of(5), "invalid_value", "label"),
        (None, value_of(-1), "invalid_value", "label"),
        (None, value_of(0.5), "invalid_value", "label"),
        (None, one_slice_less, "wrong_grid", "label"),
        (None, moved_by(0.6), "wrong_grid", "label"),
        (None, moved_by(5.0), "wrong_grid", "label"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name(
    send: Callable[..., Any], image: Spoil | None, label: Spoil | None, code: str, named: str
) -> None:
    answer = send(image, label)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert answer.json()["detail"].startswith(named)


def test_brats_values_with_enhancing_tumour_as_4_are_understood(send: Callable[..., Any]) -> None:
    assert send(label=value_of(4)).json()["site"]["volumes_ml"]["enhancing_tumor"] > 1


def test_an_empty_mask_is_not_assessable_and_no_defect(send: Callable[..., Any]) -> None:
    answer = send(label=value_of(0))
    assert answer.status_code == 200
    assert answer.json()["concordance"] == "not_assessable"


def test_thick_slices_are_not_assessable(send: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ContentCache, "get", lambda *_: None)  # not what an earlier test registered
    monkeypatch.setattr(assessment, "register_to_atlas", register_to_atlas)

    def thick(array: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return array[..., ::4], affine @ np.diag([1.0, 1.0, 4.0, 1.0])

    answer = send(thick, thick)
    assert answer.status_code == 200
    assert answer.json()["concordance"] == "not_assessable"
    assert "8.0 mm thick, allowed are 6" in answer.json()["reasons"][0]


def test_a_registration_that_takes_too_long_is_not_assessable(
    send: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(volume: Any, labels: Any, configuration: Any) -> Any:
        return register_to_atlas(volume, labels, replace(configuration, time_limit_seconds=0.0))

    monkeypatch.setattr(ContentCache, "get", lambda *_: None)  # not what an earlier test registered
    monkeypatch.setattr(assessment, "register_to_atlas", impatient)
    answer = send()
    assert answer.status_code == 200
    assert answer.json()["concordance"] == "not_assessable"
    assert "no answer within 0 seconds" in answer.json()["reasons"][0]


def test_children_are_indeterminate(send: Callable[..., Any]) -> None:
    record = send(age=9).json()
    assert record["concordance"] == "indeterminate"
    assert "age_below_18" in record["reasons"]


def test_doubtful_sides_are_warnings(send: Callable[..., Any]) -> None:
    symptoms = [{"id": "arm_weakness"}, {"id": "vertigo", "side": "left"}]
    warnings = send(symptoms=symptoms).json()["warnings"]
    assert {"side_missing:arm_weakness", "side_not_used:vertigo"} <= set(warnings)


def test_an_unknown_symptom_is_answered_with_three_that_exist(send: Callable[..., Any]) -> None:
    answer = send(symptoms=[{"id": "arm_weaknes"}])
    assert answer.json()["code"] == "unknown_symptom"
    near = answer.json()["detail"].split("nearest are ")[1].split(", ")
    assert len(near) == 3
    assert near[0] == "arm_weakness"
