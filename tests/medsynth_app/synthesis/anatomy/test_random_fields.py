"""Smooth noise and interpolation."""

import numpy as np
import pytest

from medsynth_app.synthesis.anatomy.random_fields import smooth_noise, stream, upsample


def test_streams_are_independent_of_each_other() -> None:
    assert stream(1, "a").random() == stream(1, "a").random()
    assert len({stream(1, "a").random(), stream(1, "b").random(), stream(2, "a").random()}) == 3


def test_upsampling_reproduces_a_linear_ramp() -> None:
    coarse = np.linspace(0, 1, 4, dtype=np.float32)[:, None, None] * np.ones((4, 3, 2), np.float32)
    fine = upsample(coarse, (10, 5, 7))
    np.testing.assert_allclose(fine[:, 2, 3], np.linspace(0, 1, 10), atol=1e-6)


@pytest.mark.parametrize("scale_mm", [2.5, 8.0, 20.0])
def test_noise_is_standard_and_varies_over_its_scale(scale_mm: float) -> None:
    field = smooth_noise(stream(3, "x"), (40, 44, 48), scale_mm, 1.0)
    assert field.mean() == pytest.approx(0.0, abs=1e-4)
    assert field.std() == pytest.approx(1.0, abs=1e-3)
    near = (field[1:] * field[:-1]).mean()
    far_step = int(3 * scale_mm) if scale_mm < 10 else 30
    far = (field[far_step:] * field[:-far_step]).mean()
    assert near > 0.5 > abs(far) + 0.1 * (scale_mm < 10)
