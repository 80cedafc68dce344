"""A case in, a label map on its own grid out: with a network whose right answer is known."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.volume import Volume
from medsynth_app.segmentation.fitted import Fitted
from medsynth_app.segmentation.inference import (
    InferenceConfiguration,
    label_volumes_ml,
    mean_entropy,
    predict_logits,
    segment,
)
from medsynth_app.segmentation.network import NETWORKS, NetworkConfiguration, build_network
from medsynth_app.segmentation.transforms import CleaningConfiguration

EXACT = InferenceConfiguration(precision="fp32", cleaning=CleaningConfiguration(False, 0.0, 0.0))
WINDOWS = InferenceConfiguration(precision="fp32", memory_limit_gb=1e-6)
OBLIQUE = Rotation.from_euler("xyz", [8, -14, 20], degrees=True).as_matrix()
DIAGONAL = Rotation.from_euler("z", 45, degrees=True).as_matrix()


@pytest.mark.parametrize("axes", ["RAS", "LPS", "LAS", "SAR", "PIR", "ASL"])
def test_the_mask_is_right_on_the_grid_that_came_in(
    build: Any, knowing_network: nn.Module, axes: str
) -> None:
    head = build.head(axes)
    found = segment(head.volume, knowing_network, EXACT)
    assert found.labels.dtype == np.uint8
    np.testing.assert_array_equal(found.labels, head.labels)


@pytest.mark.parametrize("axes", ["LPS", "SAR", "PIR"])
def test_one_head_stored_in_several_ways_gives_one_answer_in_space(
    build: Any, knowing_network: nn.Module, axes: str
) -> None:
    reference, other = build.head("RAS"), build.head(axes)
    answers = [
        segment(head.volume, knowing_network, InferenceConfiguration()).labels for head in (reference, other)
    ]
    places = build.places_mm(reference.volume.affine, reference.volume.spatial_shape)
    same_place = build.labels_at(answers[1], other.volume.affine, places)
    for label in (1, 2, 3):
        assert build.dice(answers[0] == label, same_place == label) >= 0.99


@pytest.mark.parametrize(
    "grid",
    [
        {"axes": "LPS", "rotation": OBLIQUE},
        {"axes": "SAR", "rotation": DIAGONAL},
    ],
)
def test_an_oblique_head_comes_back_voxel_for_voxel(
    build: Any, knowing_network: nn.Module, grid: dict[str, Any]
) -> None:
    head = build.head(**grid)
    np.testing.assert_array_equal(segment(head.volume, knowing_network, EXACT).labels, head.labels)


@pytest.mark.parametrize(
    "grid",
    [
        {"axes": "LPS", "spacing": (1.0, 1.0, 3.0)},
        {"axes": "ASR", "spacing": (0.8, 0.8, 2.0)},
        {"axes": "LPS", "spacing": (0.9, 1.2, 2.0), "rotation": OBLIQUE},
    ],
)
def test_enhancing_tumour_lies_at_its_place_whatever_the_voxels(
    build: Any, knowing_network: nn.Module, tumor_center_mm: np.ndarray, grid: dict[str, Any]
) -> None:
    head = build.head(**grid)
    found = segment(head.volume, knowing_network, EXACT).labels
    assert found.shape == head.volume.spatial_shape
    affine = head.volume.affine
    # Partial volume changes what the borders look like, not where the ring of enhancement is.
    assert build.dice(found == 3, head.labels == 3) > 0.65
    centroid = affine[:3, :3] @ np.argwhere(found == 3).mean(axis=0) + affine[:3, 3]
    np.testing.assert_allclose(centroid, tumor_center_mm, atol=1.0)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR"])
def test_centroid_box_and_volumes_are_in_the_units_told(
    build: Any, knowing_network: nn.Module, tumor_center_mm: np.ndarray, axes: str
) -> None:
    head = build.head(axes)
    found = segment(head.volume, knowing_network, EXACT)
    assert found.centroid_ras_mm == pytest.approx(tumor_center_mm, abs=0.3)
    voxels = np.argwhere(head.labels > 0)
    assert found.bounding_box_voxels == [voxels.min(axis=0).tolist(), (voxels.max(axis=0) + 1).tolist()]
    counts = np.bincount(head.labels.ravel())
    assert found.volumes_ml == pytest.approx(
        {"necrotic_core": counts[1] / 1e3, "edema": counts[2] / 1e3, "enhancing_tumor": counts[3] / 1e3}
    )


def test_volumes_count_the_voxel_size() -> None:
    labels = np.zeros((5, 5, 5), dtype=np.uint8)
    labels[0, 0, :4], labels[1, 1, :2] = 1, 3
    volume = Volume(np.zeros((1, 5, 5, 5)), np.diag([-5.0, 4.0, 10.0, 1.0]))
    assert label_volumes_ml(labels, volume) == {"necrotic_core": 0.8, "edema": 0.0, "enhancing_tumor": 0.4}


def test_a_head_without_a_tumour(build: Any, knowing_network: nn.Module, head: Any) -> None:
    healthy = head.volume.array.copy()
    tissue = healthy[:, (head.labels == 0) & (healthy[0] > 0)].mean(axis=1)
    healthy[:, head.labels > 0] = tissue[:, None]
    # The means were measured beside a tumour and z-scoring loses the scale: make background win everywhere.
    strict = InferenceConfiguration("fp32", cleaning=CleaningConfiguration(False, 0.0, 0.0))
    silent = knowing_network
    silent.layer.bias.data[0] += 1e3  # type: ignore[union-attr,operator]
    found = segment(Volume(healthy, head.volume.affine), silent, strict)
    assert not found.labels.any()
    assert (found.centroid_ras_mm, found.bounding_box_voxels) == (None, None)
    assert found.volumes_ml == {"necrotic_core": 0.0, "edema": 0.0, "enhancing_tumor": 0.0}


def test_the_answer_is_cleaned(knowing_network: nn.Module, head: Any) -> None:
    few = InferenceConfiguration("fp32", cleaning=CleaningConfiguration(False, 0.0, 100.0))
    found = segment(head.volume, knowing_network, few)
    assert found.volumes_ml["enhancing_tumor"] == 0
    np.testing.assert_array_equal(found.labels == 1, np.isin(head.labels, (1, 3)))


def test_the_volume_is_left_alone(knowing_network: nn.Module, head: Any) -> None:
    before = head.volume.array.copy()
    segment(head.volume, knowing_network)
    np.testing.assert_array_equal(head.volume.array, before)


@pytest.mark.parametrize("missing", range(4))
def test_a_missing_sequence_of_zeros_is_no_obstacle(
    knowing_network: nn.Module, head: Any, missing: int
) -> None:
    array = head.volume.array.copy()
    array[missing] = 0
    found = segment(Volume(array, head.volume.affine), knowing_network)
    assert found.labels.shape == head.volume.spatial_shape
    assert set(np.unique(found.labels)) <= {0, 1, 2, 3}
    assert 0 <= found.mean_entropy <= 1


@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize("side", [20, 33])
def test_every_network_takes_the_smallest_heads(name: str, side: int) -> None:
    volume = Volume(np.random.default_rng(0).random((2, side, 20, 24)).astype(np.float32) + 1, np.eye(4))
    network = build_network(NetworkConfiguration(name, ("flair", "t2"), width=4)).eval()
    found = segment(volume, network, modalities=("flair", "t2"))
    assert found.labels.shape == (side, 20, 24)


@pytest.mark.parametrize(
    ("shape", "padded"),
    [((64, 32, 96), (64, 32, 96)), ((33, 20, 64), (48, 32, 64)), ((1, 64, 65), (32, 64, 80))],
)
def test_sides_are_padded_to_multiples_and_cut_again(
    knowing_network: Any, shape: tuple[int, int, int], padded: tuple[int, int, int]
) -> None:
    image = torch.randn(4, *shape)
    logits = predict_logits(image, knowing_network, EXACT)
    assert knowing_network.calls == [(1, 4, *padded)]
    assert logits.shape == (4, *shape)
    torch.testing.assert_close(logits, knowing_network.layer(image[None])[0].detach(), atol=1e-4, rtol=1e-4)


def test_little_memory_means_windows_and_the_same_answer(knowing_network: Any) -> None:
    image = torch.randn(4, 160, 40, 40, generator=torch.Generator().manual_seed(0))
    whole = predict_logits(image, knowing_network, EXACT)
    assert knowing_network.calls == [(1, 4, 160, 48, 48)]
    knowing_network.calls.clear()
    windowed = predict_logits(image, knowing_network, WINDOWS)
    assert knowing_network.calls == [(1, 4, 128, 128, 128)] * 2
    torch.testing.assert_close(windowed, whole, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize(("limit_gb", "windows"), [(0.09, True), (0.11, False)])
def test_every_axis_counts_for_the_memory(
    knowing_network: Any, monkeypatch: pytest.MonkeyPatch, axis: int, limit_gb: float, windows: bool
) -> None:
    # 24 bytes a voxel and channel of at least 16: 32 * 32 * 256 voxels need 0.1007 GB.
    calls = []
    monkeypatch.setattr(
        "medsynth_app.segmentation.inference.sliding_window_inference",
        lambda image, *_, **__: calls.append(image.shape) or torch.zeros(1, 4, *image.shape[2:]),
    )
    shape = [32, 32, 32]
    shape[axis] = 256
    predict_logits(
        torch.zeros(4, *shape), knowing_network, InferenceConfiguration("fp32", memory_limit_gb=limit_gb)
    )
    assert bool(calls) is windows


def test_windows_blend_a_network_that_looks_around() -> None:
    torch.manual_seed(0)
    network = nn.Conv3d(1, 4, 3, padding=1).eval()
    image = torch.randn(1, 160, 33, 34)
    whole, windowed = (predict_logits(image, network, c) for c in (EXACT, WINDOWS))
    difference = (whole - windowed).abs()
    # Where windows overlap, each sees zeros beyond its own border; the blending must keep that small.
    assert float(difference.mean()) < 0.01 * float(whole.std())
    assert float((difference > 1e-4).float().mean()) < 0.05


def test_bf16_and_fp32_agree(build: Any, knowing_network: nn.Module, head: Any) -> None:
    masks = [
        segment(head.volume, knowing_network, InferenceConfiguration(precision)).labels
        for precision in ("bf16", "fp32")
    ]
    assert build.dice(masks[0] > 0, masks[1] > 0) >= 0.995


def test_test_time_augmentation_treats_both_sides_alike() -> None:
    torch.manual_seed(0)
    network = nn.Conv3d(2, 4, 3, padding=1).eval()
    image = torch.randn(2, 64, 32, 32)
    both = InferenceConfiguration("fp32", test_time_augmentation=True)
    straight = predict_logits(image, network, both)
    mirrored = predict_logits(image.flip(1), network, both).flip(1)
    torch.testing.assert_close(straight, mirrored, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(straight, predict_logits(image, network, EXACT), atol=1e-3)


def test_same_case_same_answer(head: Any) -> None:
    torch.manual_seed(0)
    network = build_network(NetworkConfiguration("unet", width=4, dropout=0.3)).eval()
    first, second = (segment(head.volume, network) for _ in range(2))
    np.testing.assert_array_equal(first.labels, second.labels)
    assert first.mean_entropy == second.mean_entropy


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([0.0, 0.0, 0.0, 0.0], 1.0),
        ([7.0, 7.0, 7.0, 7.0], 1.0),
        ([100.0, 0.0, 0.0, 0.0], 0.0),
        ([50.0, 50.0, -50.0, -50.0], 0.5),
    ],
)
def test_entropy_by_hand(logits: list[float], expected: float) -> None:
    volume = torch.tensor(logits)[:, None, None, None].expand(4, 6, 6, 6)
    found = mean_entropy(volume, torch.ones(6, 6, 6, dtype=torch.bool))
    assert found == pytest.approx(expected, abs=1e-5)
    assert 0 <= found <= 1


def test_entropy_counts_the_brain_only() -> None:
    logits = torch.zeros(4, 8, 8, 8)
    logits[0, 4:] = 100
    brain = torch.zeros(8, 8, 8, dtype=torch.bool)
    assert mean_entropy(logits, brain) == 0
    brain[:4] = True
    assert mean_entropy(logits, brain) == pytest.approx(1, abs=1e-5)


def test_an_unsure_network_has_more_entropy(knowing_network: Any, head: Any) -> None:
    sure = segment(head.volume, knowing_network, EXACT).mean_entropy
    knowing_network.layer.weight.data *= 0.05
    knowing_network.layer.bias.data *= 0.05
    unsure = segment(head.volume, knowing_network, EXACT).mean_entropy
    assert 0 <= sure < unsure <= 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"precision": "fp16"}, "precision: 'fp16' must be one of auto, bf16, fp32"),
        ({"window_overlap": 0.9}, r"window_overlap: 0.9 must be in \[0, 0.9\)"),
        ({"window_overlap": -0.1}, "window_overlap: -0.1"),
        ({"memory_limit_gb": -1.0}, "memory_limit_gb: -1.0 must not be negative"),
        ({"memory_limit_gb": float("nan")}, "memory_limit_gb: nan"),
    ],
)
def test_an_unfit_configuration_does_not_exist(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        InferenceConfiguration(**fields)


def test_an_empty_image_is_refused(knowing_network: nn.Module) -> None:
    with pytest.raises(InvalidValueError, match="no foreground"):
        segment(Volume(np.zeros((4, 20, 20, 20), dtype=np.float32), np.eye(4)), knowing_network)


def test_doubt_lies_on_the_grid_that_came_in_and_changes_no_label(build: Any, knowing_network: nn.Module) -> None:
    head = build.head("SAR")
    plain = segment(head.volume, knowing_network, EXACT)
    softer = copy.deepcopy(knowing_network)
    softer.fitted = Fitted(temperature=40 / 3)  # type: ignore[assignment]
    found = segment(head.volume, softer, EXACT, doubt=True)
    assert plain.doubt is None
    assert found.doubt is not None
    np.testing.assert_array_equal(found.labels, plain.labels)
    assert found.doubt.percent.shape == found.labels.shape
    assert found.doubt.percent.dtype == np.uint8
    for name, volume in found.volumes_ml.items():
        low, high = found.doubt.intervals_ml[name]
        assert low <= volume <= high
    sure = segment(head.volume, knowing_network, EXACT, doubt=True)
    assert sure.doubt is not None
    assert found.doubt.percent.astype(int).sum() > 2 * sure.doubt.percent.astype(int).sum(), "a higher temperature"
    for place in found.doubt.places:
        assert found.doubt.percent[place.voxel] >= 50
        np.testing.assert_allclose(head.volume.affine @ [*place.voxel, 1], [*place.ras_mm, 1], atol=0.01)
