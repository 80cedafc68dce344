"""Layers whose bf16 gradients are wrong are found, and learn in fp32; whatever the processor."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from medsynth_app import precision
from medsynth_app.precision import backward, computing, disagreements, has_native_bf16, takes_bf16

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_trials() -> Iterator[None]:
    """Trials of other tests are forgotten, and those of these tests too."""
    before = dict(precision._agreeing)
    precision._agreeing.clear()
    yield
    precision._agreeing.clear()
    precision._agreeing.update(before)


@pytest.fixture
def faulty_2x2x2(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor whose bf16 ``conv3d`` leaves its weight gradient unwritten at 2x2x2."""
    near = precision._Layer._gradients

    def gradients(layer: precision._Layer, *arguments: torch.Tensor, half: bool) -> list[torch.Tensor]:
        found = near(layer, *arguments, half=half)
        if half and layer.function is torch.conv3d and layer.of_input[2:] == (2, 2, 2):
            found[2] = torch.full_like(found[2], torch.nan)
        return found

    monkeypatch.setattr(precision._Layer, "_gradients", gradients)


def dtypes_of(network: nn.Module, image: torch.Tensor, wanted: str = "bf16") -> list[torch.dtype]:
    """What each convolution answers in."""
    seen: list[torch.dtype] = []
    layers = [module for module in network.modules() if isinstance(module, nn.Conv3d)]
    handles = [layer.register_forward_hook(lambda _, __, answer: seen.append(answer.dtype)) for layer in layers]
    with computing(CPU, wanted):
        answer = network(image)
    answer.float().square().mean().backward()
    for handle in handles:
        handle.remove()
    return seen


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv3d(4, 16, 3, padding=1), nn.Conv3d(16, 16, 3, stride=2, padding=1), nn.Conv3d(16, 16, 3, padding=1)
    )


def test_only_the_layer_that_is_wrong_learns_in_fp32(
    faulty_2x2x2: None, caplog: pytest.LogCaptureFixture
) -> None:
    network, image = small_network(), torch.randn(2, 4, 4, 4, 4)
    assert dtypes_of(network, image) == [torch.bfloat16, torch.bfloat16, torch.float32]
    assert "bf16 gradients of conv3d of 16 channels at 2x2x2 are wrong" in caplog.text
    caplog.clear()
    assert dtypes_of(network, image) == [torch.bfloat16, torch.bfloat16, torch.float32]
    assert not caplog.text, "tried once"
    assert dtypes_of(network, image, "fp32") == [torch.float32] * 3


def test_answering_needs_no_trial(faulty_2x2x2: None) -> None:
    with torch.no_grad(), computing(CPU, "bf16"):
        assert small_network()(torch.randn(2, 4, 4, 4, 4)).dtype == torch.bfloat16
    assert not precision._agreeing


def test_activations_computed_again_are_decided_on_as_before(faulty_2x2x2: None) -> None:
    network, image = small_network(), torch.randn(2, 4, 4, 4, 4)
    plain, again = (copy.deepcopy(network) for _ in range(2))
    with computing(CPU, "bf16"):
        first = plain(image).float().square().mean()
        second = checkpoint(again, image, use_reentrant=False).float().square().mean()
    first.backward()
    backward(second)
    for one, other in zip(plain.parameters(), again.parameters()):
        assert torch.equal(one.grad, other.grad)  # type: ignore[arg-type]


@pytest.mark.parametrize("sides", [(2, 2, 2), (2, 2, 4), (2, 4, 4), (3, 3, 3), (4, 4, 4)])
@pytest.mark.parametrize("channels", [32, 64])
def test_what_learns_in_bf16_learns_as_in_fp32_on_this_machine(sides: tuple[int, ...], channels: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv3d(channels, channels, 3, padding=1)
    image = torch.randn(2, channels, *sides).contiguous(memory_format=torch.channels_last_3d)
    gradients = []
    for wanted in ("fp32", "bf16", "bf16"):
        layer.zero_grad()
        with computing(CPU, wanted):
            answer = layer(image)
        precision._soil(4 * layer.weight.numel())
        answer.float().square().mean().backward()
        gradients.append(layer.weight.grad)
    right, first, second = gradients
    assert right is not None
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)
    assert float((first - right).norm() / right.norm()) < 0.02


def test_functions_are_tried_as_modules_are(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.randn(8, 8, 3, 3, requires_grad=True)
    image = torch.randn(2, 8, 4, 4)
    monkeypatch.setattr(precision._Layer, "_try", lambda layer: layer.function is not torch.conv2d)
    with computing(CPU, "bf16"):
        assert functional.conv2d(image, weight, padding=1).dtype == torch.float32
        assert functional.linear(image.flatten(1), torch.randn(3, 128, requires_grad=True)).dtype == torch.bfloat16


def test_large_layers_are_tried_on_a_part() -> None:
    small = precision._cut((1, 32, 96, 96, 96), 32 * 32 * 27, True)
    assert small[:2] == (1, 32)
    assert min(small[2:]) >= precision.SMALLEST_CUT_SIDE
    assert precision._cut((2, 64, 2, 2, 4), 64 * 64 * 27, True) == (2, 64, 2, 2, 4)


def test_an_agreeing_machine_says_nothing_and_a_faulty_one_names_its_layers(faulty_2x2x2: None) -> None:
    found = disagreements(CPU)
    assert "conv3d of 64 channels at 2x2x2" in found
    assert "conv2d of 64 channels at 16x16" not in found


@pytest.mark.parametrize("variable", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
def test_bf16_is_not_native_where_the_instructions_are_forbidden(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "AVX2")
    assert not has_native_bf16(CPU)
    assert not takes_bf16(CPU, "auto")
    assert takes_bf16(CPU, "bf16")


@pytest.mark.parametrize("instructions", ["AVX512_CORE", "AVX512_CORE_BF16"])
def test_a_faulty_instruction_set_is_found(repository: Path, instructions: str) -> None:
    """Where this processor has AVX-512, it can be told to do without AMX; then it is a faulty one."""
    code = (
        "import torch; from medsynth_app.precision import disagreements, has_native_bf16\n"
        "cpu = torch.device('cpu')\n"
        "print(int(has_native_bf16(cpu)), [words for words in disagreements(cpu)])\n"
    )
    limits = dict.fromkeys(("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"), instructions)
    environment = {**os.environ, **limits, "PYTHONPATH": str(repository), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300, check=True
    )
    if done.stdout.startswith("0"):
        pytest.skip("this processor has no AVX-512")
    if torch.__version__.startswith("2.10"):
        assert "conv3d of 64 channels at 2x2x2" in done.stdout
    assert "3x3x3" not in done.stdout
