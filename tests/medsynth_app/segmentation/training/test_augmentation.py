"""Training patches: a pure function of the seed, image and label always warped together."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.segmentation.training.augmentation import (
    AugmentationConfiguration,
    augment,
    blank_sequences,
    change_intensities,
)
from medsynth_app.segmentation.training.losses import CORE_OF_UNKNOWN_KIND

OFF = AugmentationConfiguration(
    **{field.name: 0.0 for field in fields(AugmentationConfiguration) if field.name.endswith("_probability")}
)
"""Nothing is changed: only a place for the patch is drawn."""
SPATIAL = {"spatial_probability": 1.0, "elastic_probability": 1.0, "flip_probability": 1.0}
INTENSITY = ("gamma", "brightness", "bias_field", "noise", "blur")
T1_AND_T1CE = (1, 2)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blocks(shape: tuple[int, int, int] = (40, 48, 44)) -> tuple[torch.Tensor, torch.Tensor]:
    """Two channels that repeat the label (plus 1, to be non-zero) and the label itself: blocks of 1, 2, 3."""
    label = torch.zeros(shape, dtype=torch.int64)
    label[6:34, 8:40, 8:36] = 2
    label[12:28, 14:34, 12:30] = 3
    label[16:24, 20:28, 16:24] = 1
    brain = torch.zeros(shape)
    brain[3:37, 4:44, 4:40] = 1
    return torch.stack([(label + 1.0) * brain] * 2), label


@pytest.mark.parametrize("seed", range(5))
def test_same_seed_same_patch_and_another_seed_another(seed: int) -> None:
    image, label = blocks()
    configuration = AugmentationConfiguration()
    first, second, other = (
        augment(image, label, (32, 32, 32), configuration, generator(s)) for s in (seed, seed, seed + 100)
    )
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])


def test_the_global_random_state_is_neither_read_nor_changed() -> None:
    image, label = blocks()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = augment(image, label, (32, 32, 32), AugmentationConfiguration(), generator(7))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = augment(image, label, (32, 32, 32), AugmentationConfiguration(), generator(7))
    assert torch.equal(first[0], second[0])


def test_the_inputs_are_left_alone() -> None:
    image, label = blocks()
    everything = replace(
        AugmentationConfiguration(), **SPATIAL, **{f"{n}_probability": 1.0 for n in INTENSITY}
    )
    before = image.clone(), label.clone()
    augment(image, label, (32, 32, 32), everything, generator(0))
    assert torch.equal(image, before[0])
    assert torch.equal(label, before[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("label_dtype", [torch.uint8, torch.int64])
@pytest.mark.parametrize("patch_size", [(32, 32, 32), (64, 32, 32), (32, 64, 96)])
def test_shapes_and_types(
    dtype: torch.dtype, label_dtype: torch.dtype, patch_size: tuple[int, int, int]
) -> None:
    image, label = blocks()
    patch, target = augment(
        image.to(dtype), label.to(label_dtype), patch_size, AugmentationConfiguration(), generator(3)
    )
    assert (patch.shape, patch.dtype) == ((2, *patch_size), torch.float32)
    assert (target.shape, target.dtype) == (patch_size, torch.int64)
    assert set(target.unique().tolist()) <= {0, 1, 2, 3}
    assert torch.isfinite(patch).all()


def test_without_any_change_a_patch_of_the_images_size_is_the_image() -> None:
    image, label = blocks((32, 48, 40))
    patch, target = augment(image, label, (32, 48, 40), OFF, generator(0))
    torch.testing.assert_close(patch, image, atol=1e-4, rtol=0)
    assert torch.equal(target, label)


def test_a_patch_larger_than_the_image_is_padded_with_zeros_around_it() -> None:
    image, label = blocks((32, 36, 40))
    patch, target = augment(image, label, (64, 64, 64), OFF, generator(0))
    inner = (slice(16, 48), slice(14, 50), slice(12, 52))
    torch.testing.assert_close(patch[(slice(None), *inner)], image, atol=1e-4, rtol=0)
    assert torch.equal(target[inner], label)
    assert float(patch.abs().sum()) == pytest.approx(float(image.abs().sum()), rel=1e-4)


def places(shape: tuple[int, int, int]) -> torch.Tensor:
    """Three channels that hold each voxel's own index + 1, (3, X, Y, Z)."""
    return torch.stack(torch.meshgrid(*[torch.arange(1.0, n + 1) for n in shape], indexing="ij"))


