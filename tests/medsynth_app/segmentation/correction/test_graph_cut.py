"""A stroke takes over what looks alike and is connected, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.segmentation.correction.graph_cut import CutConfiguration, correct
from medsynth_app.segmentation.correction.strokes import Strokes, no_strokes

SHAPE = (40, 40, 24)


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image (4, X, Y, Z): two bright cubes on dark ground; the network calls everything oedema with some doubt."""
    image = np.full((4, *SHAPE), 0.1, dtype=np.float32)
    image[:, 8:18, 8:18, 8:16] = 2.0
    image[:, 26:34, 26:34, 8:16] = 2.0
    image += np.random.default_rng(0).normal(0, 0.05, image.shape).astype(np.float32)
    probabilities = np.full((4, *SHAPE), 0.1, dtype=np.float32)
    probabilities[2] = 0.7
    return image, probabilities, np.full(SHAPE, 2, dtype=np.uint8)


def stroke(label: int, *boxes: tuple[slice, slice, slice]) -> Strokes:
    values = no_strokes(SHAPE)
    for box in boxes:
        values[box] = label
    return Strokes(values)


MIDDLE = (slice(11, 15), slice(13, 14), slice(12, 13))


def test_the_marked_cube_is_taken_and_its_twin_is_not() -> None:
    image, probabilities, labels = scene()
    found = correct(image, probabilities, labels, stroke(3, MIDDLE))
    cube = np.zeros(SHAPE, dtype=bool)
    cube[8:18, 8:18, 8:16] = True
    assert (found[cube] == 3).mean() > 0.95
    assert (found[~cube] == 3).mean() < 0.01
    assert set(np.unique(found)) == {2, 3}


def test_what_was_given_is_left_alone() -> None:
    image, probabilities, labels = scene()
    before = [a.copy() for a in (image, probabilities, labels)]
    correct(image, probabilities, labels, stroke(3, MIDDLE))
    for now, then in zip((image, probabilities, labels), before):
        assert np.array_equal(now, then)


def test_a_stroke_is_kept_even_where_everything_speaks_against_it() -> None:
    image, probabilities, labels = scene()
    marks = stroke(1, (slice(2, 3), slice(2, 3), slice(2, 3)))
    assert correct(image, probabilities, labels, marks)[2, 2, 2] == 1


def test_nothing_changes_beyond_reach() -> None:
    image, probabilities, labels = scene()
    found = correct(image, probabilities, labels, stroke(3, MIDDLE), CutConfiguration(reach_mm=2))
    places = np.argwhere(found != labels)
    distance = np.maximum(np.maximum(11 - places, places - [14, 13, 12]), 0)
    assert np.sqrt((distance**2).sum(axis=1)).max() <= 2.5


def test_only_labels_under_the_stroke_are_asked() -> None:
    image, probabilities, labels = scene()
    labels[8:18, 8:12, 8:16] = 1
    found = correct(image, probabilities, labels, stroke(3, MIDDLE))
    assert (found[labels == 1] == 1).all()


def test_a_stroke_that_confirms_changes_nothing() -> None:
    image, probabilities, labels = scene()
    assert np.array_equal(correct(image, probabilities, labels, stroke(2, MIDDLE)), labels)


def test_strokes_of_two_labels_work_at_once() -> None:
    image, probabilities, labels = scene()
    values = stroke(3, MIDDLE).values
    values[29:31, 30, 12] = 1
    found = correct(image, probabilities, labels, Strokes(values))
    assert (found[9:17, 9:17, 9:15] == 3).mean() > 0.95
    assert (found[27:33, 27:33, 9:15] == 1).mean() > 0.95


def test_another_stroke_takes_back() -> None:
    image, probabilities, labels = scene()
    once = correct(image, probabilities, labels, stroke(3, MIDDLE))
    again = correct(image, probabilities, once, stroke(2, MIDDLE))
    assert (again == 3).sum() < 0.05 * (once == 3).sum()


@pytest.mark.parametrize("label", [0, 1, 2, 3])
def test_a_blank_sequence_is_no_evidence(label: int) -> None:
    image, probabilities, labels = scene()
    image[1] = 0
    found = correct(image, probabilities, labels, stroke(label, MIDDLE))
    assert np.isin(found, (2, label)).all()


@pytest.mark.parametrize("seed", range(12))
def test_strokes_anywhere_are_kept_and_nothing_breaks(seed: int) -> None:
    """Outside of the brain, at the image's edge, in thin images: what is marked is set, the rest may stay."""
    chance = np.random.default_rng(seed)
    shape = tuple(int(side) for side in chance.integers(3, 40, 3))
    image = chance.standard_normal((4, *shape)).astype(np.float32)
    image[:, : shape[0] // 2] = 0
    probabilities = chance.dirichlet([1] * 4, shape).transpose(3, 0, 1, 2).astype(np.float32)
    labels = np.zeros(shape, np.uint8) if seed % 2 else chance.integers(0, 4, shape).astype(np.uint8)
    values = no_strokes(shape)
    for _ in range(3):
        values[tuple(int(chance.integers(0, side)) for side in shape)] = chance.integers(0, 4)
    after = correct(image, probabilities, labels, Strokes(values))
    marked = values >= 0
    np.testing.assert_array_equal(after[marked], values[marked])
