"""Foci that took up no contrast agent are not called enhancing."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.segmentation.enhancement import contrast_uptake, without_unproven_enhancement

SHAPE = (48, 48, 48)
TUMOR = (slice(10, 40),) * 3
FIRST, SECOND = (slice(14, 20),) * 3, (slice(28, 34),) * 3


def brain(first: float, second: float, coil: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, T1 and T1ce of a tumour with two enhancing foci that took up so much, in healthy deviations.

    ``coil`` brightens the whole tumour in T1ce, as a receiving coil near it would.
    """
    random = np.random.default_rng(0)
    t1 = random.normal(size=SHAPE).astype(np.float32)
    t1ce = (0.7 * t1 + 0.1 + 0.5 * random.normal(size=SHAPE)).astype(np.float32)
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[TUMOR] = 2
    labels[FIRST] = labels[SECOND] = 3
    t1ce[TUMOR] += 0.5 * coil
    t1ce[FIRST] += 0.5 * first
    t1ce[SECOND] += 0.5 * second
    return labels, t1, t1ce


def test_the_focus_without_uptake_becomes_core() -> None:
    labels, t1, t1ce = brain(first=2.0, second=0.0)
    found = without_unproven_enhancement(labels, t1, t1ce, 0.8)
    assert (found[FIRST] == 3).all()
    assert (found[SECOND] == 1).all()
    assert (found[labels == 2] == 2).all()
    assert (labels[SECOND] == 3).all(), "the labels that came in are left alone"


def test_a_coil_that_brightens_the_whole_tumour_is_no_uptake() -> None:
    labels, t1, t1ce = brain(first=2.0, second=0.0, coil=4.0)
    found = without_unproven_enhancement(labels, t1, t1ce, 0.8)
    assert (found[FIRST] == 3).all()
    assert (found[SECOND] == 1).all()


def test_an_enhancing_focus_alone_is_compared_with_healthy_tissue() -> None:
    labels, t1, t1ce = brain(first=2.0, second=0.0)
    labels[labels == 2] = 0
    found = without_unproven_enhancement(labels, t1, t1ce, 0.8)
    assert (found[FIRST] == 3).all()
    assert (found[SECOND] == 1).all()


@pytest.mark.parametrize("change", ["off", "no T1", "no healthy tissue"])
def test_nothing_is_changed_where_nothing_can_be_tested(change: str) -> None:
    labels, t1, t1ce = brain(first=0.0, second=0.0)
    if change == "no T1":
        t1[:] = 0
    if change == "no healthy tissue":
        labels[labels == 0] = 2
    found = without_unproven_enhancement(labels, t1, t1ce, 0.0 if change == "off" else 0.8)
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize(
    ("place", "uptake", "core", "kept"),
    [
        ("border", 8.0, False, False),
        ("border", 3.0, False, True),
        ("border", 8.0, True, True),
        ("inside", 8.0, False, True),
        ("small tumour", 8.0, False, True),
    ],
    ids=["a vessel", "less bright than blood", "beside necrosis", "within the tumour", "most of the tumour"],
)
def test_only_what_looks_like_a_vessel_is_taken_for_one(place: str, uptake: float, core: bool, kept: bool) -> None:
    labels, t1, t1ce = brain(first=0.0, second=0.0)
    labels[labels == 3] = 2
    if place == "small tumour":
        labels[16:, :, :] = 0
    focus = (slice(20, 24),) * 3 if place == "inside" else (slice(7, 11), slice(16, 24), slice(16, 24))
    labels[focus] = 3
    t1ce[focus] += 0.5 * uptake
    if core:
        labels[11:13, 16:24, 16:24] = 1
    found = without_unproven_enhancement(labels, t1, t1ce, 0.8, 5.0)
    assert (found[focus] == (3 if kept else 0)).all()
    outside = np.ones(SHAPE, bool)
    outside[focus] = False
    np.testing.assert_array_equal(found[outside], labels[outside])


def test_uptake_is_measured_in_deviations_of_healthy_tissue() -> None:
    labels, t1, t1ce = brain(first=3.0, second=1.0)
    uptake = contrast_uptake(t1, 5 * t1ce + 2, labels == 0)
    assert uptake is not None
    assert float(np.median(uptake[FIRST])) == pytest.approx(3.0, abs=0.2)
    assert float(np.median(uptake[SECOND])) == pytest.approx(1.0, abs=0.2)
    assert contrast_uptake(t1, np.zeros_like(t1), labels == 0) is None
