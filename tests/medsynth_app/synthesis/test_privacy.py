"""The memorisation audit finds copies and lets new images pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.privacy import (
    TrainingReference,
    audit,
    audit_with_store,
    embedding,
    reference_name,
)
from medsynth_app.synthesis.weights import WeightsStore


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
