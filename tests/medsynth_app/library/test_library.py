"""``import medsynth_app as ms``: the calls of the notebook, and what they say to wrong ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import medsynth_app as ms
from medsynth_app.errors import InvalidValueError, NotFoundError
from medsynth_app.imaging.provenance.marking import mark_of_file


@pytest.fixture(scope="module")
def radiograph() -> Any:
    return ms.generate("image_synthesis", modality="chest_xray", seed=3)


def test_the_package_is_quick_and_light() -> None:
    code = (
        "import sys, medsynth_app as ms; assert {'generate', 'train', 'evaluate', 'show', 'segment', 'prepare'} <= "
        "set(dir(ms)); assert not {'torch', 'monai', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_same_seed_same_picture_and_the_file_says_synthetic(radiograph: Any, tmp_path: Path) -> None:
    again = ms.generate("image_synthesis", modality="chest_xray", seed=3)
    other = ms.generate("image_synthesis", modality="chest_xray", seed=4)
    np.testing.assert_array_equal(again.array, radiograph.array)
    assert (other.array != radiograph.array).any()
    assert radiograph.record["seed"] == 3
    assert radiograph.record["conditions"]["modality"] == "chest_xray"
    assert radiograph.affine is None
    saved = radiograph.save(tmp_path / "new" / "picture.png")
    with Image.open(saved) as picture:
        assert "synthetic" in " ".join(picture.text).lower() + " ".join(picture.text.values()).lower()


def test_a_volume_is_saved_with_its_label_and_as_a_case(tmp_path: Path) -> None:
    made = ms.generate("volume_synthesis", volume_type="mri_brain", seed=7, spacing_mm=[4, 4, 4])
    made.save(tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "v_label.nii.gz").dataobj), made.label)
    assert mark_of_file(tmp_path / "v_label.nii.gz") is not None
    with pytest.raises(InvalidValueError, match="a volume can be"):
        made.save(tmp_path / "v.png")
    figure = ms.show(made, title="a head")
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 7
    assert figure.get_suptitle() == "a head"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ms.generate("brain"), NotFoundError, "known are tumor_case_synthesis, volume_synthesis"),
        (lambda: ms.generate("volume_synthesis", colour=1), InvalidValueError, 'ms.generate("volume_synthesis"'),
        (lambda: ms.generate("volume_synthesis", volume_type="leg"), InvalidValueError, "volume_type: 'leg'"),
        (lambda: ms.train("brain", ".", folder="x"), NotFoundError, "known are"),
        (lambda: ms.train("image_synthesis", ".", folder="x", epochs=2), InvalidValueError, "steps=...)"),
        (lambda: ms.train("image_synthesis", ".", folder="x", epochs=2, steps=2), InvalidValueError, "both are given"),
        (lambda: ms.train("image_synthesis", ".", folder="x", steps=0), InvalidValueError, "steps: 0 must be"),
        (lambda: ms.train("image_synthesis", ".", folder="x", size=3), InvalidValueError, "has no such option"),
        (lambda: ms.evaluate("brain", "."), NotFoundError, "known are brain_tumor_segmentation"),
        (lambda: ms.evaluate("volume_synthesis", ".", size=3), InvalidValueError, "size: volume_synthesis"),
        (lambda: ms.show(np.zeros(3)), InvalidValueError, "image: has 1 axes"),
        (lambda: ms.show(np.zeros((9, 9)), label=np.zeros((8, 9))), InvalidValueError, "label: shape"),
    ],
)  # fmt: skip
def test_wrong_calls_are_told_the_right_one(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as refusal:
        call()
    assert words in str(refusal.value)


def test_likeness_of_two_pictures(radiograph: Any) -> None:
    noisy = np.clip(radiograph.array + np.random.default_rng(0).normal(0, 20, radiograph.array.shape), 0, 255)
    same = ms.evaluate("image_synthesis", (radiograph, radiograph))
    near = ms.evaluate("image_synthesis", (noisy, radiograph))
    mse = float(np.mean((noisy - radiograph.array.astype(float)) ** 2))
    assert same["ssim"] == pytest.approx(1)
    assert near["psnr"] == pytest.approx(10 * np.log10(float(np.ptp(radiograph.array)) ** 2 / mse), abs=0.05)
    assert near["ssim"] < 0.9
    with pytest.raises(InvalidValueError, match="differ in shape"):
        ms.evaluate("image_synthesis", (noisy[:-1], radiograph))


def test_structures_of_two_volumes() -> None:
    first, second = (
        ms.generate("volume_synthesis", volume_type="mri_brain", seed=seed, spacing_mm=[6, 6, 6]) for seed in (1, 1)
    )
    found = ms.evaluate("volume_synthesis", (first, second))
    assert set(found["anatomical_accuracy"]) == set(first.label_names)
    assert min(found["volume_similarity"].values()) == 1


def test_train_and_evaluate_the_segmentation(build: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("a", "b"):
        build.write_case(data, name)
    told: list[tuple[int, int]] = []
    weights = ms.train(
        "brain_tumor_segmentation", data, folder=tmp_path / "run", steps=2, initial_weights=None, device="cpu",
        patch_size=(32, 32, 32), validate_every=1, progress=lambda step, steps: told.append((step, steps)),
    )  # fmt: skip
    assert weights.is_file()
    assert told[-1] == (2, 2)
    figures = ms.evaluate("brain_tumor_segmentation", data, weights=weights, device="cpu", missing="t1")
    assert set(figures["cases"]) == {"a", "b"}
    assert 0 <= figures["cases"]["a"]["regions"]["WT"]["iou"] <= 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"validation": "c"}, "validation: c are no labelled cases"),
        ({"validation": ["b"]}, "hold the same images"),
        ({"speed": 3}, "speed: brain_tumor_segmentation has no such option"),
    ],
)
def test_wrong_trainings_are_refused_by_name(build: Any, tmp_path: Path, options: dict[str, Any], words: str) -> None:
    for name in ("a", "b"):
        build.write_case(tmp_path / "data", name)
    with pytest.raises(InvalidValueError) as refusal:
        ms.train("brain_tumor_segmentation", tmp_path / "data", folder=tmp_path / "run", steps=1, **options)
    assert words in str(refusal.value)
