"""Work stops at a safe place when its signal is set, and only then."""

from __future__ import annotations

from threading import Event

import pytest
import torch
from torch import nn

from medsynth_app.cancellation import WorkCancelledError, cancelled_by, stop_if_cancelled
from medsynth_app.segmentation.inference import InferenceConfiguration, predict_logits


def test_without_a_signal_nothing_stops() -> None:
    stop_if_cancelled()
    with cancelled_by(Event()):
        stop_if_cancelled()


def test_the_signal_is_gone_with_its_block() -> None:
    signal = Event()
    signal.set()
    with cancelled_by(signal), pytest.raises(WorkCancelledError, match="nobody waits"):
        stop_if_cancelled()
    stop_if_cancelled()


class Counting(nn.Module):
    """A network of one weight that counts its passes and sets the signal after some of them."""

    def __init__(self, signal: Event, after: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(16, 1))
        self.signal, self.after, self.passes = signal, after, 0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        if self.passes == self.after:
            self.signal.set()
        return image[:, :1].repeat(1, 4, 1, 1, 1)


def test_an_inference_in_windows_stops_between_two_of_them() -> None:
    signal = Event()
    network = Counting(signal, after=2)
    image = torch.ones(4, 256, 256, 128)
    with cancelled_by(signal), pytest.raises(WorkCancelledError):
        predict_logits(image, network, InferenceConfiguration(precision="fp32", memory_limit_gb=0.001))
    assert network.passes == 2
