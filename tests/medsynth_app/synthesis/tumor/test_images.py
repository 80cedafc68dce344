"""Acquisition: slices, noise, composition."""

import numpy as np
import pytest

from medsynth_app.synthesis.anatomy.icbm_brain import IndividualBrain, brats_grid
from medsynth_app.synthesis.anatomy.random_fields import stream
from medsynth_app.synthesis.tumor.composition import compose
from medsynth_app.synthesis.tumor.growth import Tumor
from medsynth_app.synthesis.tumor.images import _add_noise, _thick_slices, render
from medsynth_app.synthesis.tumor.request import TumorCaseRequest
from medsynth_app.vocabulary import Modality


@pytest.mark.parametrize("voxels", [2.0, 2.5, 5.0])
def test_thick_slices_keep_a_constant_and_the_order_of_a_ramp(voxels: float) -> None:
    constant = np.full((3, 4, 20), 7.0, np.float32)
    np.testing.assert_allclose(_thick_slices(constant, voxels), constant, rtol=1e-6)
    ramp = np.broadcast_to(np.arange(20, dtype=np.float32), (3, 4, 20))
    thick = _thick_slices(ramp, voxels)
    inner = slice(int(voxels), -int(voxels) - 1)
    np.testing.assert_allclose(thick[..., inner], ramp[..., inner], atol=0.05)


def test_a_bright_slice_is_spread_over_its_slab() -> None:
    image = np.zeros((1, 1, 12), np.float32)
    image[..., 5] = 4.0
    thick = _thick_slices(image, 4.0)[0, 0]
    assert thick.max() == pytest.approx(1.0, abs=0.15)


def test_noise_of_an_empty_region_is_rician() -> None:
    brain = np.ones((30, 30, 30), bool)
    noisy = _add_noise(np.zeros(brain.sum(), np.float32), brain, 0.1, stream(1, "noise"))
    # Mean of a Rayleigh distribution: sigma sqrt(pi / 2).
    assert noisy.mean() == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.03)


def test_shares_of_a_voxel_add_up_with_a_tumour_in_it() -> None:
    brain = IndividualBrain(3, brats_grid(3.0))
    anatomy = brain.anatomy(brain.maps(brain.grid.box.shape))
    label = np.zeros(brain.grid.box.shape, np.uint8)
    label[20:32, 25:37, 20:32] = 2
    label[23:29, 28:34, 23:29] = 3
    label[25:27, 30:32, 25:27] = 1
    tumor = Tumor(label, label == 1, (label > 0).astype(np.float32), np.zeros((3, 2, 2, 2)), (0.0, 0.0, 0.0))
    composition = compose(anatomy, tumor, 3, 3.0)
    total = sum(composition.shares.values())
    np.testing.assert_allclose(total, 1.0, atol=1e-4)
    image = render(composition, TumorCaseRequest(seed=3, spacing_mm=3.0), Modality.T2)
    assert ((image > 0) == anatomy.brain).all()
