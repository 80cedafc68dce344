"""The three tasks: same seed same bytes, marked files, errors of the contract."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medsynth_app.errors import InvalidValueError, MedSynthError, NotFoundError, UnsupportedKindError
from medsynth_app.synthesis.skin.course import OPTIONS, SYNTHESIS, invert_picture, progress, synthesize
from medsynth_app.synthesis.skin.models import CourseModels, load_encoder, load_generator, save_generator
from medsynth_app.synthesis.stylegan2.network import Generator

from .conftest import picture_bytes


def test_same_seed_same_bytes_and_another_seed_others(toy_folder: Path) -> None:
    first, again, other = (synthesize(toy_folder, {"seed": seed}).first[1] for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_class_and_truncation_change_the_picture(toy_folder: Path) -> None:
    def picture(**params: object) -> bytes:
        return Image.open(io.BytesIO(synthesize(toy_folder, {"seed": 3, **params}).first[1])).tobytes()

    assert picture(lesion_class="nevus") != picture(lesion_class="melanoma")
    assert picture(truncation=0.2) != picture(truncation=1.0)


def test_the_file_says_that_it_is_synthetic(toy_folder: Path) -> None:
    answer = synthesize(toy_folder, {"seed": 3})
    text = Image.open(io.BytesIO(answer.first[1])).text
    assert text["Description"].startswith("SYNTHETIC MedSynth")
    record = json.loads(text["medsynth_synthetic"])
    assert record == json.loads(json.dumps(answer.facts["synthetic"]))
    assert record["weights_hash"]


@pytest.mark.parametrize(("size", "kind"), [((100, 75), "PNG"), ((33, 400), "JPEG"), ((600, 450), "JPEG")])
def test_inversion_of_any_size(toy_models: CourseModels, size: tuple[int, int], kind: str) -> None:
    answer = invert_picture(toy_models, picture_bytes(size, kind=kind), {"result": "comparison"})
    assert list(answer.files) == ["comparison.png", "reconstruction.png"]
    assert answer.facts["squared_error"] > 0
    assert "not LPIPS" in answer.facts["perceptual_backbone"]


def test_refinement_comes_nearer(toy_models: CourseModels) -> None:
    encoder_only, refined = (
        invert_picture(toy_models, picture_bytes(), {"refinement_steps": steps}).facts["squared_error"]
        for steps in (0, 15)
    )
    assert refined < encoder_only


def test_padding_keeps_what_cropping_cuts(toy_models: CourseModels) -> None:
    errors = {
        framing: invert_picture(toy_models, picture_bytes((200, 60)), {"framing": framing}).first[1]
        for framing in ("crop", "pad")
    }
    assert errors["crop"] != errors["pad"]


def test_progression_answers_sheet_animation_and_record(toy_models: CourseModels) -> None:
    answer = progress(toy_models, picture_bytes(), {"steps": 3, "alpha_to": 1.0, "result": "curve"})
    assert list(answer.files) == ["curve.png", "contact_sheet.png", "animation.gif", "progression.json"]
    record = json.loads(answer.files["progression.json"])
    assert [step["alpha"] for step in record["steps"]] == [0.0, 0.5, 1.0]
    assert record["direction"] == "pigment_1"
    assert record["simulation"].startswith("Visual simulation")
    assert set(record["steps"][0]) >= {
        "melanoma_probability", "perceptual", "lesion_area", "change_outside"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (picture_bytes(mode="L"), InvalidValueError, "image: is greyscale"),
        (picture_bytes((1, 1)), InvalidValueError, "image: 1 x 1 pixels are too few"),
        (picture_bytes(kind="JPEG")[:400], UnsupportedKindError, "image: "),
        (b"\xff\xd8\xff nonsense", UnsupportedKindError, "image: must be a PNG or JPEG"),
        (picture_bytes(kind="BMP"), UnsupportedKindError, "image: must be a PNG or JPEG"),
    ],
)
def test_bad_pictures(
    toy_models: CourseModels, content: bytes, error: type[MedSynthError], message: str
) -> None:
    for task in (invert_picture, progress):
        with pytest.raises(error, match=message):
            task(toy_models, content, {})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alpha_to": 1e9}, "alpha_to: 1000000000.0 must be between -6 and 6"),
        ({"alpha_to": "far"}, "alpha_to: 'far' must be a number"),
        ({"steps": 1000}, "steps: 1000 must be between 2 and 33"),
        ({"direction": "age"}, "direction: 'age' is not known"),
        ({"refinement_steps": 10**9}, "refinement_steps"),
    ],
)
def test_bad_walks(toy_models: CourseModels, params: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        progress(toy_models, picture_bytes(), params)


def test_unknown_options_are_warned_of(toy_folder: Path) -> None:
    assert synthesize(toy_folder, {"age": 40}).warnings == ["unknown option 'age' was ignored"]
    assert OPTIONS[SYNTHESIS][0].name == "seed"


def test_without_weights_the_error_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="medsynth train skin_lesion --stage gan") as caught:
        synthesize(tmp_path, {})
    assert caught.value.code == "no_weights"


def test_weights_survive_the_disk(toy_folder: Path, toy_generator: Generator) -> None:
    read, _ = load_generator(toy_folder)
    styles = toy_generator.w_mean[:1].unsqueeze(1).expand(1, 10, 16)
    difference = (read.synthesis(styles) - toy_generator.synthesis(styles)).abs().max()
    assert float(difference) < 0.02


def test_an_encoder_of_another_generator_is_refused(
    toy_folder: Path, tmp_path: Path, toy_generator: Generator
) -> None:
    save_generator(toy_generator, tmp_path, {"images": 1})
    (tmp_path / "encoder.safetensors").write_bytes((toy_folder / "encoder.safetensors").read_bytes())
    with pytest.raises(InvalidValueError, match="belong to another generator"):
        load_encoder(tmp_path, toy_generator)


def test_damaged_weights_are_no_crash(tmp_path: Path) -> None:
    (tmp_path / "generator.safetensors").write_bytes(np.random.default_rng(0).bytes(100))
    with pytest.raises(UnsupportedKindError, match="not a readable safetensors file"):
        load_generator(tmp_path)
