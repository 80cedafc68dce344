"""Shapes, styles and gradients of generator and discriminator."""

from __future__ import annotations

import math

import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.stylegan2.losses import PathLength, gradient_penalty
from medsynth_app.synthesis.stylegan2.network import (
    Discriminator,
    Generator,
    StyleGAN2Configuration,
    minibatch_deviation,
)

SMALL = StyleGAN2Configuration(
    resolution=32, latent_size=16, style_size=24, channel_base=256, channel_max=16, channel_min=8
)
GREY_CLASSES = StyleGAN2Configuration(
    resolution=16, image_channels=1, classes=3, latent_size=8, style_size=12, channel_base=64, channel_min=8
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("configuration", [SMALL, GREY_CLASSES])
def test_image_has_the_configured_shape(configuration: StyleGAN2Configuration) -> None:
    generator = Generator(configuration)
    label = torch.tensor([0, 2]) if configuration.classes else None
    image = generator(torch.randn(2, configuration.latent_size), label)
    assert image.shape == (
        2,
        configuration.image_channels,
        configuration.resolution,
        configuration.resolution,
    )
    assert Discriminator(configuration)(image, label).shape == (2, 1)


def test_each_style_changes_the_image_and_there_are_no_more() -> None:
    generator = Generator(SMALL).eval()
    styles = generator.styles(torch.randn(1, 16)).clone()
    before = generator.synthesis(styles)
    assert styles.shape == (1, 8, 24)
    for layer in range(SMALL.style_count):
        moved = styles.clone()
        moved[:, layer] += 1.0
        assert not torch.equal(generator.synthesis(moved), before), layer


def test_a_late_style_leaves_lower_resolutions_alone() -> None:
    generator = Generator(SMALL).eval()
    styles = generator.styles(torch.randn(1, 16)).clone()
    before = generator.synthesis(styles, resolution=8)
    styles[:, 4:] += 1.0
    assert torch.equal(generator.synthesis(styles, resolution=8), before)
    assert before.shape[-1] == 8


def test_noise_maps_are_those_of_the_layers() -> None:
    generator = Generator(SMALL).eval()
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            torch.nn.init.constant_(parameter, 0.3)
    styles = generator.styles(torch.randn(2, 16))
    maps = generator.synthesis.noise_maps()
    before = generator.synthesis(styles)
    assert torch.equal(generator.synthesis(styles, maps), before)
    for number, part in enumerate(maps):
        moved = [*maps[:number], part + 1.0, *maps[number + 1 :]]
        assert not torch.equal(generator.synthesis(styles, moved), before), number


def test_style_affines_have_the_rows_of_all_convolutions() -> None:
    affines = Generator(SMALL).synthesis.style_affines()
    assert len(affines) == SMALL.style_count
    assert all(affine.shape[1] == 24 for affine in affines)
    convolutions = 1 + 2 * 3 + 4
    assert sum(len(affine) for affine in affines) == sum(
        module.style.weight.shape[0] for module in Generator(SMALL).modules() if hasattr(module, "demodulate")
    )
    assert convolutions == sum(hasattr(module, "demodulate") for module in Generator(SMALL).modules())


def test_demodulation_keeps_the_variance_whatever_the_style() -> None:
    generator = Generator(SMALL)
    convolution = generator.synthesis.blocks[2].plain.convolution
    features = torch.randn(4, 16, 32, 32)
    for scale in (0.1, 10.0):
        out = convolution(features, scale * torch.randn(4, 24))
        assert 0.5 < float(out.detach().std()) < 2.0


def test_truncation_zero_is_the_mean_of_the_class() -> None:
    generator = Generator(GREY_CLASSES)
    generator.w_mean.normal_()
    styles = generator.styles(torch.randn(2, 8), torch.tensor([0, 2]), truncation=0.0)
    torch.testing.assert_close(styles[:, 0], generator.w_mean[[0, 2]])


def test_a_class_conditional_generator_asks_for_the_class() -> None:
    with pytest.raises(InvalidValueError, match="label: this generator needs a class, 0 to 2"):
        Generator(GREY_CLASSES)(torch.randn(1, 8))


def test_noise_of_the_same_seed_is_the_same() -> None:
    generator = Generator(SMALL)
    for module in generator.modules():
        if hasattr(module, "noise_strength"):
            module.noise_strength.data.fill_(0.5)
    z = torch.randn(1, 16)
    images = [generator(z, noise=torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])


def test_minibatch_deviation_sees_a_collapsed_batch() -> None:
    alike = torch.randn(1, 5, 4, 4).expand(4, -1, -1, -1)
    assert float(minibatch_deviation(alike)[:, 5].max()) < 1e-3
    assert float(minibatch_deviation(torch.randn(4, 5, 4, 4))[:, 5].min()) > 0.3


def test_gradient_penalty_of_a_linear_judge_is_its_squared_norm() -> None:
    weights = torch.randn(3, 8, 8)
    real = torch.randn(4, 3, 8, 8, requires_grad=True)
    penalty = gradient_penalty(real, (real * weights).sum(dim=(1, 2, 3)))
    assert float(penalty) == pytest.approx(float(weights.square().sum()), rel=1e-5)


def test_path_length_of_a_linear_generator() -> None:
    styles = torch.randn(2, 1, 6, requires_grad=True)
    images = styles.squeeze(1)[:, :, None, None].expand(-1, -1, 4, 4)
    path = PathLength()
    noise = torch.ones(2, 6, 4, 4)
    penalty = path(images, styles, noise)
    length = math.sqrt(6) * 16 / 4  # 16 pixels, noise 1 / 4
    assert float(penalty) == pytest.approx((length - 0.01 * length) ** 2, rel=1e-5)
    assert float(path.mean) == pytest.approx(0.01 * length, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolution": 100}, "resolution: 100 must be one of"),
        ({"image_channels": 2}, "image_channels: 2 must be 1 or 3"),
        ({"classes": -1}, "classes: -1"),
        ({"channel_base": 0}, "channel_base: 0 must be at least 1"),
        ({"mapping_rate": 0.0}, "mapping_rate: 0.0"),
    ],
)
def test_impossible_shapes_are_named(change: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        StyleGAN2Configuration(**change)
