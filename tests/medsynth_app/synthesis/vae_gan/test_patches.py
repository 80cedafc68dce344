"""The linear part of the autoencoder: patches as channels, and their principal components."""

from __future__ import annotations

import torch

from medsynth_app.synthesis.vae_gan.network import VaeConfiguration, VolumeAutoencoder
from medsynth_app.synthesis.vae_gan.patches import PatchCode, folded, unfolded


def smooth_cubes(count: int, seed: int) -> torch.Tensor:
    """(count, 1, 16, 16, 16) in 0..1 of four wave lengths and a slope each: few components hold them."""
    chance = torch.Generator().manual_seed(seed)
    grid = torch.stack(torch.meshgrid(*[torch.linspace(0, 3, 16)] * 3, indexing="ij"))
    turns = torch.rand(count, 3, generator=chance)
    waves = torch.sin(torch.einsum("nc,cxyz->nxyz", turns, grid))
    return 0.5 + 0.4 * waves[:, None]


def test_folding_keeps_every_voxel_and_its_patch() -> None:
    cubes = torch.arange(2 * 8**3, dtype=torch.float32).view(2, 1, 8, 8, 8)
    parts = folded(cubes, 4)
    assert parts.shape == (2, 64, 2, 2, 2)
    assert torch.equal(parts[0, :, 1, 0, 1].view(4, 4, 4), cubes[0, 0, 4:, :4, 4:])
    assert torch.equal(unfolded(parts, 4), cubes)
    colours = torch.rand(1, 3, 4, 4, 4)
    assert torch.equal(unfolded(folded(colours, 2), 2), colours)


def test_the_components_keep_more_than_the_mean_and_more_of_them_keep_more() -> None:
    cubes = smooth_cubes(6, 0)
    left = []
    for channels in (1, 4, 16):
        torch.manual_seed(0)
        code = PatchCode(4, channels)
        code.fit(cubes)
        left.append(float((code.decode(code.encode(cubes)) - cubes).square().mean()))
    assert left[0] < 0.2 * float((folded(cubes, 4) - folded(cubes, 4).mean((0, 2, 3, 4), keepdim=True)).square().mean())
    assert left[0] > left[1] > left[2]
    assert left[2] < 1e-4


def test_the_same_cubes_give_the_same_code() -> None:
    codes = []
    for _ in range(2):
        torch.manual_seed(3)
        code = PatchCode(4, 4)
        code.fit(smooth_cubes(4, 1))
        codes.append(code.axes)
    assert torch.equal(codes[0], codes[1])


def test_more_channels_than_a_few_patches_have_components_stay_silent() -> None:
    code = PatchCode(8, 12)
    code.fit(smooth_cubes(1, 2))
    made = code.decode(code.encode(smooth_cubes(1, 2)))
    assert torch.isfinite(made).all()
    assert float((made - smooth_cubes(1, 2)).abs().max()) < 1e-3


def test_an_untrained_autoencoder_is_the_linear_code() -> None:
    torch.manual_seed(0)
    vae = VolumeAutoencoder(VaeConfiguration(16, (8, 16), 4))
    cubes = smooth_cubes(3, 4)
    vae.linear.fit(cubes)
    mean, deviation = vae.encode(cubes)
    assert mean.shape == (3, 4, 4, 4, 4)
    torch.testing.assert_close(mean, vae.linear.encode(cubes))
    assert float(deviation.max()) < 0.06
    torch.testing.assert_close(vae.decode(mean), vae.linear.decode(mean))
