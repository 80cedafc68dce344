"""The growth model and the label map cut from it."""

import numpy as np
import pytest

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.tumor import growth
from medsynth_app.synthesis.tumor.growth import edema_density

SPACING = np.array([3.0, 3.0, 3.0])


def _grow(diffusion: np.ndarray, volume_ml: float) -> np.ndarray:
    density = np.zeros(diffusion.shape, dtype=np.float32)
    centre = tuple(n // 2 for n in diffusion.shape)
    density[centre] = 0.6
    return growth._fisher_kolmogorov(density, diffusion, SPACING, volume_ml)


def test_density_stays_between_nothing_and_full() -> None:
    density = _grow(np.full((31, 31, 31), growth.DIFFUSION_WHITE_MM2_PER_DAY, np.float32), 40.0)
    assert density.min() >= 0.0
    assert density.max() <= 1.0
    assert (density > growth.DETECTION_DENSITY).sum() * 0.027 > 60.0


def test_growth_is_faster_along_white_than_along_grey_matter() -> None:
    diffusion = np.full((31, 31, 31), growth.DIFFUSION_GREY_MM2_PER_DAY, np.float32)
    diffusion[:, 13:18, 13:18] = growth.DIFFUSION_WHITE_MM2_PER_DAY
    density = _grow(diffusion, 20.0)
    assert density[25, 15, 15] > 1.5 * density[15, 25, 15]


def test_nothing_crosses_fluid() -> None:
    diffusion = np.full((31, 31, 31), growth.DIFFUSION_WHITE_MM2_PER_DAY, np.float32)
    diffusion[20] = 0.0
    density = _grow(diffusion, 60.0)
    assert density[:20].max() > growth.DETECTION_DENSITY
    assert density[20:].max() == 0.0


def test_largest_voxels_fill_the_volume_exactly() -> None:
    score = np.arange(1000, dtype=np.float32).reshape(10, 10, 10)
    chosen = growth._largest_voxels(score, np.ones(score.shape, bool), 0.25, 1.0, "x")
    assert chosen.sum() == 250
    assert chosen.ravel()[-250:].all()


def test_no_room_is_said_with_the_room_there_is() -> None:
    with pytest.raises(InvalidValueError, match="volume_ml: the core of 2 ml does not fit .* holds 1 ml"):
        growth._largest_voxels(np.zeros((10, 10, 10)), np.ones((10, 10, 10), bool), 2.0, 1.0, "the core")


def test_oedema_thins_out_away_from_the_core() -> None:
    label = np.zeros((60, 20, 20), np.uint8)
    label[5:55, 5:15, 5:15] = 2
    label[5:10, 5:15, 5:15] = 3
    density = edema_density(label, 1.0)
    assert density[10, 10, 10] > density[25, 10, 10] > density[50, 10, 10] >= 0.5
    assert density[0, 0, 0] == 0.0
