"""A labelled case: reproducible, where and as large as asked, and changed by each condition."""

from collections.abc import Callable

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.geometry import reorient
from medsynth_app.imaging.volume import Volume
from medsynth_app.synthesis.anatomy.icbm_brain import brats_grid
from medsynth_app.synthesis.tumor.generator import TumorCase, generate_tumor_case
from medsynth_app.synthesis.tumor.request import Side, TumorCaseRequest, TumorSite

MakeCase = Callable[..., TumorCase]
FLAIR, T1, T1CE, T2 = range(4)
MIDLINE_MM = -118.5


def _mean(case: TumorCase, channel: int, label: int) -> float:
    """Mean of a label relative to the brain outside the tumour."""
    image = case.images.array[channel].astype(float)
    return image[case.label == label].mean() / image[(image > 0) & (case.label == 0)].mean()


def _centroid_mm(case: TumorCase) -> np.ndarray:
    return nib.affines.apply_affine(case.images.affine, np.argwhere(case.label > 0).mean(axis=0))


def test_same_seed_same_voxels_other_seed_other_voxels(make_case: MakeCase) -> None:
    first = make_case()
    again = generate_tumor_case(TumorCaseRequest.from_parameters(first.conditions))
    np.testing.assert_array_equal(again.images.array, first.images.array)
    np.testing.assert_array_equal(again.label, first.label)
    assert (make_case(seed=5).images.array != first.images.array).mean() > 0.05


def test_shapes_types_and_place(make_case: MakeCase) -> None:
    case = make_case()
    assert case.images.array.shape == (4, 80, 80, 52)
    assert case.images.array.dtype == np.int16
    assert case.label.shape == (80, 80, 52)
    assert case.label.dtype == np.uint8
    assert set(np.unique(case.label)) == {0, 1, 2, 3}
    assert nib.orientations.aff2axcodes(case.images.affine) == ("L", "P", "S")
    assert case.seed == case.conditions["seed"] == 4
    assert case.mark.generator == "tumor_case_synthesis"


def test_brain_extracted_look(make_case: MakeCase) -> None:
    case = make_case()
    inside = case.images.array > 0
    assert (inside == inside[0]).all()
    assert (case.label[~inside[0]] == 0).all()
    brain_ml = inside[0].sum() * case.images.voxel_volume_ml
    assert 1100 < brain_ml < 1900


