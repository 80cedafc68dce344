"""Deformations stay smooth and invertible."""

import numpy as np
import pytest

from medsynth_app.synthesis.anatomy.diffeomorphism import integrate, inward_velocity, random_velocity
from medsynth_app.synthesis.anatomy.random_fields import stream

SHAPE = (20, 22, 24)
SPACING = np.array([4.0, 4.0, 4.0])


def _jacobian_determinant(displacement_mm: np.ndarray) -> np.ndarray:
    gradient = np.stack([np.stack(np.gradient(part, 4.0)) for part in displacement_mm])
    return np.linalg.det(np.moveaxis(gradient, (0, 1), (-2, -1)) + np.eye(3))


def test_a_constant_velocity_is_a_shift() -> None:
    velocity = np.full((3, *SHAPE), 2.0, dtype=np.float32)
    np.testing.assert_allclose(integrate(velocity, SPACING), velocity, rtol=1e-5)


def test_a_strong_random_warp_does_not_fold() -> None:
    velocity = random_velocity(stream(1, "warp"), SHAPE, 4.0, ((30.0, 6.0), (14.0, 2.0)))
    assert _jacobian_determinant(integrate(velocity, SPACING)).min() > 0.05


@pytest.mark.parametrize("push_mm", [2.0, 6.0])
def test_the_push_leads_inward_and_spares_the_skull(push_mm: float) -> None:
    lines = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    distance = np.sqrt(sum((line - n / 2) ** 2 for line, n in zip(lines, SHAPE)))
    mass, brain = (distance < 3).astype(np.float32), (distance < 9).astype(np.float32)
    velocity = inward_velocity(mass, brain, 4.0, push_mm)
    # Beside the centre, towards larger x, the way back to where tissue was leads to smaller x.
    assert velocity[0, 14, 11, 12] < -0.3 * push_mm
    assert np.abs(velocity[:, distance > 9]).max() < 0.05 * push_mm
    assert np.abs(velocity).max() <= push_mm * 1.001
