"""Registration on heads whose true place is known: the template itself, tilted, scaled, flipped."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, map_coordinates

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.atlas.atlas import atlas_brain, load_atlas
from medsynth_app.imaging.atlas.registration import (
    BRATS_TO_MNI,
    QualityGates,
    Registration,
    RegistrationConfiguration,
    _share_outside,
    register_to_atlas,
)
from medsynth_app.imaging.atlas.template import BRATS_SHAPE, load_t1_template
from medsynth_app.imaging.geometry import reorient, resample
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.volume import Volume

QUICK = RegistrationConfiguration(fine_spacing_mm=4.0, coarse_spacing_mm=8.0)
"""Half the resolution of the real setting: a second instead of five, and still within a millimetre here."""

MNI_POINTS = np.array([[0, 0, 0], [40, -20, 30], [-40, -20, 30], [0, 50, 0], [0, -90, 10], [30, -10, -30.0]])


def true_matrix(pitch_deg: float, scale: float = 0.92) -> np.ndarray:
    """Patient RAS mm -> MNI RAS mm of a head that is tilted, smaller than the template and elsewhere."""
    c, s = np.cos(np.radians(pitch_deg)), np.sin(np.radians(pitch_deg))
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) / scale
    matrix[:3, 3] = (6.0, -4.0, 9.0)
    return matrix


@lru_cache(maxsize=4)
def head(pitch_deg: float = 12.0) -> Volume:
    """The template as a patient: (1, 72, 84, 72), 3 mm, axes to L, P, S as in BraTS, background 0."""
    matrix = true_matrix(pitch_deg)
    shape = (72, 84, 72)
    back = np.linalg.inv(matrix)
    center = back[:3, :3] @ (0, -18, 8) + back[:3, 3]
    affine = np.diag([-3.0, -3.0, 3.0, 1.0])
    affine[:3, 3] = center - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    sampled = 255 * resample(load_t1_template(), matrix @ affine, shape).array
    return Volume(np.where(sampled > 15, sampled, 0).round(), affine)


@lru_cache(maxsize=1)
def registered() -> Registration:
    """The plain case, once for all tests that only look at it."""
    return register_to_atlas(head(), None, QUICK)


def worst_error_mm(registration: Registration, matrix: np.ndarray) -> float:
    """Largest distance between where MNI points are and where the registration puts them."""
    patient = (MNI_POINTS - matrix[:3, 3]) @ np.linalg.inv(matrix[:3, :3]).T
    return float(np.linalg.norm(registration.to_mni(patient) - MNI_POINTS, axis=1).max())


def ball(volume: Volume, mni_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    """(X, Y, Z) bool: a ball around an MNI point, drawn on the plain head's grid."""
    index = np.stack(np.meshgrid(*map(np.arange, volume.spatial_shape), indexing="ij"), axis=-1)
    affine = true_matrix(12.0) @ volume.affine
    return np.linalg.norm(index @ affine[:3, :3].T + affine[:3, 3] - mni_mm, axis=-1) <= radius_mm


def test_a_known_pose_is_found_within_two_millimetres() -> None:
    result = registered()
    assert worst_error_mm(result, true_matrix(12.0)) < 2.0
    assert result.assessable
    assert result.reasons == ()
    assert result.side_known


def test_a_strongly_tilted_head_is_found() -> None:
    result = register_to_atlas(head(-30.0), None, QUICK)
    assert worst_error_mm(result, true_matrix(-30.0)) < 2.0


def test_the_same_seed_gives_the_same_answer_on_any_number_of_threads() -> None:
    again = register_to_atlas(head(), None, replace(QUICK, threads=1))
    np.testing.assert_allclose(again.matrix, registered().matrix, atol=1e-6)


def test_storage_order_does_not_matter() -> None:
    result = register_to_atlas(reorient(head(), ("P", "S", "R")), None, QUICK)
    np.testing.assert_allclose(result.matrix, registered().matrix, atol=1e-6)


def test_the_input_stays_as_it_was() -> None:
    volume = head()
    before = volume.array.copy()
    register_to_atlas(volume, None, QUICK)
    np.testing.assert_array_equal(volume.array, before)


