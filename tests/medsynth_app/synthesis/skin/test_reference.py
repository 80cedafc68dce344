"""The reference that a training leaves for the memorisation audit: copies are found, no picture is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.privacy import (
    SIZE,
    audit_with_store,
    nearest,
    reference_name,
)
from medsynth_app.synthesis.skin.dataset import Lesions
from medsynth_app.synthesis.skin.models import GENERATOR
from medsynth_app.synthesis.skin.reference import store_reference
from medsynth_app.synthesis.weights import SHIPPED_FOLDER, WeightsStore, load_weights

TASKS = ("skin_lesion_synthesis", "skin_lesion_inversion", "skin_lesion_progression")


def pictures(seed: int, count: int) -> Lesions:
    """Blotches in colour, (count, 3, 32, 32)."""
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 255, (count, 3, 8, 8)).astype(np.uint8)
    names = np.arange(count).astype(str)
    return Lesions(coarse.repeat(4, axis=2).repeat(4, axis=3), np.zeros(count, np.int64), names, names)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("weights")
    store_reference(pictures(0, 20), pictures(1, 20), made)
    return made


def test_a_copy_is_flagged_and_a_new_picture_is_not(folder: Path) -> None:
    store = WeightsStore((folder,))

    def audited(lesions: Lesions, row: int) -> str:
        array = lesions.images[row].transpose(1, 2, 0)
        return audit_with_store(array, GENERATOR, store).status

    assert {audited(pictures(0, 20), row) for row in range(20)} == {"flagged"}
    assert [audited(pictures(2, 10), row) for row in range(10)].count("clear") >= 9


def test_one_copy_among_the_pictures_of_a_walk_speaks_for_all(folder: Path) -> None:
    store = WeightsStore((folder,))
    walk = [*pictures(2, 4).images, pictures(0, 1).images[0]]
    found = [audit_with_store(each.transpose(1, 2, 0), GENERATOR, store) for each in walk]
    assert nearest(found).status == "flagged"
    assert nearest(found[:-1]).status == "clear"


def test_the_file_holds_short_vectors_only(folder: Path) -> None:
    path = WeightsStore((folder,)).find(reference_name(GENERATOR))
    assert path is not None
    tensors = load_weights(path, "memorisation_reference").tensors
    assert tensors["embeddings"].shape == (20, SIZE)
    assert set(tensors) == {"embeddings", "held_out_distances"}


def test_too_few_held_out_pictures_leave_no_reference(tmp_path: Path) -> None:
    assert store_reference(pictures(0, 4), pictures(1, 2), tmp_path) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", TASKS)
def test_the_shipped_reference_belongs_to_every_task_of_the_course(task: str) -> None:
    row = CATALOGUE.row(task, "")
    reference = row.reference_of({})
    assert reference == GENERATOR
    path = WeightsStore().find(reference_name(reference))
    assert path is not None
    assert path.parent == SHIPPED_FOLDER
    assert path.stat().st_size < 1_000_000
    grey = np.full((128, 128, 3), 127, np.uint8)
    assert audit_with_store(grey, reference, WeightsStore()).distance is not None
