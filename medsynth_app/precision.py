"""In which precision networks compute: one decision for every training and every inference.

bf16 is taken where the hardware has it. A processor may answer rightly and still give wrong *gradients*: oneDNN 3.7
leaves the weight gradient of a bf16 ``conv3d`` two voxels deep unwritten on processors with AVX-512 and no AMX. So in
a training each layer is tried once against fp32, at the size that it sees, and computes in fp32 where the two disagree.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

logger = logging.getLogger(__name__)

PRECISIONS = ("auto", "bf16", "fp32")
LARGEST_DIFFERENCE = 0.05
"""Between bf16 and fp32, as a share of the norm. Where bf16 is right it is .003, where it is wrong 1 or more."""
LARGEST_TRIAL = 2 * 10**7
"""Multiply-adds of a trial's forward pass; larger layers are tried on a part of their image."""
SMALLEST_CUT_SIDE = 8
"""An image is never cut smaller than that to be tried: the faults known are those of small images."""
REPEATS = 2
WITHOUT_BF16 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2")
"""Instruction sets of a processor, as oneDNN's variable names them, that it computes no bf16 layers with."""

Function = Callable[..., torch.Tensor]
CONVOLUTIONS: tuple[Function, ...] = (
    torch.conv1d, torch.conv2d, torch.conv3d,
    torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d,
)  # fmt: skip
TRIED: tuple[Function, ...] = (*CONVOLUTIONS, functional.linear)
EXAMINED: tuple[tuple[Function, tuple[int, ...], tuple[int, ...]], ...] = (
    *((torch.conv3d, (2, 64, *sides), (64, 64, 3, 3, 3)) for sides in ((2, 2, 2), (2, 2, 4), (3, 3, 3), (6, 6, 6))),
    *((torch.conv2d, (4, 64, side, side), (64, 64, 3, 3)) for side in (2, 4, 16)),
    (torch.conv_transpose3d, (2, 64, 2, 2, 2), (64, 32, 2, 2, 2)),
    (functional.linear, (4, 64), (64, 64)),
)
"""Function, shape of the input, shape of the weight: what ``medsynth doctor`` looks at."""

_agreeing: dict[tuple[object, ...], bool] = {}
"""Outcome of every trial of this process."""


def has_native_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 in hardware; emulated bf16 is slower than fp32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or ""
    return limit.upper() not in WITHOUT_BF16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def takes_bf16(device: torch.device, precision: str) -> bool:
    """Whether work on a device is done in bf16 where that is exact enough.

    Args:
        device: where the network is.
        precision: one of ``PRECISIONS``; ``auto`` takes bf16 where it is native.
    """
    return precision == "bf16" or (precision == "auto" and has_native_bf16(device))


def wanted_precision(mixed_precision: bool) -> str:
    """What the option ``mixed_precision`` of a trainer asks for."""
    return "auto" if mixed_precision else "fp32"


@contextmanager
def computing(device: torch.device, precision: str) -> Iterator[None]:
    """Inside of it networks compute as decided; what learns there is tried first.

    Args:
        device: where the network is.
        precision: one of ``PRECISIONS``.
    """
    if not takes_bf16(device, precision):
        with torch.autocast(device.type, torch.bfloat16, enabled=False):
            yield
        return
    with torch.autocast(device.type, torch.bfloat16), _LayersTried():
        yield


def backward(loss: torch.Tensor) -> None:
    """A backward pass; layers whose activations it computes again (checkpointing) are decided on as before."""
    with _LayersTried():
        # Not loss.backward(), which is a function of its own to PyTorch's modes: inside of it they rest.
        torch.autograd.backward(loss)


def disagreements(device: torch.device) -> list[str]:
    """Which of ``EXAMINED`` have wrong bf16 gradients on a device, in words; those train in fp32."""
    found = []
    for function, of_input, of_weight in EXAMINED:
        stride = {"stride": 2} if function is torch.conv_transpose3d else {}
        padding = {"padding": 1} if function in (torch.conv2d, torch.conv3d) else {}
        layer = _Layer(function, of_input, of_weight, _last(of_input), device, (), {**stride, **padding})
        if not layer.agrees():
            found.append(layer.words)
    return found


