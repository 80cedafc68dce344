"""The generator of the best comparison is the one that is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from medsynth_app.synthesis.measures.quality import FIGURES
from medsynth_app.synthesis.stylegan2 import checkpoint_watch
from medsynth_app.synthesis.stylegan2.checkpoint_watch import CheckpointWatch, Labelled
from medsynth_app.synthesis.stylegan2.configuration import TrainingConfiguration
from medsynth_app.synthesis.stylegan2.network import Generator, StyleGAN2Configuration

NETWORK = StyleGAN2Configuration(
    resolution=32, classes=2, latent_size=8, style_size=16, channel_base=256, channel_max=16, channel_min=8
)


def test_the_best_generator_comes_back_whatever_came_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distances = iter((9.0, 4.0, 6.0))
    monkeypatch.setattr(
        checkpoint_watch, "compared", lambda *features: {**dict.fromkeys(FIGURES, 0.0), "frechet": next(distances)}
    )
    pictures = np.random.default_rng(0).integers(0, 255, (8, 3, 32, 32)).astype(np.uint8)
    held_out = Labelled(pictures, np.arange(8) % 2)
    watch = CheckpointWatch(pictures, held_out, TrainingConfiguration(network=NETWORK), tmp_path)
    torch.manual_seed(0)
    generators = [Generator(NETWORK).eval() for _ in range(3)]
    for number, generator in enumerate(generators):
        watch.measure(generator, 8 * number)
    best = watch.best_generator(generators[2])
    assert watch.best_figures["frechet"] == 4.0
    assert watch.without_gain == 1
    for name, value in generators[1].state_dict().items():
        assert torch.equal(value, best.state_dict()[name]), name
