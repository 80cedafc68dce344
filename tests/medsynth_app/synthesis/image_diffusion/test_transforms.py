"""Codes are invertible up to the axes left out; variations are small, repeatable, and keep the mask on its lesion."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.image_diffusion.transforms import UNMIRRORED, PatchCodec, varied


def waves(count: int = 4, side: int = 32) -> torch.Tensor:
    line = torch.linspace(0, 6, side)
    return torch.stack([
        torch.stack([(line[:, None] * (1 + c) + line * (n + 1)).sin() for c in range(3)]) for n in range(count)
    ])  # fmt: skip


def test_all_axes_give_the_picture_back() -> None:
    images = waves()
    codec = PatchCodec.fit(images, 192)
    torch.testing.assert_close(codec.decode(codec.encode(images)), images, atol=2e-3, rtol=0)


def test_fewer_axes_lose_little_and_more_axes_lose_less() -> None:
    images = waves() + 0.05 * torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    errors = []
    for count in (4, 16, 64):
        codec = PatchCodec.fit(images, count)
        codes = codec.encode(images)
        assert codes.shape == (4, count, 4, 4)
        errors.append(float((codec.decode(codes) - images).square().mean()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[1] < 0.01


def test_strong_axes_stay_stronger() -> None:
    codec = PatchCodec.fit(waves(), 8)
    spread = codec.encode(waves()).std(dim=(0, 2, 3))
    assert spread[0] == pytest.approx(1.5, rel=0.05)
    assert spread[0] > spread[4]


@pytest.mark.parametrize("shape", [(1, 1, 32, 32), (1, 3, 30, 30)])
def test_other_pictures_are_refused(shape: tuple[int, ...]) -> None:
    codec = PatchCodec.fit(waves(), 4)
    with pytest.raises(InvalidValueError, match=r"images: \(N, 3, R, R\) with R a multiple of 8"):
        codec.encode(torch.zeros(shape))


def test_variations_are_repeatable_small_and_take_the_mask_along() -> None:
    masks = torch.zeros(8, 64, 64)
    masks[:, 20:32, 40:52] = 1.0
    images = (2.0 * masks - 1.0)[:, None].expand(-1, 3, -1, -1).contiguous()
    made = [varied(images, masks, ["ct"] * 8, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(made[0][0], made[1][0])
    assert not torch.equal(made[0][0], made[2][0])
    bright = made[0][0].mean(dim=1) > 0
    overlap = (bright & (made[0][1] > 0.5)).sum() / (bright | (made[0][1] > 0.5)).sum()
    assert overlap > 0.8


def test_a_chest_is_never_mirrored() -> None:
    masks = torch.zeros(64, 32, 32)
    masks[:, :, :8] = 1.0
    images = (2.0 * masks - 1.0)[:, None].expand(-1, 3, -1, -1).contiguous()
    left = {
        name: varied(images, masks, [name] * 64, torch.Generator().manual_seed(0))[1][:, :, :16].mean(
            dim=(1, 2)
        )
        > 0.25
        for name in (*UNMIRRORED, "retina")
    }
    assert left["chest_xray"].all()
    assert 16 < int(left["retina"].sum()) < 48
    assert np.isclose(float(images.min()), -1.0)