def test_atlas_labels_come_to_the_patients_grid(tmp_path: Path) -> None:
    atlas = load_atlas(tmp_path)
    labels = registered().labels_on_patient_grid(atlas)
    assert labels.shape == head().spatial_shape
    for code, side, mni_mm in (("THAL", "right", (12, -18, 8)), ("INS", "left", (-38, 2, 0))):
        label = atlas.label_of[code, side]  # type: ignore[index]
        places = np.argwhere(labels == label) @ head().affine[:3, :3].T + head().affine[:3, 3]
        center = registered().to_mni(places).mean(axis=0)
        own = np.argwhere(atlas.labels == label).mean(axis=0) * 2 + atlas.affine[:3, 3]
        assert np.linalg.norm(center - own) < 2.0
        assert np.linalg.norm(center - mni_mm) < 12.0


def test_the_template_comes_to_the_patients_grid() -> None:
    drawn = registered().template_on_patient_grid()
    inside = head().array[0] > 0
    assert np.corrcoef(drawn[inside], head().array[0][inside])[0, 1] > 0.9


@pytest.mark.parametrize("flipped", ["y", "z", "xy", "xz", "yz"])
def test_wrong_axes_are_not_assessable(flipped: str) -> None:
    axes = ["xyz".index(letter) + 1 for letter in flipped]
    array = np.flip(head().array, axes) if len(axes) == 1 else head().array.swapaxes(*axes)
    result = register_to_atlas(Volume(np.ascontiguousarray(array), head().affine), None, QUICK)
    assert not result.assessable
    assert any("axes are flipped or swapped" in reason for reason in result.reasons)


def test_a_left_right_flip_cannot_be_seen_and_mirrors_the_answer() -> None:
    result = register_to_atlas(Volume(np.flip(head().array, 1).copy(), head().affine), None, QUICK)
    assert result.assessable
    assert worst_error_mm(result, true_matrix(12.0)) < 2.0


def test_a_made_up_header_leaves_the_side_unknown_but_assessable() -> None:
    affine = np.diag([-3.0, -3.0, 3.0, 1.0])
    result = register_to_atlas(Volume(head().array, affine), None, QUICK)
    assert result.assessable
    assert not result.side_known


def test_a_bright_tumor_does_not_move_the_answer_when_masked() -> None:
    tumor = ball(head(), (-35, 20, 20), 25)
    array = head().array.copy()
    array[0][tumor] = 250.0
    result = register_to_atlas(Volume(array, head().affine), tumor, QUICK)
    assert worst_error_mm(result, true_matrix(12.0)) < 3.0
    assert {gate.name: gate.value for gate in result.gates}["mask_outside"] < 0.01


def test_a_mask_outside_the_brain_is_not_assessable() -> None:
    tumor = np.zeros(head().spatial_shape, bool)
    tumor[1:4, 1:4, 1:4] = True
    result = register_to_atlas(head(), tumor, QUICK)
    assert [gate.name for gate in result.gates if not gate.passed] == ["mask_outside"]
    assert "mask_outside is 1, allowed is at most 0.05" in result.reasons[0]


@pytest.mark.parametrize(("tolerance_mm", "outside"), [(4.0, 0.0), (0.0, 1.0)])
def test_a_mask_that_bulges_a_few_millimetres_is_tolerated(tolerance_mm: float, outside: float) -> None:
    brain, affine = atlas_brain()
    beyond = binary_dilation(brain) & ~brain
    volume = Volume(brain[None].astype(np.float32), affine)
    assert _share_outside(volume, beyond, np.eye(4), None, tolerance_mm) == outside


def test_an_image_that_is_no_head_is_not_assessable() -> None:
    index = np.indices(head().spatial_shape)
    cube = ((index > 15) & (index < 55)).all(axis=0).astype(float)
    result = register_to_atlas(Volume(cube[None], head().affine), None, QUICK)
    assert not result.assessable


def test_a_head_with_its_skull_is_named_as_such() -> None:
    filled = Volume(np.where(head().array > 0, head().array, 7.0), head().affine)
    array = filled.array.copy()
    for axis in range(1, 4):
        array[(slice(None),) * axis + ([0, -1],)] = 0
    result = register_to_atlas(Volume(array, filled.affine), None, QUICK)
    assert any("strip the skull first" in reason for reason in result.reasons)


