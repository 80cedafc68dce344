"""``image_synthesis`` by StyleGAN2 from folder to picture: trained, stored, resumed, asked, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from medsynth_app.errors import InvalidValueError
from medsynth_app.options import parse_options
from medsynth_app.synthesis.generator import GenerationRequest, Synthetic
from medsynth_app.synthesis.measures.privacy import TrainingReference
from medsynth_app.synthesis.stylegan2.generator import sample_picture
from medsynth_app.synthesis.stylegan2.images.collection import PictureCollection
from medsynth_app.synthesis.stylegan2.images.generator import (
    PICTURE_CONDITIONS,
    StyleGAN2PictureGenerator,
)
from medsynth_app.synthesis.stylegan2.images.model import (
    WEIGHTS,
    PictureClasses,
    load_picture_model,
    save_picture_model,
)
from medsynth_app.synthesis.stylegan2.images.training import picture_configuration, train_picture_generator
from medsynth_app.synthesis.stylegan2.network import Generator, StyleGAN2Configuration
from medsynth_app.synthesis.trainers.images import TRAINER_OPTIONS, train_image_synthesis
from medsynth_app.synthesis.training.loop import TrainingProgress
from medsynth_app.synthesis.weights import WeightsStore, read_origin

OPTIONS: dict[str, Any] = {
    "modality": "", "validation": "", "framing": "crop", "resolution": 32, "batch_size": 4, "patience": 0, "seed": 0,
    "images": 24, "discriminator": "stylegan2", "guided_share": 0.0, "grow": False, "channel_base": 256,
    "path_length": 0.0, "store_every": 12, "mixed_precision": False,
}  # fmt: skip
CLASSES = ("chest_xray/normal", "chest_xray/pneumonia", "retina/normal")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark grey, bright grey and red squares with noise."""
    root, chance = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name, color in zip(CLASSES, ((60, 60, 60), (190, 190, 190), (190, 90, 60))):
        (root / name).mkdir(parents=True)
        for number in range(30):
            noise = chance.normal(0, 8, (40, 40, 1)) + np.array(color)
            picture = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
            picture.convert("RGB" if "retina" in name else "L").save(root / name / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    into = tmp_path_factory.mktemp("weights")
    reports: list[TrainingProgress] = []
    figures = train_picture_generator(folder, into / "run", OPTIONS, into, "cpu", reports.append)
    assert {"frechet", "kid"} <= set(figures)
    return into, figures


def _ask(into: Path, seed: int = 3, **conditions: Any) -> Synthetic:
    parsed = PICTURE_CONDITIONS.parse(conditions)
    return StyleGAN2PictureGenerator(WeightsStore((into,))).generate(GenerationRequest(seed, parsed))


def test_classes_and_colours_come_from_the_folder(folder: Path) -> None:
    collection = PictureCollection.read(folder, OPTIONS)
    assert collection.classes == PictureClasses(CLASSES, ("chest_xray",))
    assert collection.held_out is not None
    assert len(collection.training) + len(collection.held_out) == 90
    shown = list(collection.training.shown(collection.classes.grey))
    assert {picture.shape for picture in shown} == {(32, 32), (32, 32, 3)}


def test_training_leaves_weights_a_reference_and_grids(trained: tuple[Path, dict[str, Any]]) -> None:
    into, figures = trained
    assert figures["classes"] == list(CLASSES)
    assert figures["images"] == 24
    words, digest = read_origin(into / f"{WEIGHTS}.safetensors")
    assert digest == figures["weights_sha256"]
    assert "chest_xray/pneumonia" in words
    reference = TrainingReference.load(into / f"{WEIGHTS}-reference.safetensors")
    assert reference.embeddings.shape[1] == 48
    grids = sorted((into / "run" / "stylegan2").glob("samples_*.png"))
    assert [grid.name for grid in grids] == ["samples_0000012.png", "samples_0000024.png"]
    json.dumps(figures, allow_nan=False)


def test_a_second_call_goes_on_and_changes_nothing(
    folder: Path, trained: tuple[Path, dict[str, Any]]
) -> None:
    into, figures = trained
    asked = {**OPTIONS, "generator": "stylegan2"}
    again = train_image_synthesis(folder, into / "run", asked, into, "cpu", lambda progress: None)
    assert again == figures


def test_the_defaults_of_the_trainer_make_a_run() -> None:
    asked = parse_options(TRAINER_OPTIONS, {"generator": "stylegan2"})[0]
    configuration = picture_configuration(asked, PictureClasses(CLASSES), 500)
    assert configuration.network.resolution == 128
    assert configuration.growth[0] == (32, 0)
    assert configuration.guide is not None
    assert configuration.network.class_spreads
    assert configuration.groups == (0, 0, 1), "wrong classes are of the same modality"


def test_a_long_run_begins_like_a_longer_one_and_can_be_gone_on_with() -> None:
    def start(images: int) -> tuple[object, object]:
        asked = parse_options(TRAINER_OPTIONS, {"generator": "stylegan2", "images": images})[0]
        configuration = picture_configuration(asked, PictureClasses(CLASSES), 500)
        return configuration.growth, configuration.guide

    assert start(200_000) == start(1_000_000) != start(50_000)


def test_the_covariances_of_the_classes_are_stored_with_the_weights(tmp_path: Path) -> None:
    shape = StyleGAN2Configuration(
        resolution=32, classes=3, latent_size=8, style_size=8, channel_base=256, class_spreads=True
    )
    torch.manual_seed(0)
    generator = Generator(shape).eval()
    generator.mapping.spreads.copy_(torch.eye(7) * torch.tensor([4.0, 1, 0, 0, 0, 0, 0]))
    with torch.no_grad():
        for block in generator.synthesis.blocks:
            block.color.convolution.weight.mul_(10.0)
    save_picture_model(tmp_path / f"{WEIGHTS}.safetensors", generator, PictureClasses(CLASSES), "", {})
    read = load_picture_model(WeightsStore((tmp_path,))).generator
    made = sample_picture(read, 1, 0)
    close = np.abs(made.astype(int) - sample_picture(generator, 1, 0)).mean()
    read.mapping.spreads.copy_(torch.eye(7))
    without = np.abs(made.astype(int) - sample_picture(read, 1, 0)).mean()
    assert close < 1 < without, "half precision changes little, another covariance much"


def test_patience_ends_a_training(folder: Path, tmp_path: Path) -> None:
    # A learning of nothing: every comparison after the first may be worse or better, but one ends it.
    options = {**OPTIONS, "images": 400, "store_every": 4, "patience": 1}
    figures = train_picture_generator(folder, tmp_path, options, None, "cpu", lambda progress: None)
    assert figures["images"] < 400


def test_the_same_seed_gives_the_same_picture(trained: tuple[Path, dict[str, Any]]) -> None:
    into, figures = trained
    first, second, other = (_ask(into, seed, modality="chest_xray") for seed in (3, 3, 4))
    assert first.array.tobytes() == second.array.tobytes() != other.array.tobytes()
    assert first.array.shape == (32, 32)
    assert first.mark.weights_hash == figures["weights_sha256"]
    assert _ask(into, modality="retina").array.shape == (32, 32, 3)


def test_pathology_and_truncation_change_the_picture(trained: tuple[Path, dict[str, Any]]) -> None:
    into, _ = trained
    normal, ill = (
        _ask(into, modality="chest_xray", pathology=name).array for name in ("normal", "pneumonia")
    )
    assert (normal != ill).any()
    mean = [_ask(into, seed, modality="chest_xray", truncation=0).array.astype(int) for seed in (1, 2)]
    whole = [_ask(into, seed, modality="chest_xray", truncation=1).array.astype(int) for seed in (1, 2)]
    assert np.abs(mean[0] - mean[1]).mean() < np.abs(whole[0] - whole[1]).mean()


@pytest.mark.parametrize(
    ("conditions", "complaint"),
    [
        ({"modality": "retina", "pathology": "pneumonia"}, "pathology: 'pneumonia' is impossible in retina"),
        (
            {"modality": "mri"},
            "modality: 'mri' was not learned by these weights, possible are chest_xray, retina",
        ),
        ({"modality": "pet"}, "modality: 'pet' must be one of chest_xray"),
        ({"truncation": 1.5}, "truncation: 1.5 must be between 0 and 1"),
        ({"truncation": float("nan")}, "truncation: nan must be a number"),
        ({"severity": 0.5}, "severity: is no condition of this generator"),
    ],
)
def test_what_is_impossible_is_refused_by_name(
    trained: tuple[Path, dict[str, Any]], conditions: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InvalidValueError, match=complaint):
        _ask(trained[0], **conditions)


def test_no_weights_say_so() -> None:
    with pytest.raises(InvalidValueError, match="no weights") as caught:
        load_picture_model(WeightsStore(()))
    assert caught.value.code == "weights_missing"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"guided_share": 0.5}, "guided_share: needs more than 128 pictures, have 90"),
        ({"resolution": 48}, "resolution: 48 must be one of"),
        ({"batch_size": 3}, "batch_size: 3 must be even"),
    ],
)
def test_impossible_settings_are_named(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidValueError, match=complaint):
        picture_configuration({**OPTIONS, **change}, PictureClasses(CLASSES), 90)


def test_damaged_weights_are_named(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    content = (trained[0] / f"{WEIGHTS}.safetensors").read_bytes()
    (tmp_path / f"{WEIGHTS}.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(Exception, match="not a readable safetensors file"):
        load_picture_model(WeightsStore((tmp_path,)))
