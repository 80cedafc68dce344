"""ADA: nothing happens at p = 0, everything is a matrix, p follows the discriminator."""

from __future__ import annotations

import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.stylegan2.augmentation import (
    CHANGES,
    LARGEST_PROBABILITY,
    AdaptiveProbability,
    apply_changes,
    draw_changes,
)


def _images(channels: int = 3) -> torch.Tensor:
    return torch.rand(4, channels, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("channels", [1, 3])
def test_at_probability_zero_images_pass_bit_for_bit(channels: int) -> None:
    images = _images(channels)
    changes = draw_changes(4, 0.0, channels, torch.Generator().manual_seed(0))
    assert torch.equal(apply_changes(images, changes), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_tiny_probability_draws_the_identity(channels: int) -> None:
    images = _images(channels)
    changes = draw_changes(4, 1e-12, channels, torch.Generator().manual_seed(0))
    torch.testing.assert_close(apply_changes(images, changes), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", CHANGES)
def test_each_kind_changes_images_when_drawn(name: str) -> None:
    images = _images()
    changes = draw_changes(4, 1.0, 3, torch.Generator().manual_seed(5), (name,))
    assert float((apply_changes(images, changes) - images).abs().max()) > 0.02


@pytest.mark.parametrize("name", ["hue", "luma_flip", "saturation"])
def test_colour_changes_act_about_the_grey_axis(name: str) -> None:
    grey = _images(1).expand(-1, 3, -1, -1)
    changed = apply_changes(grey, draw_changes(4, 1.0, 3, torch.Generator().manual_seed(5), (name,)))
    torch.testing.assert_close(changed.std(dim=1), torch.zeros(4, 16, 16), atol=1e-4, rtol=0)
    if name != "luma_flip":
        torch.testing.assert_close(changed, grey, atol=1e-4, rtol=0)


def test_quarter_turns_are_exact() -> None:
    images = _images()
    changed = apply_changes(
        images, draw_changes(4, 1.0, 3, torch.Generator().manual_seed(2), ("quarter_turn",))
    )
    for image, result in zip(images, changed):
        errors = [float((image.rot90(turn, (1, 2)) - result).abs().max()) for turn in range(4)]
        assert min(errors) < 1e-4


def test_gradients_flow() -> None:
    images = _images().requires_grad_(True)
    apply_changes(images, draw_changes(4, 1.0, 3, torch.Generator().manual_seed(0))).square().sum().backward()
    assert images.grad is not None
    assert float(images.grad.abs().sum()) > 0


def test_same_chance_same_changes() -> None:
    first, second = (draw_changes(4, 0.7, 3, torch.Generator().manual_seed(9)) for _ in range(2))
    assert torch.equal(first.geometry, second.geometry)
    assert torch.equal(first.color, second.color)


def test_probability_follows_the_discriminator() -> None:
    adaptive = AdaptiveProbability(target=0.6, images_for_one=1000)
    assert adaptive.update(0.9, 100) == pytest.approx(0.1)
    assert adaptive.update(0.1, 50) == pytest.approx(0.05)
    for _ in range(50):
        adaptive.update(1.0, 100)
    assert adaptive.probability == LARGEST_PROBABILITY
    assert AdaptiveProbability(fixed=True).update(1.0, 10_000) == 0.0


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(InvalidValueError, match="augmentation: 'blur' is not known, allowed are flip"):
        draw_changes(1, 0.5, 3, torch.Generator(), ("blur",))
