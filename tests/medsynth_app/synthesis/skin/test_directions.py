"""SeFa: orthonormal, sorted, and the largest change among all directions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.skin.directions import (
    PROPERTIES,
    class_direction,
    ranked_directions,
    semantic_directions,
)
from medsynth_app.synthesis.skin.judge import LesionJudge
from medsynth_app.synthesis.stylegan2.network import Generator, StyleGAN2Configuration


def test_directions_are_orthonormal_and_sorted(toy_generator: Generator) -> None:
    vectors, values = semantic_directions(toy_generator, (2, 3, 4, 5), 16)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(16), atol=1e-10)
    assert (np.diff(values) <= 1e-12).all()


def test_the_first_direction_moves_the_styles_most(toy_generator: Generator) -> None:
    vectors, values = semantic_directions(toy_generator, (3,), 16)
    matrix = toy_generator.synthesis.style_affines()[3].double()
    matrix = (matrix / matrix.norm(dim=1, keepdim=True)).numpy()
    assert np.linalg.norm(matrix @ vectors[0]) == pytest.approx(values[0])
    others = np.random.default_rng(0).normal(size=(200, 16))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    assert np.linalg.norm(others @ matrix.T, axis=1).max() < values[0]


def test_layers_choose_what_is_factorised(toy_generator: Generator) -> None:
    early, late = (semantic_directions(toy_generator, layers, 1)[0][0] for layers in ((0, 1), (8, 9)))
    assert abs(float(early @ late)) < 0.99


@pytest.mark.parametrize(
    ("layers", "count", "message"),
    [
        ((), 2, "layers: \\[\\]"),
        ((10,), 2, "must be numbers from 0 to 9"),
        ((1,), 17, "count: 17 must be between"),
    ],
)
def test_impossible_choices_are_named(
    toy_generator: Generator, layers: tuple[int, ...], count: int, message: str
) -> None:
    with pytest.raises(InvalidValueError, match=message):
        semantic_directions(toy_generator, layers, count)


def test_ranked_by_the_classifier_and_named_by_what_changes(
    toy_generator: Generator, toy_judge: LesionJudge
) -> None:
    found = ranked_directions(toy_generator, toy_judge, (2, 3, 4), count=4, samples=4)
    slopes = [direction.melanoma_slope for direction in found]
    assert slopes == sorted(slopes, reverse=True)
    assert slopes[-1] >= 0
    assert len({direction.name for direction in found}) == 4
    for direction in found:
        largest = max(PROPERTIES, key=lambda name: abs(direction.effects[name]))
        assert direction.name.startswith(largest)


def test_from_class_to_class_is_a_direction_of_its_own(toy_generator: Generator, toy_judge: LesionJudge) -> None:
    """It leads from each latent's nevus towards its melanoma, whatever the judge thinks of it."""
    direction = class_direction(toy_generator, toy_judge, samples=4)
    assert direction.name == "melanoma"
    assert direction.layers == tuple(range(10))
    latent = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
    nevus, melanoma = (toy_generator.styles(latent, torch.full((64,), number)) for number in (0, 1))
    way = melanoma - nevus
    added = direction.offset(float(way[:, 0].mean(dim=0).norm()) / direction.scale, 10)
    assert float((way - added).square().mean()) < 0.9 * float(way.square().mean())
    with pytest.raises(InvalidValueError, match="classes: 0"):
        class_direction(Generator(StyleGAN2Configuration(resolution=32, latent_size=8, style_size=16)), toy_judge)


def test_offset_touches_only_its_layers(toy_generator: Generator, toy_judge: LesionJudge) -> None:
    (direction, *_) = ranked_directions(toy_generator, toy_judge, (2, 4), count=2, samples=2)
    offset = direction.offset(1.5, 10)
    assert (offset.abs().sum(dim=1) > 0).tolist() == [layer in (2, 4) for layer in range(10)]
    torch.testing.assert_close(offset[2].norm(), torch.tensor(1.5 * direction.scale))
