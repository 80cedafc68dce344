"""Reading and splitting; the judge learns from it; every stage of the training ends in weights."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medsynth_app.errors import InvalidValueError, NotFoundError, UnsupportedKindError
from medsynth_app.options import parse_options
from medsynth_app.synthesis.skin.catalogue import TRAINER_OPTIONS, layers_of, train_stage
from medsynth_app.synthesis.skin.dataset import HELD_OUT_SHARE, is_held_out, read_lesions
from medsynth_app.synthesis.skin.judge_training import JudgeConfiguration
from medsynth_app.synthesis.skin.models import GENERATOR, CourseModels
from medsynth_app.synthesis.skin.training import (
    rank_directions,
    train_classifier,
    train_encoder,
    train_generator,
)
from medsynth_app.synthesis.stylegan2 import checkpoint_watch
from medsynth_app.synthesis.stylegan2.configuration import GuideConfiguration, TrainingConfiguration
from medsynth_app.synthesis.stylegan2.encoder_training import EncoderConfiguration
from medsynth_app.synthesis.stylegan2.network import StyleGAN2Configuration
from medsynth_app.synthesis.weights import WeightsStore, load_weights


def _png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 lesions with two pictures each; melanomas are larger and blue."""
    folder = tmp_path_factory.mktemp("ham")
    chance = np.random.default_rng(0)
    rows = []
    with (
        zipfile.ZipFile(folder / "pictures.zip", "w") as pictures,
        zipfile.ZipFile(folder / "masks.zip", "w") as masks,
    ):
        for number in range(80):
            melanoma, name = number // 2 % 2, f"ISIC_{number:04d}"
            rows.append((f"HAM_{number // 2}", name, "mel" if melanoma else "nv"))
            grid = np.hypot(*np.mgrid[-24:24, -32:32])
            disc = grid < (16 if melanoma else 9) + 3 * chance.random()
            color = (60, 60, 140) if melanoma else (120, 70, 50)
            picture = np.where(disc[..., None], color, (220, 170, 160)).astype(np.uint8)
            pictures.writestr(f"{name}.jpg", _png(picture))
            masks.writestr(f"{name}.png", _png(np.where(disc, 255, 0).astype(np.uint8)))
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["lesion_id", "image_id", "dx"])
        writer.writerows([*rows, ("HAM_9", "ISIC_x", "bkl")])
    return folder


def test_pictures_and_masks_are_square_and_fit(collection: Path) -> None:
    lesions = read_lesions(collection, 32, masks=True)
    assert lesions.images.shape == (80, 3, 32, 32)
    assert lesions.masks is not None
    assert np.bincount(lesions.labels).tolist() == [40, 40]
    dark = lesions.images.mean(axis=1) < 140
    assert (dark == lesions.masks).mean() > 0.98


def test_a_lesion_lies_on_one_side_of_the_split(collection: Path) -> None:
    training, held_out = read_lesions(collection, 32).split()
    assert not set(training.lesions) & set(held_out.lesions)
    assert len(training.images) + len(held_out.images) == 80
    share = np.mean([is_held_out(f"HAM_{number:07d}") for number in range(4000)])
    assert share == pytest.approx(HELD_OUT_SHARE, abs=0.02)


def test_one_picture_per_lesion(collection: Path) -> None:
    lesions = read_lesions(collection, 32).one_per_lesion()
    assert len(lesions.images) == len(set(lesions.lesions)) == 40