@pytest.mark.parametrize(
    "patch_size", [(32, 32, 32), (15, 17, 19), (32, 17, 40)], ids=["even", "odd", "mixed"]
)
@pytest.mark.parametrize("centered", [0.0, 1.0])
def test_without_any_change_a_smaller_patch_is_a_crop(
    patch_size: tuple[int, int, int], centered: float
) -> None:
    image, label = places((40, 48, 44)), blocks()[1]
    for seed in range(8):
        patch, target = augment(
            image, label, patch_size, replace(OFF, tumor_centered_probability=centered), generator(seed)
        )
        start = patch[:, 0, 0, 0].round().long() - 1
        window = tuple(slice(int(a), int(a) + n) for a, n in zip(start, patch_size))
        torch.testing.assert_close(patch, image[(slice(None), *window)], atol=1e-3, rtol=0)
        assert torch.equal(target, label[window])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("which", ["spatial", "elastic", "flip", "all"])
def test_image_and_label_are_warped_together(seed: int, which: str) -> None:
    image, label = blocks()
    chosen = SPATIAL if which == "all" else {f"{which}_probability": 1.0}
    patch, target = augment(image, label, (40, 48, 44), replace(OFF, **chosen), generator(seed))
    inside = patch[0] > 0
    agreement = (torch.round(patch[0] - 1)[inside] == target[inside]).float().mean()
    # Only voxels on a border between labels are mixtures in the image.
    assert agreement > 0.9
    core = inside & (patch[0] == torch.round(patch[0]))
    assert torch.equal((patch[0][core] - 1).long(), target[core])
    assert core.sum() > 0.3 * inside.sum()


def test_the_mirror_swaps_left_and_right_only() -> None:
    image, label = blocks((32, 48, 40))
    label[2:4, 10:20, 5:9] = 1
    patch, target = augment(image, label, (32, 48, 40), replace(OFF, flip_probability=1.0), generator(0))
    assert torch.equal(target, label.flip(0))
    torch.testing.assert_close(patch, image.flip(1), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("low", "high"), [(0.8, 0.8), (1.25, 1.25)])
def test_zoom_changes_the_size_of_the_tumour_as_told(low: float, high: float) -> None:
    image, label = blocks()
    configuration = replace(OFF, spatial_probability=1.0, rotation_degrees=0.0, scale_range=(low, high))
    _, target = augment(image, label, (64, 64, 64), configuration, generator(0))
    assert float((target == 3).sum()) == pytest.approx(float((label == 3).sum()) * low**3, rel=0.12)


def test_rotation_keeps_volume_and_moves_corners() -> None:
    image, label = blocks()
    configuration = replace(OFF, spatial_probability=1.0, scale_range=(1.0, 1.0))
    _, target = augment(image, label, (64, 64, 64), configuration, generator(2))
    _, still = augment(image, label, (64, 64, 64), OFF, generator(2))
    assert float((target > 0).sum()) == pytest.approx(float((still > 0).sum()), rel=0.03)
    assert (target != still).float().mean() > 0.01


@pytest.mark.parametrize("seed", range(10))
def test_a_tumour_centred_patch_holds_tumour(seed: int) -> None:
    image, label = blocks((80, 80, 80))
    label[...] = 0
    label[70:72, 70:72, 3:5] = 3
    configuration = replace(OFF, tumor_centered_probability=1.0)
    _, target = augment(image, label, (32, 32, 32), configuration, generator(seed))
    assert (target == 3).any()


