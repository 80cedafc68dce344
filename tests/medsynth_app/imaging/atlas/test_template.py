"""The ICBM template, and where it lies on the BraTS grid."""

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.errors import NotFoundError
from medsynth_app.imaging.atlas import template
from medsynth_app.imaging.atlas.template import BRATS_AFFINE, BRATS_SHAPE, TEMPLATE_TO_BRATS, load_template


def test_parts_share_one_grid_and_range() -> None:
    brain = load_template()
    for part in (brain.t1, brain.grey_matter, brain.white_matter, brain.brain):
        assert part.shape == brain.t1.shape
        assert part.dtype == np.float32
        assert 0.0 <= part.min() < 0.01
        assert 0.99 < part.max() <= 1.0
        with pytest.raises(ValueError, match="read-only"):
            part[0, 0, 0] = 1.0


def test_tissue_lies_inside_the_brain() -> None:
    brain = load_template()
    tissue = brain.grey_matter + brain.white_matter
    assert tissue[brain.brain < 0.1].sum() < 0.01 * tissue.sum()


def test_template_fills_the_box_of_brats_brains() -> None:
    """Brains of the BraTS challenge span about voxels 50..187 x 44..214 x 0..139 (measured on 24 cases)."""
    brain = load_template()
    voxel = np.argwhere(brain.brain > 0.5)
    to_grid = np.linalg.inv(BRATS_AFFINE) @ TEMPLATE_TO_BRATS @ brain.affine
    places = voxel @ to_grid[:3, :3].T + to_grid[:3, 3]
    np.testing.assert_allclose(places.min(axis=0), (50, 44, 0), atol=6)
    np.testing.assert_allclose(places.max(axis=0), (187, 214, 139), atol=6)
    assert (places.max(axis=0) < BRATS_SHAPE).all()


def test_brats_axes_point_left_posterior_superior() -> None:
    assert nib.orientations.aff2axcodes(BRATS_AFFINE) == ("L", "P", "S")


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "find_spec", lambda name: None)
    with pytest.raises(NotFoundError, match="install the package nilearn"):
        load_template.__wrapped__()
