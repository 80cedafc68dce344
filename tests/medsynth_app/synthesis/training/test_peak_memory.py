"""The peak of memory grows with what was held."""

from __future__ import annotations

import torch

from medsynth_app.synthesis.training.peak_memory import peak_memory_gb


def test_what_was_held_is_counted_after_it_is_gone() -> None:
    before = peak_memory_gb(torch.device("cpu"))
    held = torch.ones(int((before + 0.2) * 1e9 / 4))
    assert held[-1] == 1
    del held
    assert before + 0.15 < peak_memory_gb(torch.device("cpu")) < 3 * before + 1.0
