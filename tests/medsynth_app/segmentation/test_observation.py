"""Several answers to one case: repeatable, different, and the network is left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.segmentation.inference import InferenceConfiguration
from medsynth_app.segmentation.network import NETWORKS, NetworkConfiguration, build_network
from medsynth_app.segmentation.observation import STEP, has_dropout, observe, private_copy

SIDE = 64


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    picture = torch.randn((4, SIDE, 48, 33), generator=generator)
    picture[:, :8] = 0
    return picture


def network(name: str = "subpixel_unet", dropout: float = 0.0) -> torch.nn.Module:
    torch.manual_seed(1)
    return build_network(NetworkConfiguration(name=name, width=4, dropout=dropout)).eval()


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_gives_answers_and_features(image: torch.Tensor, name: str) -> None:
    seen = observe(image, network(name), passes=2)
    shape = tuple(-(-side // STEP) for side in image.shape[1:])
    assert [answer.shape for answer in seen.answers] == [(4, *shape)] * 2
    assert all(np.allclose(answer.sum(axis=0), 1, atol=1e-5) for answer in seen.answers)
    assert seen.brain.shape == shape
    assert not seen.brain[:4].any()
    assert seen.brain[4:].all()
    assert seen.features.ndim == 1
    assert len(seen.features) >= 4
    assert np.isfinite(seen.features).all()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_answers_differ_from_each_other_but_not_from_run_to_run(image: torch.Tensor, dropout: float) -> None:
    model = network(dropout=dropout)
    assert has_dropout(model) == (dropout > 0)
    first, again = observe(image, model, passes=4, seed=5), observe(image, model, passes=4, seed=5)
    for one, same in zip(first.answers, again.answers):
        assert np.array_equal(one, same)
    for number, answer in enumerate(first.answers[1:]):
        assert np.abs(answer - first.answers[number]).max() > 1e-4
    assert np.abs(first.answers[-1] - observe(image, model, passes=4, seed=6).answers[-1]).max() > 1e-4


def test_first_answer_is_the_plain_one_and_the_network_is_left_as_it_was(image: torch.Tensor) -> None:
    model = network(dropout=0.3)
    # In full precision, as the plain answer: some processors would take bfloat16 by themselves.
    seen = observe(image, model, passes=3, configuration=InferenceConfiguration(precision="fp32"))
    assert not any(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
    with torch.inference_mode():
        padded = torch.nn.functional.pad(image[None], [0, 15])
        plain = torch.softmax(model(padded)[0], 0)[:, ::STEP, ::STEP, : image.shape[3] : STEP]
    assert np.allclose(seen.answers[0], plain.numpy(), atol=1e-4)


def test_mirrored_answer_is_mirrored_back(image: torch.Tensor) -> None:
    """A network that answers voxel by voxel says the same of the mirror image."""
    model = torch.nn.Conv3d(4, 4, 1)
    plain, mirrored = observe(image, model, passes=2).answers
    assert np.allclose(plain, mirrored, atol=1e-5)


def test_private_copy_is_another_network(image: torch.Tensor) -> None:
    model = network(dropout=0.3)
    own = private_copy(model)
    assert all(a is not b for a, b in zip(model.modules(), own.modules()))
    assert np.array_equal(observe(image, model, 1).features, observe(image, own, 1).features)


def test_no_pass_is_refused(image: torch.Tensor) -> None:
    with pytest.raises(InvalidValueError, match="passes: 0"):
        observe(image, network(), passes=0)


def test_only_what_may_be_tumour_is_answered_in_full_unless_the_whole_brain_is_asked_for() -> None:
    """A network that calls bright voxels tumour, and a brain with one bright corner."""
    bright = torch.nn.Conv3d(4, 4, 1)
    with torch.no_grad():
        bright.weight.zero_()
        bright.bias.copy_(torch.tensor([0.0, -10.0, -9.0, -9.0]))
        bright.weight[1] = 5.0
    image = torch.full((4, 96, 96, 96), 0.1)
    image[:, 12:24, 16:28, 60:72] = 2.0
    part = observe(image, bright, passes=2)
    whole = observe(image, bright, 2, configuration=InferenceConfiguration(whole_brain=True))
    assert whole.answers[0].shape == (4, 48, 48, 48)
    assert all(answer[0].size < 0.2 * 48**3 for answer in part.answers)
    assert part.brain.shape == part.answers[0].shape[1:]
    tumour = [(seen.answers[0][1] > 0.5).sum() for seen in (part, whole)]
    assert tumour[0] == tumour[1] == 6**3
    assert part.features.shape == whole.features.shape
