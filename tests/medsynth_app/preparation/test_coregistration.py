"""Where the reference lies in another series."""

from __future__ import annotations

from threading import Event
from typing import Any

import numpy as np
import pytest

from medsynth_app.cancellation import WorkCancelledError, cancelled_by
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.volume import Volume
from medsynth_app.preparation.coregistration import CoregistrationConfiguration, Reference, coregister
from medsynth_app.preparation.gates import check_coregistration

DEFAULT = CoregistrationConfiguration()


def brain_of(scanned: Any) -> Volume:
    return Volume(scanned.brain[None].astype(np.float32), scanned.volume.affine)


def landmark_errors(scanned: Any, other: Any, matrix: np.ndarray) -> np.ndarray:
    affine = scanned.volume.affine
    points = np.argwhere(scanned.brain)[::200] @ affine[:3, :3].T + affine[:3, 3]
    difference = matrix - other.motion @ np.linalg.inv(scanned.motion)
    return np.linalg.norm(points @ difference[:3, :3].T + difference[:3, 3], axis=1)


@pytest.fixture(scope="module")
def reference(scanner: Any) -> tuple[Any, Reference]:
    scanned = scanner.scan("t1ce", axes="PIR", seed=3)
    return scanned, Reference(scanned.volume, brain_of(scanned), DEFAULT)


@pytest.mark.parametrize(("modality", "turn", "shift"), [
    ("flair", (12.0, -6.0, 5.0), (5.0, -6.0, 4.0)),
    ("t2", (0.0, 0.0, 0.0), (60.0, 30.0, -20.0)),
])  # fmt: skip
def test_a_moved_thick_series_is_found(
    reference: tuple[Any, Reference], scanner: Any, modality: str, turn: Any, shift: Any
) -> None:
    scanned, levels = reference
    other = scanner.scan(modality, (2.5, 2.5, 6.0), rotation_deg=turn, shift_mm=shift, field_mm=330.0, seed=5)
    found = coregister(levels, other.volume)
    errors = landmark_errors(scanned, other, found.matrix)
    assert np.median(errors) < 1.0
    assert np.percentile(errors, 95) < 2.0
    gates = check_coregistration(modality, found, brain_of(scanned), other.volume)
    assert {g.name: g.outcome for g in gates if g.outcome == "refused"} == {}


def test_a_shared_frame_of_reference_is_kept_where_nothing_is_gained(
    reference: tuple[Any, Reference], scanner: Any
) -> None:
    _, levels = reference
    found = coregister(levels, scanner.scan("t1", (2.5, 2.5, 6.0), seed=6).volume, shared_frame=True)
    assert found.start == "header"
    np.testing.assert_array_equal(found.matrix, np.eye(4))


def test_a_patient_who_moved_within_a_shared_frame_is_followed(reference: tuple[Any, Reference], scanner: Any) -> None:
    scanned, levels = reference
    other = scanner.scan("t1", (2.5, 2.5, 6.0), rotation_deg=(5.0, 0.0, 0.0), shift_mm=(0.0, 4.0, 3.0), seed=6)
    found = coregister(levels, other.volume, shared_frame=True)
    assert np.median(landmark_errors(scanned, other, found.matrix)) < 1.0


def test_the_same_images_give_the_same_position(reference: tuple[Any, Reference], scanner: Any) -> None:
    _, levels = reference
    other = scanner.scan("flair", (2.5, 2.5, 6.0), shift_mm=(3.0, 0.0, 0.0)).volume
    first, second = (coregister(levels, other).matrix for _ in range(2))
    np.testing.assert_allclose(first, second, atol=0.1)


def test_noise_is_refused_by_name(reference: tuple[Any, Reference]) -> None:
    scanned, levels = reference
    noise = np.random.default_rng(1).normal(300, 60, (1, 80, 80, 40)).astype(np.float32)
    affine = np.diag([3.0, 3.0, 5.0, 1.0])
    affine[:3, 3] = [-120, -120, -100]
    other = Volume(noise, affine)
    gates = check_coregistration("t2", coregister(levels, other), brain_of(scanned), other)
    refused = [gate for gate in gates if gate.outcome == "refused"]
    assert "information" in {gate.name for gate in refused}
    assert refused[0].sentence.startswith("t2: ")


def test_a_series_that_shows_a_part_of_the_brain_is_told(scanner: Any, reference: tuple[Any, Reference]) -> None:
    scanned, levels = reference
    whole = scanner.scan("flair", (2.5, 2.5, 6.0), seed=7).volume
    low = whole.affine.copy()
    part = Volume(whole.array[..., :16], low)
    found = coregister(levels, part, shared_frame=True)
    overlap = next(g for g in check_coregistration("flair", found, brain_of(scanned), part) if g.name == "overlap")
    assert overlap.outcome in ("doubtful", "refused")
    assert overlap.value < 0.6


def test_an_empty_series_is_refused(reference: tuple[Any, Reference]) -> None:
    with pytest.raises(InvalidValueError, match="every voxel has the same value"):
        coregister(reference[1], Volume(np.full((1, 40, 40, 20), 7.0, np.float32), np.diag([4.0, 4.0, 6.0, 1.0])))


def test_cancelling_stops_it(reference: tuple[Any, Reference], scanner: Any) -> None:
    signal = Event()
    signal.set()
    with cancelled_by(signal), pytest.raises(WorkCancelledError):
        coregister(reference[1], scanner.scan("t2", (2.5, 2.5, 6.0)).volume)
