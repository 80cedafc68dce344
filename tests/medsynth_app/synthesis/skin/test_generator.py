"""The three tasks: same seed same bytes, marked files, errors of the contract."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medsynth_app.errors import InvalidValueError, MedSynthError, UnsupportedKindError
from medsynth_app.synthesis.generator import GenerationRequest, Synthetic
from medsynth_app.synthesis.skin.generator import (
    INVERSION_CONDITIONS,
    PROGRESSION_CONDITIONS,
    SYNTHESIS_CONDITIONS,
    SkinLesionInversion,
    SkinLesionProgression,
    SkinLesionSynthesis,
)
from medsynth_app.synthesis.skin.models import load_encoder, load_generator, save_generator
from medsynth_app.synthesis.stylegan2.network import Generator
from medsynth_app.synthesis.weights import WeightsStore
from medsynth_app.synthesis.writing import write_synthetic

from .conftest import picture_bytes


@pytest.fixture
def store(toy_folder: Path) -> WeightsStore:
    return WeightsStore((toy_folder,))


def _lesion(store: WeightsStore, seed: int = 3, **given: Any) -> Synthetic:
    return SkinLesionSynthesis(store).generate(GenerationRequest(seed, SYNTHESIS_CONDITIONS.parse(given)))


def _inverted(store: WeightsStore, image: Path, **given: Any) -> Synthetic:
    request = GenerationRequest(0, INVERSION_CONDITIONS.parse(given), image)
    return SkinLesionInversion(store).generate(request)


def _walked(store: WeightsStore, image: Path | None, **given: Any) -> Synthetic:
    request = GenerationRequest(0, PROGRESSION_CONDITIONS.parse(given), image)
    return SkinLesionProgression(store).generate(request)


def test_same_seed_same_bytes_and_another_seed_others(store: WeightsStore, tmp_path: Path) -> None:
    files = []
    for number, seed in enumerate((3, 3, 4)):
        write_synthetic(_lesion(store, seed), tmp_path / f"{number}.png")
        files.append((tmp_path / f"{number}.png").read_bytes())
    assert files[0] == files[1]
    assert files[0] != files[2]
    text = Image.open(io.BytesIO(files[0])).text
    assert json.loads(text["medsynth_synthetic"])["weights_hash"]


def test_class_and_truncation_change_the_picture(store: WeightsStore) -> None:
    def bytes_of(**given: Any) -> bytes:
        return _lesion(store, **given).array.tobytes()

    assert bytes_of(lesion_class="nevus") != bytes_of(lesion_class="melanoma")
    assert bytes_of(truncation=0.2) != bytes_of(truncation=1.0)


@pytest.mark.parametrize(("size", "kind"), [((100, 75), "PNG"), ((33, 400), "JPEG"), ((600, 450), "JPEG")])
def test_inversion_of_any_size(store: WeightsStore, tmp_path: Path, size: tuple[int, int], kind: str) -> None:
    path = tmp_path / "upload.jpg"
    path.write_bytes(picture_bytes(size, kind=kind))
    single, triple = _inverted(store, path), _inverted(store, path, picture="comparison")
    assert single.array.shape == (64, 64, 3)
    assert triple.array.shape[1] > 3 * 64
    assert single.facts["squared_error"] > 0
    assert "not LPIPS" in single.facts["perceptual_backbone"]


def test_refinement_comes_nearer(store: WeightsStore, photograph: Path) -> None:
    encoder_only, refined = (
        _inverted(store, photograph, refinement_steps=steps).facts["squared_error"] for steps in (0, 15)
    )
    assert refined < encoder_only


def test_padding_keeps_what_cropping_cuts(store: WeightsStore, tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    path.write_bytes(picture_bytes((200, 60)))
    cropped, padded = (_inverted(store, path, framing=framing).array for framing in ("crop", "pad"))
    assert not np.array_equal(cropped, padded)


def test_progression_answers_sheet_animation_and_record(store: WeightsStore, photograph: Path) -> None:
    result = _walked(store, photograph, steps=3, alpha_to=1.0, animation=True)
    facts = json.loads(json.dumps(result.facts))
    assert [step["alpha"] for step in facts["steps"]] == [0.0, 0.5, 1.0]
    assert facts["direction"] == "pigment_1"
    assert facts["simulation"].startswith("Visual simulation")
    wanted = {"melanoma_probability", "perceptual", "lesion_area", "change_inside", "change_outside"}
    assert set(facts["steps"][0]) >= wanted
    moving = Image.open(io.BytesIO(base64.b64decode(facts["animation"].partition(",")[2])))
    assert moving.n_frames >= 3
    assert len(result.frames) == 3
    curve = _walked(store, photograph, steps=3, picture="curve").array
    assert curve.shape != result.array.shape


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
    store: WeightsStore, tmp_path: Path, content: bytes, error: type[MedSynthError], message: str
) -> None:
    path = tmp_path / "upload.jpg"
    path.write_bytes(content)
    for task in (_inverted, _walked):
        with pytest.raises(error, match=message):
            task(store, path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alpha_to": 1e9}, "alpha_to: 1000000000.0 must be between -6 and 6"),
        ({"alpha_to": "far"}, "alpha_to: 'far' must be a number"),
        ({"alpha_to": 0}, "alpha_to: 0 must differ from alpha_from"),
        ({"steps": 1000}, "steps: 1000 must be between 2 and 33"),
        ({"direction": "age"}, "direction: 'age' is not known, allowed are pigment_1, border_1"),
        ({"refinement_steps": 10**9}, "refinement_steps"),
        ({"age": 40}, "age: is no condition of this generator"),
    ],
)
def test_bad_walks(store: WeightsStore, photograph: Path, given: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        _walked(store, photograph, **given)


def test_a_walk_needs_a_photograph(store: WeightsStore) -> None:
    with pytest.raises(InvalidValueError, match="file: a dermatoscopic photograph is needed"):
        _walked(store, None)


def test_without_weights_the_error_says_so(tmp_path: Path, photograph: Path) -> None:
    empty = WeightsStore((tmp_path,))
    for made in (
        lambda: _lesion(empty),
        lambda: _inverted(empty, photograph),
        lambda: _walked(empty, photograph),
    ):
        with pytest.raises(
            InvalidValueError, match="no weights 'skin_lesion_generator' on this server"
        ) as caught:
            made()
        assert caught.value.code == "weights_missing"


def test_weights_survive_the_disk(store: WeightsStore, toy_generator: Generator) -> None:
    read = load_generator(store).generator
    styles = toy_generator.w_mean[:1].unsqueeze(1).expand(1, 10, 16)
    difference = (read.synthesis(styles) - toy_generator.synthesis(styles)).abs().max()
    assert float(difference) < 0.02


def test_an_encoder_of_another_generator_is_refused(
    toy_folder: Path, tmp_path: Path, toy_generator: Generator
) -> None:
    save_generator(toy_generator, tmp_path, {"images": 1})
    store = WeightsStore((tmp_path, toy_folder))
    with pytest.raises(InvalidValueError, match="belong to another generator"):
        load_encoder(store, load_generator(store))


def test_damaged_weights_are_no_crash(tmp_path: Path) -> None:
    (tmp_path / "skin_lesion_generator.safetensors").write_bytes(np.random.default_rng(0).bytes(100))
    with pytest.raises(UnsupportedKindError, match="not a readable safetensors file"):
        load_generator(WeightsStore((tmp_path,)))