def test_all_stages_end_in_a_course(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_watch, "FEWEST_COMPARED", 2)
    lesions = read_lesions(collection, 32, masks=True)
    training, held_out = lesions.split()
    figures = train_classifier(JudgeConfiguration(epochs=2), training, held_out, tmp_path)
    assert figures["auc"] > 0.95
    assert figures["mask_dice"] > 0.5
    assert rank_directions(tmp_path) == []
    network = StyleGAN2Configuration(
        resolution=32,
        classes=2,
        latent_size=8,
        style_size=16,
        channel_base=256,
        channel_max=16,
        channel_min=8,
    )
    configuration = TrainingConfiguration(
        network=network, guide=GuideConfiguration(images=32), images=32, store_every=16
    )
    train_generator(configuration, training, tmp_path, held_out=held_out)
    assert len(list((tmp_path / "gan").glob("samples_*.png"))) == 2
    history = [json.loads(line) for line in (tmp_path / "gan" / "history.jsonl").read_text().splitlines()]
    assert {"kid", "kid_floor", "frechet", "frechet_floor"} <= set(history[-1])
    best = min(history, key=lambda entry: entry["frechet"])
    assert load_weights(tmp_path / "skin_lesion_generator.safetensors", GENERATOR).notes["frechet"] == best["frechet"]
    assert (tmp_path / "skin_lesion_generator-reference.safetensors").is_file()
    figures = train_encoder(EncoderConfiguration(images=16), training, held_out, tmp_path)
    assert figures["held_out_squared_error"] > 0
    ranked = rank_directions(tmp_path, count=3)
    assert len(ranked) == 4
    assert ranked[-1]["name"] == "melanoma", "the last one leads from class to class"
    models = CourseModels.load(WeightsStore((tmp_path,)))
    assert [direction.name for direction in models.directions] == [row["name"] for row in ranked]


def test_the_trainer_runs_a_stage_and_publishes(collection: Path, tmp_path: Path) -> None:
    options, _ = parse_options(
        TRAINER_OPTIONS, {"stage": "gan", "images": "8", "resolution": 32, "guided": False}
    )
    told: list[int] = []
    figures = train_stage(
        collection,
        tmp_path / "run",
        options,
        tmp_path / "shipped",
        lambda progress: told.append(progress.step),
    )
    assert figures["stage"] == "gan"
    assert (tmp_path / "shipped" / "skin_lesion_generator.safetensors").is_file()
    with pytest.raises(InvalidValueError, match="stage: 'all' must be one of gan, encoder, classifier"):
        parse_options(TRAINER_OPTIONS, {"stage": "all"})


@pytest.mark.parametrize(("text", "layers"), [("", ()), ("6", (6,)), ("4-7", (4, 5, 6, 7))])
def test_layers_of_directions_can_be_chosen(text: str, layers: tuple[int, ...]) -> None:
    assert layers_of(text) == layers


@pytest.mark.parametrize("text", ["7-4", "a", "4-", "-1", "1,2"])
def test_other_words_are_no_layers(text: str) -> None:
    with pytest.raises(InvalidValueError, match="direction_layers: .* must be like 4-11 or 6"):
        layers_of(text)


def test_missing_table_and_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="metadata.csv: is needed"):
        read_lesions(tmp_path, 32)
    (tmp_path / "metadata.csv").write_text("image_id,dx\na,nv\n")
    with pytest.raises(InvalidValueError, match="metadata.csv: lacks the columns lesion_id"):
        read_lesions(tmp_path, 32)
    (tmp_path / "metadata.csv").write_text("lesion_id,image_id,dx\nl,a,nv\n")
    with pytest.raises(NotFoundError, match="none of the table's pictures"):
        read_lesions(tmp_path, 32)
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(UnsupportedKindError, match="a.jpg: cannot be decoded"):
        read_lesions(tmp_path, 32)


def test_real_collection(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "skin"
    if not (folder / "metadata.csv").is_file():
        pytest.skip("no skin pictures on this machine")
    rows = (folder / "metadata.csv").read_text().splitlines()
    held_out = [row for row in rows[1:] if is_held_out(row.split(",")[0])]
    assert len({row.split(",")[0] for row in held_out}) >= 200
    (tmp_path / "metadata.csv").write_text("\n".join([rows[0], *rows[1:40]]))
    for archive in folder.glob("*.zip"):
        (tmp_path / archive.name).symlink_to(archive)
    lesions = read_lesions(tmp_path, 64, masks=True)
    assert lesions.masks is not None
    assert 0.05 < lesions.masks.mean() < 0.8
    luminance = lesions.images.mean(axis=1)
    assert luminance[lesions.masks].mean() < luminance[~lesions.masks].mean()
