"""``image_synthesis`` with ``generator=stylegan2`` over the protocol, on small weights put where training puts them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import torch
from PIL import Image

from medsynth_app.imaging.provenance.marking import is_marked_synthetic
from medsynth_app.synthesis.stylegan2.images.model import WEIGHTS, PictureClasses, save_picture_model
from medsynth_app.synthesis.stylegan2.network import Generator, StyleGAN2Configuration

CLASSES = PictureClasses(("chest_xray/normal", "chest_xray/pneumonia", "retina/normal"), ("chest_xray",))


@pytest.fixture(scope="module", autouse=True)
def weights(served: Any) -> Iterator[None]:
    """An untrained network that knows three classes."""
    torch.manual_seed(0)
    shape = StyleGAN2Configuration(32, classes=3, latent_size=8, style_size=8, channel_base=256, channel_max=16)
    path = served.model_folder / "synthesis" / f"{WEIGHTS}.safetensors"
    save_picture_model(path, Generator(shape), CLASSES, "nothing", {})
    yield
    path.unlink()


def ask(served: Any, **params: Any) -> requests.Response:
    answer: requests.Response = served.request(
        "POST", "/infer/image_synthesis", params={"image": "_", "output": "image"},
        data={"params": json.dumps({"generator": "stylegan2", "modality": "chest_xray", **params})},
    )  # fmt: skip
    return answer


def test_a_seed_repeats_a_picture_to_the_byte(served: Any, tmp_path: Path) -> None:
    first, second, other = (ask(served, seed=seed) for seed in (7, 7, 8))
    assert first.status_code == 200, first.text
    assert first.content == second.content != other.content
    (tmp_path / "picture.png").write_bytes(first.content)
    assert Image.open(tmp_path / "picture.png").mode == "L"
    assert is_marked_synthetic(tmp_path / "picture.png")


def test_pathology_and_truncation_matter(served: Any) -> None:
    plain = ask(served, seed=7).content
    assert ask(served, seed=7, pathology="pneumonia").content != plain
    assert ask(served, seed=7, truncation=0.1).content != plain


def test_the_catalogue_knows_what_the_weights_have_learned(served: Any) -> None:
    rows = served.get("/medsynth/api/synthesis").json()["generators"]
    row = next(r for r in rows if (r["task"], r["generator"]) == ("image_synthesis", "stylegan2"))
    ready = {kind["kind"]: kind["ready"] for kind in row["kinds"]}
    assert ready["chest_xray"]
    assert ready["retina"]
    assert not ready["mammography"]


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"modality": "retina", "pathology": "pneumonia"}, "pathology: 'pneumonia' is impossible in retina"),
        ({"modality": "mammography"}, "modality: 'mammography' was not learned"),
        ({"modality": "pet"}, "modality: 'pet' must be one of"),
        ({"seed": -1}, "seed: -1 must be between 0 and"),
        ({"seed": "seven"}, "seed: 'seven' must be a whole number"),
        ({"truncation": 2}, "truncation: 2 must be between 0 and 1"),
        ({"severity": 0.9}, "severity: is no condition of this generator"),
    ],
)
def test_what_is_impossible_is_refused_by_name(
    served: Any, nothing_written: None, params: dict[str, Any], complaint: str
) -> None:
    answer = ask(served, **params)
    assert answer.status_code == 422
    assert complaint in answer.json()["detail"]
    assert answer.json()["code"]
