"""Which headers tell left from right."""

from __future__ import annotations

import numpy as np
import pytest

from medsynth_app.imaging.atlas.header_trust import is_brats_geometry, side_is_known
from medsynth_app.imaging.volume import Volume

BRATS = (240, 240, 155)


def image(
    signs: tuple[float, float, float], origin: tuple[float, float, float], shape: tuple[int, int, int] = BRATS
) -> Volume:
    affine = np.diag([*signs, 1.0]).astype(float)
    affine[:3, 3] = origin
    return Volume(np.broadcast_to(np.uint8(0), (1, *shape)), affine)


@pytest.mark.parametrize(
    ("name", "volume", "known"),
    [
        ("BraTS", image((-1, -1, 1), (0, 239, 0)), True),
        ("BraTS stored as RAS", image((1, 1, 1), (-239, 0, 0)), True),
        ("identity", image((1, 1, 1), (0, 0, 0)), False),
        ("identity of other voxels", image((0.9, 0.9, 3), (0, 0, 0), (256, 256, 60)), False),
        ("ITK without header", image((-1, -1, 1), (0, 0, 0)), False),
        ("nibabel without header", image((-1, 1, 1), (119.5, -119.5, -77.0)), False),
        ("BraTS numbers, RAS axes", image((1, 1, 1), (0, 239, 0)), False),
        ("BraTS numbers, LAS axes", image((-1, 1, 1), (0, 239, 0)), False),
        ("a scanner's", image((-1, 1, 1), (91.3, -120.8, -60.1), (180, 220, 170)), True),
    ],
)
def test_made_up_headers_leave_the_side_unknown(name: str, volume: Volume, known: bool) -> None:
    assert side_is_known(volume) is known, name


def test_an_oblique_header_was_measured() -> None:
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
    assert side_is_known(Volume(np.zeros((1, 4, 4, 4)), tilt))


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        (image((-1, -1, 1), (0, 239, 0)), True),
        (image((1, 1, 1), (-239, 0, 0)), True),
        (image((-1, 1, 1), (0, 0, 0)), True),
        (image((1, 1, 1), (0, 0, 0)), False),
        (image((-1, -1, 1), (0, 239, 0), (240, 240, 154)), False),
        (image((-1, -1, 2), (0, 239, 0)), False),
    ],
)
def test_brats_space_in_any_storage_order(volume: Volume, expected: bool) -> None:
    assert is_brats_geometry(volume) is expected