class _LayersTried(TorchFunctionMode):
    """Every layer that learns inside of it is tried once; in fp32 where bf16 is wrong."""

    def __torch_function__(
        self, func: Function, types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in TRIED or not torch.is_grad_enabled():
            return func(*args, **kwargs)
        layer = _Layer.of(func, args, kwargs)
        if layer is None or not torch.is_autocast_enabled(layer.device.type) or layer.agrees():
            return func(*args, **kwargs)
        with torch.autocast(layer.device.type, enabled=False):
            return func(*map(_full, args), **{name: _full(value) for name, value in kwargs.items()})


@dataclass(frozen=True)
class _Layer:
    """One call of a function of ``TRIED``, without its values.

    Attributes:
        function: of ``TRIED``.
        of_input: shape, at the most as large as a trial may be.
        of_weight: shape.
        layout: memory format of the input.
        device: where it is.
        further / named: what it is called with beside input and weight; tensors (the bias) are left out.
    """

    function: Function
    of_input: tuple[int, ...]
    of_weight: tuple[int, ...]
    layout: torch.memory_format
    device: torch.device
    further: tuple[Any, ...]
    named: Mapping[str, Any]

    @classmethod
    def of(cls, function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> _Layer | None:
        """None where nothing is learned, or the call is of a kind that the networks here do not make."""
        if len(args) < 2 or not all(isinstance(value, torch.Tensor) for value in args[:2]):
            return None
        values, weight = args[:2]
        if not (values.requires_grad or weight.requires_grad) or values.numel() == 0:
            return None
        channels_last = values.ndim in (4, 5) and values.is_contiguous(memory_format=_last(values.shape))
        return cls(
            function, _cut(values.shape, weight.numel(), function in CONVOLUTIONS), tuple(weight.shape),
            _last(values.shape) if channels_last else torch.contiguous_format, values.device,
            tuple(map(_without_tensor, args[2:])), {k: _without_tensor(v) for k, v in kwargs.items()},
        )  # fmt: skip

    @property
    def words(self) -> str:
        """``conv3d of 64 channels at 2x2x2``."""
        name = getattr(self.function, "__name__", str(self.function))
        sides = "x".join(map(str, self.of_input[2:]))
        return f"{name} of {self.of_input[1]} channels" + (f" at {sides}" if sides else "")

    def agrees(self) -> bool:
        """Whether bf16 answers and learns as fp32 does; found out once in a process."""
        key = (
            self.function, self.of_input, self.of_weight, self.layout, self.device,
            repr(self.further), repr(sorted(self.named.items())),
        )  # fmt: skip
        if key not in _agreeing:
            _agreeing[key] = self._try()
            if not _agreeing[key]:
                logger.warning("bf16 gradients of %s are wrong on this machine: fp32 is taken there", self.words)
        return _agreeing[key]

    def _try(self) -> bool:
        chance = torch.Generator().manual_seed(0)
        values = torch.randn(self.of_input, generator=chance).to(self.device).contiguous(memory_format=self.layout)
        scale = prod(self.of_weight[1:]) ** -0.5
        weight = (scale * torch.randn(self.of_weight, generator=chance)).to(self.device)
        with torch.enable_grad(), torch.autocast(self.device.type, enabled=False):
            wanted = self._gradients(values, weight, half=False)
            trials = [self._gradients(values, weight, half=True) for _ in range(REPEATS)]
        return all(_near(found, right) for trial in trials for found, right in zip(trial, wanted))

    def _gradients(self, values: torch.Tensor, weight: torch.Tensor, half: bool) -> list[torch.Tensor]:
        """Answer, and gradients of input and weight, float32."""
        values, weight = (tensor.detach().requires_grad_() for tensor in (values, weight))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            answer = self.function(values, weight, *self.further, **self.named)
        chance = torch.Generator().manual_seed(1)
        above = torch.randn(answer.shape, generator=chance).to(answer)
        _soil(4 * weight.numel())
        answer.backward(above)  # type: ignore[no-untyped-call]
        gradients = [tensor.grad for tensor in (values, weight) if tensor.grad is not None]
        return [answer.detach().float(), *(gradient.float() for gradient in gradients)]


def _near(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    difference = (found - wanted).norm() / wanted.norm().clamp_min(1e-12)
    return bool(difference < LARGEST_DIFFERENCE)  # NaN is not


def _soil(largest: int) -> None:
    """Leave large values in memory that is free: a gradient that nobody writes must not be found to be 0."""
    for size in {2**power for power in range(8, 23, 2)} | {largest}:
        if size <= max(largest, 2**16):
            torch.full((size,), 3e30)


def _cut(shape: Sequence[int], weights: int, is_convolution: bool) -> tuple[int, ...]:
    """Shape of an input, its image or (of a linear layer) its rows cut to what a trial may cost."""
    sides = list(shape)
    places = range(2, len(sides)) if is_convolution else range(len(sides) - 1)
    while weights * sides[0] * prod(sides[place] for place in places if place > 0) > LARGEST_TRIAL:
        place = max(places, key=lambda each: sides[each], default=0)
        if sides[place] <= SMALLEST_CUT_SIDE:
            break
        sides[place] = max(SMALLEST_CUT_SIDE, sides[place] // 2)
    return tuple(sides)


def _last(shape: Sequence[int]) -> torch.memory_format:
    """Channels last, where there is such a thing for so many axes."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return formats.get(len(shape), torch.contiguous_format)


def _without_tensor(value: Any) -> Any:
    return None if isinstance(value, torch.Tensor) else value


def _full(value: Any) -> Any:
    is_half = isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16
    return value.float() if is_half else value
