"""Every network by name, built small: shapes, sequence subsets, refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.segmentation.network import NETWORKS, SIDE_MULTIPLE, NetworkConfiguration, build_network

THREE = ("flair", "t1ce", "t2")


def test_the_promised_names_are_known() -> None:
    assert {"unet", "subpixel_unet", "segresnet", "dynunet"} <= set(NETWORKS)


@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize("modalities", [THREE, ("flair", "t1", "t1ce", "t2"), ("t2",)])
def test_logits_have_the_shape_of_the_image(name: str, modalities: tuple[str, ...]) -> None:
    network = build_network(NetworkConfiguration(name, modalities, width=4)).eval()
    image = torch.randn(1, len(modalities), 64, 32, 32)
    with torch.no_grad():
        logits = network(image)
    assert logits.shape == (1, 4, 64, 32, 32)
    assert torch.isfinite(logits).all()
    assert logits.std() > 0


@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_weight_gets_a_gradient_from_two_samples(name: str) -> None:
    network = build_network(NetworkConfiguration(name, THREE, width=4, dropout=0.0)).train()
    network(torch.randn(2, 3, 64, 32, 32)).square().mean().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert without == []


@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize("width", [1, 6, 12])
def test_any_allowed_width_builds(name: str, width: int) -> None:
    network = build_network(NetworkConfiguration(name, THREE, width=width)).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 3, 64, 32, 32)).shape == (1, 4, 64, 32, 32)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_with_batch_norm_far_away_voxels_do_not_change_the_answer(name: str) -> None:
    """What instance norm cannot promise: the answer is the same whether the rest of the head is seen or not."""
    network = build_network(NetworkConfiguration(name, ("t2",), width=2, dropout=0.0, norm="batch")).eval()
    image = torch.randn(1, 1, 32, 32, 512)
    changed = image.clone()
    changed[..., -16:] += 3.0
    with torch.no_grad():
        difference = (network(changed) - network(image)).abs().amax(dim=(0, 1, 2, 3))
    assert float(difference[:32].max()) < 1e-5
    assert float(difference[-16:].max()) > 1e-4


@pytest.mark.parametrize("name", list(NETWORKS))
def test_dropout_acts_in_training_only(name: str) -> None:
    network = build_network(NetworkConfiguration(name, THREE, width=4, dropout=0.3))
    image = torch.randn(1, 3, 64, 32, 32)
    with torch.no_grad():
        torch.manual_seed(0)
        training = [network.train()(image) for _ in range(2)]
        answers = [network.eval()(image) for _ in range(2)]
    assert not torch.equal(*training)
    assert torch.equal(*answers)


def test_the_classic_unet_has_the_classic_channels() -> None:
    network = build_network(NetworkConfiguration("unet"))
    shapes = [tuple(p.shape) for n, p in network.named_parameters() if p.dim() == 5]
    outputs = {shape[0] for shape in shapes}
    assert {16, 32, 64, 128, 256} <= outputs
    assert shapes[0] == (16, 4, 3, 3, 3)
    assert any(isinstance(m, torch.nn.ConvTranspose3d) for m in network.modules())


def test_the_subpixel_network_keeps_voxels_in_place() -> None:
    """The head alone, with an untouched body, answers at the voxel that was bright."""
    network = build_network(NetworkConfiguration("subpixel_unet", ("flair",), width=4, dropout=0.0)).eval()
    image = torch.zeros(1, 1, 64, 64, 64)
    changed = image.clone()
    changed[0, 0, 21, 34, 47] = 5.0
    with torch.no_grad():
        for parameter in network.body.parameters():
            parameter.zero_()
        difference = (network(changed) - network(image)).abs().sum(dim=(0, 1))
    places = torch.nonzero(difference > 1e-6).float()
    assert len(places) > 0
    assert (places - torch.tensor([21.0, 34.0, 47.0])).abs().max() <= 1


def test_same_seed_same_weights() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build_network(NetworkConfiguration("unet", THREE, width=4)).state_dict())
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values()))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "vnet"}, "network: unknown name 'vnet', known: unet, subpixel_unet, segresnet, dynunet"),
        (
            {"modalities": ("flair", "dwi")},
            r"modalities: \['flair', 'dwi'\] must be chosen from \['flair', 't1'",
        ),
        ({"modalities": ()}, r"modalities: \[\] must be chosen from"),
        ({"modalities": ("flair", "flair")}, r"modalities: \['flair', 'flair'\] .*once"),
        ({"width": 0}, "width: 0 must be between 1 and 128"),
        ({"width": 129}, "width: 129 must be"),
        ({"norm": "layer"}, "norm: unknown name 'layer', known: instance, batch"),
        ({"dropout": 1.0}, r"dropout: 1.0 must be in \[0, 1\)"),
        ({"dropout": -0.1}, "dropout: -0.1 must be"),
        ({"dropout": float("nan")}, "dropout: nan must be"),
    ],
)
def test_an_unfit_configuration_does_not_exist(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        NetworkConfiguration(**fields)


def test_sides_are_halved_without_remainder() -> None:
    assert SIDE_MULTIPLE == 32
