"""``image_synthesis`` over the protocol: PNG answers, masks, refusals."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lib.infers.generator import GeneratorInferTask
from PIL import Image

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.provenance.marking import is_marked_synthetic
from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.weights import WeightsStore

MODALITIES = ["chest_xray", "ct", "mri", "mammography", "ultrasound", "retina"]


@pytest.fixture(scope="module")
def task() -> GeneratorInferTask:
    return GeneratorInferTask("image_synthesis", WeightsStore(()))


def ask(task: GeneratorInferTask, **params: Any) -> tuple[bytes, dict[str, Any]]:
    file, facts = task({"params": {"size": 64, **params}, "datastore": None, "image": "_"})
    assert is_marked_synthetic(Path(file))
    content = Path(file).read_bytes()
    Path(file).unlink()
    return content, facts


def test_viewers_are_shown_every_modality(task: GeneratorInferTask) -> None:
    config = task.info()["config"]
    assert config["modality"] == MODALITIES
    assert config["generator"][0] == "phantom"


def test_a_viewer_may_send_back_every_condition_it_was_shown(task: GeneratorInferTask) -> None:
    shown = {**task.info()["config"], "modality": "ct", "generator": "stylegan2"}
    with pytest.raises(InvalidValueError, match="no weights"):
        task({"params": shown, "datastore": None, "image": "_"})
    with pytest.raises(InvalidValueError, match="severity: is no condition of this generator"):
        task({"params": {**shown, "severity": 0.9}, "datastore": None, "image": "_"})


def test_where_generators_differ_viewers_are_shown_no_default(task: GeneratorInferTask) -> None:
    config = task.info()["config"]
    assert (config["severity"], config["age"], config["size"]) == ("", "", "")
    assert config["sex"] == ["", "female", "male"]
    for generator in ("phantom", "diffusion"):
        row = CATALOGUE.row("image_synthesis", generator)
        names = [record["name"] for record in row.conditions.described()]
        assert row.conditions.parse({name: config[name] for name in names}) == row.conditions.parse({})


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_answer_is_a_marked_png_that_a_seed_repeats(task: GeneratorInferTask, modality: str) -> None:
    (first, facts), (second, _), (other, _) = (
        ask(task, modality=modality, seed=seed) for seed in (7, "7", 8)
    )
    assert first == second != other
    picture = Image.open(io.BytesIO(first))
    assert (picture.format, picture.size) == ("PNG", (64, 64))
    assert (facts["generator"], facts["seed"], facts["pathology"]) == ("phantom", 7, "normal")


def test_the_mask_of_a_lesion(task: GeneratorInferTask) -> None:
    content, facts = ask(task, modality="mammography", pathology="mass", seed=1, result="label")
    mask = np.asarray(Image.open(io.BytesIO(content)))
    assert set(np.unique(mask)) == {0, 1}
    assert facts["label_names"] == {"lesion": 1}


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"modality": "pet"}, "modality: 'pet' must be one of"),
        ({"modality": "mri", "pathology": "pneumonia"}, "pathology: 'pneumonia' is impossible in mri"),
        ({"severity": 2}, "severity: 2 must be between 0 and 1"),
        ({"seed": "seven"}, "seed: 'seven' must be a whole number"),
        ({"seed": [1]}, r"seed: \[1\] must be a whole number"),
        ({"generator": "dalle"}, "generator: 'dalle' must be one of phantom"),
        ({"result": "label"}, "no label"),
    ],
)
def test_wrong_requests_are_refused_by_name(
    task: GeneratorInferTask, params: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InvalidValueError, match=complaint):
        ask(task, **params)


def test_diffusion_by_the_shipped_weights() -> None:
    """The same seed the same bytes, a mask of the lesion, an audit, and refusals by name."""
    task = GeneratorInferTask("image_synthesis", WeightsStore())
    asked = {"generator": "diffusion", "modality": "ct", "pathology": "haemorrhage", "steps": 2,
             "lesion_position": [0.4, 0.5]}  # fmt: skip
    (first, facts), (second, _), (other, _) = (ask(task, seed=seed, **asked) for seed in (7, 7, 8))
    assert first == second != other
    assert facts["synthetic"]["weights_hash"]
    assert facts["memorisation"]["status"] in ("clear", "flagged")
    mask = np.asarray(Image.open(io.BytesIO(ask(task, seed=7, result="label", **asked)[0])))
    assert set(np.unique(mask)) == {0, 1}
    with pytest.raises(InvalidValueError, match="pathology: 'tumour' is impossible in ct with these weights"):
        ask(task, **{**asked, "pathology": "tumour"})
    with pytest.raises(
        InvalidValueError, match="modality: the weights of diffusion have not learned mammography"
    ):
        ask(task, generator="diffusion", modality="mammography")
