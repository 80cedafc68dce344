"""The memorisation audit finds copies and lets new images pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.measures.privacy import (
    SIZE,
    TrainingReference,
    audit,
    audit_with_store,
    embedding,
    nearest,
    reference_name,
    store_reference,
)
from medsynth_app.synthesis.skin.models import GENERATOR
from medsynth_app.synthesis.weights import SHIPPED_FOLDER, WeightsStore, load_weights

COURSE_TASKS = ("skin_lesion_synthesis", "skin_lesion_inversion", "skin_lesion_progression")


def image(seed: int) -> np.ndarray:
    """A blurry ball with a texture of its own, (1, 24, 24, 24)."""
    generator = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 24)] * 3, indexing="ij"))
    texture = np.repeat(np.repeat(np.repeat(generator.normal(size=(6, 6, 6)), 4, 0), 4, 1), 4, 2)
    return (np.where((grid**2).sum(0) < 0.8, 400 + 100 * texture, 0))[None].astype(np.float32)


@pytest.fixture(scope="module")
def reference() -> TrainingReference:
    return TrainingReference.of(map(image, range(12)), map(image, range(100, 140)))


def test_a_noisy_copy_is_flagged(reference: TrainingReference) -> None:
    copy = image(3) * 1.2 + np.random.default_rng(0).normal(0, 5, (1, 24, 24, 24))
    found = audit(copy, reference)
    assert found.status == "flagged"
    assert not found.allows_storing
    assert found.percentile == 0.0


def test_a_new_image_passes(reference: TrainingReference) -> None:
    found = [audit(image(seed), reference) for seed in range(200, 230)]
    assert sum(each.status == "clear" for each in found) >= 27


def test_the_reference_survives_its_file(reference: TrainingReference, tmp_path: Path) -> None:
    reference.save(tmp_path / f"{reference_name('net')}.safetensors")
    store = WeightsStore((tmp_path,))
    assert audit_with_store(image(3), "net", store).status == "flagged"
    others = [audit_with_store(image(i), "net", store).status for i in range(300, 310)]
    assert others.count("clear") >= 5
    assert audit_with_store(image(3), "other", store).status == "unavailable"
    assert audit_with_store(image(3), None, store).status == "not_applicable"


def test_too_few_held_out_images_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="held_out_distances: of at least 3"):
        TrainingReference.of(map(image, range(3)), [image(9)])


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 3), (2, 20, 30, 40)])
def test_every_kind_of_image_has_an_embedding_of_length_one(shape: tuple[int, ...]) -> None:
    vector = embedding(np.random.default_rng(0).uniform(0, 255, shape))
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


def blotches(seed: int, count: int) -> np.ndarray:
    """Colour pictures (count, 32, 32, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 255, (count, 8, 8, 3)).astype(np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> WeightsStore:
    """The reference of a training on pictures."""
    folder = tmp_path_factory.mktemp("weights")
    stored = store_reference(folder / "net.safetensors", blotches(0, 20), blotches(1, 20))
    assert stored == folder / f"{reference_name('net')}.safetensors"
    return WeightsStore((folder,))


def test_a_copied_picture_is_flagged_and_a_new_one_is_not(pictures: WeightsStore) -> None:
    assert {audit_with_store(each, "net", pictures).status for each in blotches(0, 20)} == {"flagged"}
    assert [audit_with_store(each, "net", pictures).status for each in blotches(2, 10)].count("clear") >= 9


def test_one_copy_among_the_pictures_of_a_walk_speaks_for_all(pictures: WeightsStore) -> None:
    found = [audit_with_store(each, "net", pictures) for each in (*blotches(2, 4), blotches(0, 1)[0])]
    assert nearest(found).status == "flagged"
    assert nearest(found[:-1]).status == "clear"


def test_the_file_holds_short_vectors_only(pictures: WeightsStore) -> None:
    path = pictures.find(reference_name("net"))
    assert path is not None
    tensors = load_weights(path, "memorisation_reference").tensors
    assert tensors["embeddings"].shape == (20, SIZE)
    assert set(tensors) == {"embeddings", "held_out_distances"}


def test_too_few_held_out_images_leave_no_reference_and_take_an_old_one_away(tmp_path: Path) -> None:
    weights = tmp_path / "net.safetensors"
    assert store_reference(weights, blotches(0, 4), blotches(1, 3)) is not None
    assert store_reference(weights, blotches(0, 4), blotches(1, 2)) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", COURSE_TASKS)
def test_the_shipped_reference_belongs_to_every_task_of_the_skin_course(task: str) -> None:
    reference = CATALOGUE.row(task, "").reference_of({})
    assert reference == GENERATOR
    path = WeightsStore().find(reference_name(reference))
    assert path is not None
    assert path.parent == SHIPPED_FOLDER
    assert path.stat().st_size < 1_000_000
    grey = np.full((128, 128, 3), 127, np.uint8)
    assert audit_with_store(grey, reference, WeightsStore()).distance is not None