def test_an_image_whose_time_is_over_is_refused_by_name() -> None:
    with pytest.raises(InvalidValueError, match="no answer within 0 seconds") as caught:
        register_to_atlas(head(), None, replace(QUICK, time_limit_seconds=0.0))
    assert caught.value.code == "registration_timeout"


@pytest.mark.parametrize("limit_seconds", [0.0, 0.2])
def test_a_brats_image_whose_time_is_over_is_laid_by_the_fixed_affine(limit_seconds: float) -> None:
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[1, 3] = 239.0
    sampled = 255 * resample(load_t1_template(), BRATS_TO_MNI @ affine, BRATS_SHAPE).array
    volume = Volume(np.where(sampled > 15, sampled, 0).round(), affine)
    result = register_to_atlas(volume, None, replace(QUICK, time_limit_seconds=limit_seconds))
    assert result.timed_out
    assert result.assessable, result.reasons
    np.testing.assert_allclose(result.matrix, BRATS_TO_MNI, atol=1e-6)


def test_gates_are_configuration() -> None:
    strict = replace(QUICK, gates=QualityGates(determinant_range=(0.9, 1.1)))
    result = register_to_atlas(head(), None, strict)
    assert "determinant is 1.2" in result.reasons[0]
    assert "allowed is 0.9 to 1.1" in result.reasons[0]


def test_demons_follow_a_local_push() -> None:
    index = np.stack(np.meshgrid(*map(np.arange, head().spatial_shape), indexing="ij"), axis=-1).astype(float)
    center = np.argwhere(ball(head(), (-35, 20, 20), 10)).mean(axis=0)
    push = 3.0 * np.exp(-((index - center) ** 2).sum(axis=-1) / 200.0)
    coordinates = np.moveaxis(index, -1, 0).copy()
    coordinates[1] += push
    pushed = Volume(map_coordinates(head().array[0], coordinates, order=1)[None], head().affine)
    results = [
        register_to_atlas(pushed, None, replace(QUICK, deformable=deformable))
        for deformable in (False, True)
    ]
    assert results[0].displacement is None
    inside = pushed.array[0] > 0
    affine, deformed = (
        np.corrcoef(result.template_on_patient_grid()[inside], pushed.array[0][inside])[0, 1]
        for result in results
    )
    assert deformed > affine


@pytest.mark.parametrize(
    ("volume", "mask", "message"),
    [
        (Volume(np.zeros((2, 8, 8, 8)), np.eye(4)), None, "volume: must have one channel, has 2"),
        (Volume(np.zeros((1, 8, 8, 8)), np.eye(4)), np.zeros((8, 8, 7)), r"tumor_mask: shape \(8, 8, 7\)"),
        (Volume(np.zeros((1, 8, 8, 8)), np.diag([1.0, 1.0, 6.5, 1.0])), None, "voxels are 6.5 mm thick"),
        (Volume(np.full((1, 8, 8, 8), 3.0), np.eye(4)), None, "every voxel has the same value"),
    ],
)
def test_bad_input_is_refused(volume: Volume, mask: np.ndarray | None, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        register_to_atlas(volume, mask, QUICK)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"coarse_samples": 0.0}, "coarse_samples and fine_samples must lie in"),
        ({"fine_samples": 1.5}, "coarse_samples and fine_samples must lie in"),
        ({"threads": 0}, "threads must be >= 1"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        RegistrationConfiguration(**settings)  # type: ignore[arg-type]


@pytest.mark.real
def test_a_real_case_passes_every_gate_on_its_own_side(shared_data: Path) -> None:
    folder = shared_data / "brats" / "BraTS2021_01483"
    if not folder.is_dir():
        pytest.skip("the case BraTS2021_01483 is not among the real data")
    volume = read_volume(folder / f"{folder.name}_t1.nii.gz")
    mask = read_volume(folder / f"{folder.name}_seg.nii.gz").array[0] > 0
    result = register_to_atlas(volume, mask)
    assert result.reasons == ()
    brain = np.argwhere(volume.array[0] != 0).mean(axis=0)
    offset = (volume.affine[:3, :3] @ (np.argwhere(mask).mean(axis=0) - brain))[0]
    places = np.argwhere(mask) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    assert np.sign(result.to_mni(places)[:, 0].mean()) == np.sign(offset)
