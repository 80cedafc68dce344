"""Figures of a generator that is good, and of ones that are bad in a known way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medsynth_app.benchmarks.compared_images import RealPictures, SyntheticSource
from medsynth_app.benchmarks.images import picture_quality, picture_utility
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.options import Option
from medsynth_app.synthesis.catalogue import CatalogueRow
from medsynth_app.synthesis.conditions import ConditionTable
from medsynth_app.synthesis.generator import GenerationRequest, ReportProgress, Synthetic, unheard
from medsynth_app.synthesis.weights import WeightsStore

CONDITIONS = ConditionTable((Option("modality", "ct", ""), Option("pathology", "normal", "")))


def lesion_picture(pathology: str, chance: np.random.Generator) -> np.ndarray:
    """A grey disc; with a bright spot where there is a haemorrhage."""
    grid = np.mgrid[-1:1:64j, -1:1:64j]
    picture = 90.0 * (np.hypot(*grid) < chance.uniform(0.75, 0.9))
    if pathology == "haemorrhage":
        place = chance.uniform(-0.3, 0.3, 2)[:, None, None]
        picture = picture + 140.0 * (np.hypot(*(grid - place)) < chance.uniform(0.2, 0.35))
    return np.clip(picture + chance.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)


class FakeGenerator:
    """Draws as the real ones are drawn, or without looking at what is asked for."""

    def __init__(self, obeys: bool) -> None:
        self.obeys = obeys
        self.made = 0

    def generate(self, request: GenerationRequest, progress: ReportProgress = unheard) -> Synthetic:
        self.made += 1
        wanted = str(request.conditions["pathology"]) if self.obeys else "normal"
        array = lesion_picture(wanted, np.random.default_rng(10_000 + request.seed))
        return Synthetic(array, None, SyntheticMark("fake", "1", request.seed, dict(request.conditions)))


def fake_source(obeys: bool, folder: Path | None = None) -> tuple[SyntheticSource, FakeGenerator]:
    generator = FakeGenerator(obeys)
    row = CatalogueRow("image_synthesis", "fake", "", CONDITIONS, lambda store: generator, is_picture=True)
    return SyntheticSource(row, WeightsStore(()), "ct", {}, folder), generator


def untold(what: str, share: float) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> RealPictures:
    root, chance = tmp_path_factory.mktemp("real"), np.random.default_rng(0)
    for pathology in ("normal", "haemorrhage"):
        (root / "ct" / pathology).mkdir(parents=True)
        for number in range(20):
            side = "held" if number < 8 else "kept"
            name = root / "ct" / pathology / f"{side}-{pathology}{number:02}.png"
            Image.fromarray(lesion_picture(pathology, chance)).save(name)
    return RealPictures.read(root, "ct", "ct/held")


def test_an_obedient_generator_is_near_the_floor_and_a_deaf_one_is_not(real: RealPictures) -> None:
    good, bad = (picture_quality(fake_source(obeys)[0], real, 16, 0, untold) for obeys in (True, False))
    assert good["pathologies"] == ["haemorrhage", "normal"]
    assert good["frechet"] < 1.5 * good["frechet_floor"] < bad["frechet"]
    assert good["adherence"]["synthetic"]["specificity"] > 0.9
    assert good["adherence"]["synthetic"]["sensitivity"]["haemorrhage"] > 0.9
    assert bad["adherence"]["synthetic"]["sensitivity"]["haemorrhage"] < 0.2
    assert "EfficientNet" in good["backbone"]
    assert good["seconds"] >= 0


def test_only_an_obedient_generator_teaches(real: RealPictures) -> None:
    good, bad = (
        picture_utility(fake_source(obeys)[0], real, "haemorrhage", 8, 1, untold) for obeys in (True, False)
    )
    assert good["auc_real"] > 0.9
    assert good["ratio"] > 0.9
    assert bad["ratio"] < good["ratio"]
    assert (good["pictures_a_class"], good["draws"]) == (8, 1)


def test_drawn_pictures_are_kept_for_a_run_that_was_stopped(tmp_path: Path) -> None:
    source, generator = fake_source(True, tmp_path)
    first = source.draw("normal", 3, 0, untold)
    assert generator.made == 3
    again = source.draw("normal", 5, 0, untold)
    assert generator.made == 5, "only what was missing is drawn"
    assert np.array_equal(first, again[:3])
    assert source.draw("normal", 2, 100, untold).shape == (2, 3, 128, 128)
    assert generator.made == 7, "other seeds are other pictures"


@pytest.mark.parametrize(
    ("pathology", "count", "complaint"),
    [("infarct", 5, "5 pictures of infarct .* has 0"), ("haemorrhage", 500, "count: 500 pictures of normal")],
)
def test_too_few_real_pictures_are_named(
    real: RealPictures, pathology: str, count: int, complaint: str
) -> None:
    with pytest.raises(InvalidValueError, match=complaint):
        picture_utility(fake_source(True)[0], real, pathology, count, 1, untold)


def test_too_few_pictures_for_two_halves_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "ct" / "normal"
    folder.mkdir(parents=True)
    for number in range(7):
        Image.new("L", (32, 32)).save(folder / f"{number}.png")
    with pytest.raises(InvalidValueError, match="has 7 pictures of ct, at least 8 are needed"):
        RealPictures.read(tmp_path, "ct")
