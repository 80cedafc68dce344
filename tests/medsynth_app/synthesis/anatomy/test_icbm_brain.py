"""The individual brain under the tumour."""

import numpy as np
import pytest

from medsynth_app.synthesis.anatomy.icbm_brain import IndividualBrain, brats_grid


@pytest.fixture(scope="module")
def brain() -> IndividualBrain:
    return IndividualBrain(3, brats_grid(3.0))


def test_shares_add_up_inside_and_vanish_outside(brain: IndividualBrain) -> None:
    anatomy = brain.anatomy(brain.maps(brain.grid.box.shape))
    total = anatomy.white_matter + anatomy.grey_matter + anatomy.fluid
    np.testing.assert_allclose(total[anatomy.brain], 1.0, atol=1e-5)
    assert (total[~anatomy.brain] == 0.0).all()


def test_tissue_volumes_are_those_of_adults(brain: IndividualBrain) -> None:
    anatomy = brain.anatomy(brain.maps(brain.grid.box.shape))
    voxel_ml = 0.027
    assert 350 < anatomy.white_matter.sum() * voxel_ml < 700
    assert 500 < anatomy.grey_matter.sum() * voxel_ml < 950
    assert 60 < anatomy.fluid.sum() * voxel_ml < 400


def test_two_seeds_are_two_persons(brain: IndividualBrain) -> None:
    other = IndividualBrain(4, brain.grid)
    shape = brain.grid.box.shape
    assert np.abs(brain.maps(shape) - other.maps(shape)).mean() > 0.01


def test_a_shift_moves_the_whole_brain(brain: IndividualBrain) -> None:
    shape = brain.grid.box.shape
    shift = np.zeros((3, *brain.coarse_shape), np.float32)
    shift[0] = 3.0 * brain.grid.spacing_mm
    still, moved = brain.maps(shape)[2], brain.maps(shape, shift)[2]
    assert np.abs(moved[5:-8, 5:-5, 5:-5] - still[8:-5, 5:-5, 5:-5]).mean() < 0.01
    assert np.abs(moved - still).mean() > 0.02


@pytest.mark.parametrize("spacing_mm", [1.0, 2.0, 2.5])
def test_paste_puts_the_box_where_the_grid_says(spacing_mm: float) -> None:
    grid = brats_grid(spacing_mm)
    full = grid.paste(np.ones(grid.box.shape, np.uint8))
    assert full.shape == grid.shape
    assert full.sum() == np.prod(grid.box.shape)
    corner = grid.affine @ np.array([*np.argwhere(full)[0], 1.0])
    np.testing.assert_allclose(grid.box_affine[:, 3], corner)