def test_full_grid_is_that_of_brats() -> None:
    grid = brats_grid()
    assert grid.shape == (240, 240, 155)
    np.testing.assert_array_equal(grid.affine, [[-1, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize("spacing_mm", [1.0, 1.5, 2.0, 3.0])
def test_grids_of_all_spacings_share_their_outer_faces(spacing_mm: float) -> None:
    grid = brats_grid(spacing_mm)
    first_face = nib.affines.apply_affine(grid.affine, [-0.5, -0.5, -0.5])
    np.testing.assert_allclose(first_face, [0.5, 239.5, -0.5])


@pytest.mark.parametrize("volume_ml", [3.0, 60.0, 180.0])
def test_volume_is_met(make_case: MakeCase, volume_ml: float) -> None:
    case = make_case(volume_ml=volume_ml)
    assert sum(case.volumes_ml.values()) == pytest.approx(volume_ml, rel=0.1)


@pytest.mark.parametrize(
    ("grade", "expected"),
    [(2, (0.65, 0.35, 0.0)), (3, (0.4, 0.5, 0.1)), (4, (0.2, 0.6, 0.2))],
)
def test_grade_decides_the_make_up(make_case: MakeCase, grade: int, expected: tuple[float, ...]) -> None:
    volumes = make_case(grade=grade).volumes_ml
    shares = [volumes[name] / 60.0 for name in ("necrotic_core", "edema", "enhancing_tumor")]
    np.testing.assert_allclose(shares, expected, atol=0.02)


@pytest.mark.parametrize(
    ("site", "side", "axis", "low", "high"),
    [
        (TumorSite.FRONTAL, Side.LEFT, 1, 140, 210),
        (TumorSite.OCCIPITAL, Side.RIGHT, 1, 20, 80),
        (TumorSite.CEREBELLAR, Side.LEFT, 2, 5, 50),
    ],
)
def test_site_and_side_are_met(
    make_case: MakeCase, site: TumorSite, side: Side, axis: int, low: float, high: float
) -> None:
    centroid = _centroid_mm(make_case(site=site.value, side=side.value, volume_ml=10.0))
    assert (centroid[0] > MIDLINE_MM) == (side is Side.RIGHT)
    assert low < centroid[axis] < high


def test_seed_point_is_met() -> None:
    request = TumorCaseRequest(seed=4, seed_point_mm=(-90.0, 130.0, 85.0), volume_ml=20.0, spacing_mm=3.0)
    case = generate_tumor_case(request)
    assert np.linalg.norm(_centroid_mm(case) - request.seed_point_mm) < 12
    assert case.seed_point_mm == (-90.0, 130.0, 85.0)


def test_seed_point_outside_the_brain_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"seed_point_mm: \(5.0, 5.0, 5.0\) lies outside the brain"):
        generate_tumor_case(TumorCaseRequest(seed_point_mm=(5.0, 5.0, 5.0), spacing_mm=3.0))


def test_radiological_appearance(make_case: MakeCase) -> None:
    case = make_case()
    assert _mean(case, FLAIR, 2) > 1.4
    assert _mean(case, T2, 2) > 1.15
    assert _mean(case, T1CE, 3) > 1.3
    assert _mean(case, T1, 3) < 1.15
    assert _mean(case, T1CE, 1) < 0.75 * _mean(case, T1CE, 3)
    assert _mean(case, T2, 1) > 1.4


def test_contrast_agent_shows_only_on_t1ce(make_case: MakeCase) -> None:
    with_agent, without = make_case(), make_case(contrast_agent=False)
    np.testing.assert_array_equal(with_agent.label, without.label)
    for channel in (FLAIR, T1, T2):
        np.testing.assert_array_equal(with_agent.images.array[channel], without.images.array[channel])
    assert _mean(with_agent, T1CE, 3) > _mean(without, T1CE, 3) + 0.3


def test_uptake_and_oedema_density_do_what_they_say(make_case: MakeCase) -> None:
    assert _mean(make_case(contrast_uptake=0.3), T1CE, 3) < _mean(make_case(), T1CE, 3) - 0.3
    assert _mean(make_case(edema_density=0.4), FLAIR, 2) < _mean(make_case(), FLAIR, 2) - 0.2
    plain, none = make_case(contrast_agent=False), make_case(contrast_uptake=0.0)
    assert _mean(none, T1CE, 3) == pytest.approx(_mean(plain, T1CE, 3), abs=0.1)


@pytest.mark.parametrize(
    "change",
    [
        {"side": "left"},
        {"volume_ml": 70.0},
        {"grade": 3},
        {"enhancing_fraction": 0.3},
        {"necrotic_fraction": 0.2},
        {"edema_extent": 0.4},
        {"mass_effect": 0.0},
        {"contrast_uptake": 0.3},
        {"edema_density": 0.4},
        {"tissue_variation": 3.0},
        {"field_strength_t": 1.5},
        {"bias_field": 0.3},
        {"noise": 0.0},
        {"slice_thickness_mm": 6.0},
        {"in_plane_resolution_mm": 4.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_condition_changes_the_images(make_case: MakeCase, change: dict) -> None:
    base, changed = make_case(), make_case(**change)
    where = (base.label > 0) | (changed.label > 0)
    before, after = (case.images.array[:, where].astype(float) for case in (base, changed))
    assert np.abs(before - after).mean() > 0.01 * before.mean()


@pytest.mark.parametrize("modality", ["flair", "t1", "t1ce", "t2"])
def test_timing_changes_its_own_sequence_only(make_case: MakeCase, modality: str) -> None:
    timing = {"repetition_time_ms": 4000, "echo_time_ms": 60, "inversion_time_ms": 1500}
    changed = generate_tumor_case(
        TumorCaseRequest.from_parameters({**make_case().conditions, "sequences": {modality: timing}})
    )
    differs = [bool((a != b).any()) for a, b in zip(changed.images.array, make_case().images.array)]
    assert differs == [name == modality for name in ("flair", "t1", "t1ce", "t2")]


def test_noise_has_the_requested_strength(make_case: MakeCase) -> None:
    clean, noisy = (make_case(noise=level).images.array[T1].astype(float) for level in (0.0, 0.1))
    white = np.median(clean[clean > 0])
    assert np.std((noisy - clean)[clean > 0]) / white == pytest.approx(0.1, rel=0.35)


def test_thick_slices_are_smooth_along_z(make_case: MakeCase) -> None:
    def roughness(case: TumorCase) -> float:
        image = case.images.array[T2].astype(float)
        return np.abs(np.diff(image, axis=2)).mean() / image.mean()

    assert roughness(make_case(slice_thickness_mm=8.0, noise=0.0)) < 0.9 * roughness(make_case(noise=0.0))


def test_mass_effect_moves_the_brain_and_not_the_skull(make_case: MakeCase) -> None:
    pushed, still = make_case(mass_effect=2.0), make_case(mass_effect=0.0)
    brains = [case.images.array[T1] > 0 for case in (pushed, still)]
    assert (brains[0] ^ brains[1]).sum() < 0.02 * brains[1].sum()
    assert (pushed.images.array[T1] != still.images.array[T1]).mean() > 0.01


def test_too_large_for_its_place_is_refused(make_case: MakeCase) -> None:
    with pytest.raises(InvalidValueError, match="volume_ml: 200.0 ml does not fit the site 'cerebellar'"):
        make_case(site="cerebellar", volume_ml=200.0)


def test_a_drawn_mask_comes_back_as_images(make_case: MakeCase) -> None:
    case = make_case()
    drawn = Volume(case.label[None], case.images.affine)
    request = TumorCaseRequest(seed=9, spacing_mm=3.0)
    result = generate_tumor_case(request, drawn)
    inside = result.images.array[0] > 0
    np.testing.assert_array_equal(result.label[inside], case.label[inside])
    assert _mean(result, T1CE, 3) > 1.25
    assert _mean(result, FLAIR, 2) > 1.3
    assert result.conditions["label"] == "drawn"
    turned = generate_tumor_case(request, reorient(drawn))
    np.testing.assert_array_equal(turned.images.array, result.images.array)


def _mask(value: int, region: tuple[slice, ...], spacing_mm: float = 3.0) -> Volume:
    grid = brats_grid(spacing_mm)
    array = np.zeros((1, *grid.shape), dtype=np.int16)
    array[(0, *region)] = value
    return Volume(array, grid.affine)


BRAIN = (slice(30, 36), slice(30, 36), slice(24, 30))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (_mask(1, BRAIN, 2.0), r"label: its grid \(120, 120, 78\) is foreign"),
        (Volume(_mask(1, BRAIN).array, np.diag([3.0, 3.0, 3.0, 1.0])), "label: its grid .* is foreign"),
        (_mask(7, BRAIN), r"label: holds the values \[7.0\], allowed are \[0, 1, 2, 3, 4\]"),
        (_mask(0, BRAIN), "label: the mask is empty"),
        (_mask(1, (slice(0, 5), slice(0, 5), slice(0, 5))), "label: only 0 % of the mask lies in the brain"),
        (_mask(2, (slice(20, 60), slice(20, 65), slice(10, 40))), "label: the mask holds .* ml, at most 350"),
        (Volume(np.zeros((2, 80, 80, 52), np.uint8), brats_grid(3.0).affine), "label: must be one 3-D mask"),
    ],
    ids=["other spacing", "other place", "strange value", "empty", "outside", "too large", "two channels"],
)
def test_impossible_masks_are_refused(label: Volume, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        generate_tumor_case(TumorCaseRequest(spacing_mm=3.0), label)
