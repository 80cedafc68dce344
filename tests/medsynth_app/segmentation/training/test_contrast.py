"""Contrast withheld: an enhancing tumour becomes one without, and nothing else changes."""

from __future__ import annotations

import pytest
import torch

from medsynth_app.segmentation.training.augmentation import AugmentationConfiguration, augment
from medsynth_app.segmentation.training.contrast import withhold_contrast

T1, T1CE = 1, 2


@pytest.fixture
def case() -> tuple[torch.Tensor, torch.Tensor]:
    """A head whose T1ce is 2 T1 + 1 and noise, but for a bright ball of enhancing tumour."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn((4, 32, 32, 32), generator=generator)
    image[T1CE] = 2 * image[T1] + 1 + 0.1 * torch.randn((32, 32, 32), generator=generator)
    distance = sum((a - 16.0) ** 2 for a in torch.meshgrid(*[torch.arange(32)] * 3, indexing="ij"))
    label = torch.where(distance < 36, 3, torch.where(distance < 100, 2, 0))
    image[T1CE][label == 3] = 9.0
    image[:, :3] = 0.0
    return image, label


def test_enhancing_tumour_becomes_core_as_dark_as_t1_says(case: tuple[torch.Tensor, torch.Tensor]) -> None:
    image, label = case
    was = label == 3
    expected = 2 * image[T1] + 1
    withhold_contrast(image, label, T1, T1CE, torch.Generator().manual_seed(1))
    assert int((label == 3).sum()) == 0
    assert bool((label[was] == 1).all())
    assert float((image[T1CE] - expected)[was].abs().mean()) < 0.1


def test_the_rest_stays(case: tuple[torch.Tensor, torch.Tensor]) -> None:
    image, label = case
    before, labels = image.clone(), label.clone()
    withhold_contrast(image, label, T1, T1CE, torch.Generator().manual_seed(1))
    others = [c for c in range(4) if c != T1CE]
    assert torch.equal(image[others], before[others])
    assert torch.equal(image[T1CE][labels == 0], before[T1CE][labels == 0])
    assert torch.equal(label == 2, labels == 2)
    assert float(image[T1CE, :3].abs().max()) == 0.0


def test_a_tumour_without_enhancement_is_left_alone(case: tuple[torch.Tensor, torch.Tensor]) -> None:
    image, label = case
    label[label == 3] = 1
    before = image.clone()
    withhold_contrast(image, label, T1, T1CE, torch.Generator().manual_seed(1))
    assert torch.equal(image, before)


@pytest.mark.parametrize(("channels", "expected"), [((T1, T1CE), 0), (None, 895)])
def test_augmentation_withholds_only_where_both_sequences_are_read(
    case: tuple[torch.Tensor, torch.Tensor], channels: tuple[int, int] | None, expected: int
) -> None:
    still = {n: 0.0 for n in vars(AugmentationConfiguration()) if n.endswith("_probability")}
    configuration = AugmentationConfiguration(**{**still, "contrast_withheld_probability": 1.0})
    image, label = case
    _, target = augment(image, label, (32, 32, 32), configuration, torch.Generator().manual_seed(0), channels)
    assert int((target == 3).sum()) == expected