def test_a_patch_stays_inside_a_larger_image() -> None:
    image, label = torch.ones(1, 70, 60, 50), torch.zeros(70, 60, 50, dtype=torch.uint8)
    for seed in range(8):
        patch, _ = augment(image, label, (32, 32, 32), OFF, generator(seed))
        torch.testing.assert_close(patch, torch.ones_like(patch), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", INTENSITY)
def test_each_intensity_change_changes_the_brain_and_nothing_else(name: str) -> None:
    image, label = blocks()
    image = image + torch.rand(image.shape, generator=generator(5)) * (image != 0)
    configuration = replace(OFF, **{f"{name}_probability": 1.0})
    # A seed for which the change is not by chance too small to see.
    patch, target = augment(image, label, (40, 48, 44), configuration, generator(4))
    still, still_target = augment(image, label, (40, 48, 44), OFF, generator(4))
    assert torch.equal(target, still_target)
    assert (patch[still == 0] == 0).all()
    assert float((patch - still).abs().max()) > 0.01
    assert torch.isfinite(patch).all()


def test_gamma_keeps_mean_and_spread() -> None:
    image = torch.randn((2, 16, 16, 16), generator=generator(0))
    before = image.mean(dim=(1, 2, 3)), image.std(dim=(1, 2, 3))
    changed = change_intensities(image.clone(), replace(OFF, gamma_probability=1.0), generator(1))
    torch.testing.assert_close(
        (changed.mean(dim=(1, 2, 3)), changed.std(dim=(1, 2, 3))), before, atol=1e-3, rtol=0
    )
    assert not torch.equal(changed, image)


def test_each_sequence_is_blanked_as_often_as_told_and_t1_never_stays_alone() -> None:
    random = generator(0)
    kept = []
    for _ in range(800):
        image = torch.ones(4, 2, 2, 2)
        blank_sequences(image, 0.25, random, T1_AND_T1CE)
        kept.append(tuple(image.amax(dim=(1, 2, 3)).bool().tolist()))
    assert set(kept) == {s for s in itertools.product((True, False), repeat=4) if s[0] or s[2] or s[3]}
    blanked = 1 - torch.tensor(kept).float().mean(dim=0)
    assert ((blanked > 0.19) & (blanked < 0.31)).all()


def test_what_is_missing_already_does_not_count_as_what_stays() -> None:
    image = torch.ones(4, 2, 2, 2)
    image[[0, 3]] = 0
    for seed in range(40):
        changed = image.clone()
        blank_sequences(changed, 0.9, generator(seed), T1_AND_T1CE)
        assert changed[2].all()


@pytest.mark.parametrize("t1ce", [True, False])
def test_without_t1ce_the_kind_of_core_is_not_told(t1ce: bool) -> None:
    image, label = blocks()
    image = image[:1].repeat(4, 1, 1, 1)
    if not t1ce:
        image[2] = 0
    _, target = augment(image, label, (40, 48, 44), OFF, generator(0), T1_AND_T1CE)
    kinds = set(torch.unique(target).tolist())
    assert (CORE_OF_UNKNOWN_KIND in kinds) is not t1ce
    assert kinds & {1, 3} == (set(torch.unique(label).tolist()) & {1, 3} if t1ce else set())


def test_a_missing_sequence_stays_missing() -> None:
    image, label = blocks()
    image = torch.cat([image, torch.zeros_like(image[:1])])
    everything = replace(AugmentationConfiguration(), **{f"{name}_probability": 1.0 for name in INTENSITY})
    patch, _ = augment(image, label, (40, 48, 44), everything, generator(0))
    assert torch.isfinite(patch).all()
    assert patch[:-1].any()
    assert not patch[-1].any()


@pytest.mark.parametrize("name", [f.name for f in fields(OFF) if f.name.endswith("_probability")])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_probability_outside_its_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(InvalidValueError, match=f"{name}: .* must be between 0 and 1"):
        AugmentationConfiguration(**{name: value})


def test_a_bias_field_brightens_each_sequence_in_its_own_way() -> None:
    """Smooth brightening of one sequence alone: what enhancement must not be mistaken for."""
    still = {n: 0.0 for n in vars(AugmentationConfiguration()) if n.endswith("_probability")}
    configuration = AugmentationConfiguration(**{**still, "bias_field_probability": 1.0})
    image = torch.full((2, 24, 24, 24), 0.1)
    change_intensities(image, configuration, torch.Generator().manual_seed(0))
    assert float(image[0].std()) > 0.1
    assert float(image[1].std()) > 0.1
    assert abs(float(torch.corrcoef(image.flatten(1))[0, 1])) < 0.9
    steps = image.diff(dim=1).abs().max()
    assert float(steps) < 0.25 * float(image.max() - image.min())
